import { machineRef, type MachineKey } from '../domain/ids.ts';

/** The address of a machine's page, where the origin of the page is known. */
export function machinePage(publicUrl: string, key: MachineKey): string {
  const { site, machine } = machineRef(key);
  return `${publicUrl}/#/machines/${encodeURIComponent(site)}/${encodeURIComponent(machine)}`;
}
