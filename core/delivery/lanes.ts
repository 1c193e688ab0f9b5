import type { MachineKey } from '../domain/ids.ts';

/** Which lane a machine's events are in, of so many: the same at every publisher and at any time. */
export function laneOf(key: MachineKey, lanes: number): number {
  // FNV-1a.
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index++) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  return (hash >>> 0) % lanes;
}
