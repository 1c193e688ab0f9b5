import {
  isName,
  machineKey,
  type MachineId,
  type MachineKey,
  type SensorId,
  type SiteId,
  type TenantId,
} from '../domain/ids.ts';

/** What a device's topic names (wire.md). */
export type DeviceTopic =
  | { readonly kind: 'telemetry' | 'command' | 'status'; readonly machine: MachineKey }
  | { readonly kind: 'waveform'; readonly machine: MachineKey; readonly sensor: SensorId };

/** Reads `tribo/v1/{tenant}/{site}/{machine}/...`; undefined for any other topic, and for names that are none. */
export function parseDeviceTopic(topic: string): DeviceTopic | undefined {
  const [root, version, tenant, site, machine, kind, sensor, ...rest] = topic.split('/');
  if (root !== 'tribo' || version !== 'v1' || rest.length > 0) return undefined;
  if (!isName(tenant) || !isName(site) || !isName(machine)) return undefined;
  const key = machineKey(tenant as TenantId, site as SiteId, machine as MachineId);
  if (kind === 'waveform') return isName(sensor) ? { kind, machine: key, sensor: sensor as SensorId } : undefined;
  if (sensor !== undefined) return undefined;
  return kind === 'telemetry' || kind === 'command' || kind === 'status' ? { kind, machine: key } : undefined;
}

export function deviceTopic(topic: DeviceTopic): string {
  const suffix = topic.kind === 'waveform' ? `waveform/${topic.sensor}` : topic.kind;
  return `tribo/v1/${topic.machine}/${suffix}`;
}
