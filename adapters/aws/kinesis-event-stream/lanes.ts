import type { MachineKey } from '#core/domain/ids.ts';

const HASH_KEYS = 2n ** 128n;

/** Which lane a machine's events are in, of so many: the same at every publisher and at any time. */
export function laneOf(key: MachineKey, lanes: number): number {
  // FNV-1a.
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index++) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  return (hash >>> 0) % lanes;
}

/** The middle of the lane's part of Kinesis's hash keys: however shards are split and merged, it is in one open shard. */
export function hashKeyOf(lane: number, lanes: number): string {
  return String((HASH_KEYS * BigInt(2 * lane + 1)) / BigInt(2 * lanes));
}
