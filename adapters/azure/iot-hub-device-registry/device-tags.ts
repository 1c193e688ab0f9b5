import { machineKey, machineRef, type DeviceId, type MachineId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import type { Device } from '#core/ports/device-registry.ts';
import type { HubTwin, Tags } from './client.ts';

/** The tags of a twin take 8 KiB together, and a machine with its site up to 129 bytes. */
export const MAX_MACHINES = 50;

interface TriboTag {
  readonly tenant: TenantId;
  /** `site/machine`. */
  readonly machines?: readonly string[];
  readonly createdAtMs?: number;
}

/** One tag of all, so that whoever has others of their own keeps them. */
export function tagsOf({ tenant, machines, createdAtMs }: Device): Tags {
  const named = machines.map(machineRef).map(({ site, machine }) => `${site}/${machine}`);
  return { tribo: { tenant, machines: named, createdAtMs } satisfies TriboTag };
}

/** Whether the twin is a device's of Tribo: the hub may have others. */
export function isOf({ tags }: HubTwin): boolean {
  const { tenant } = (tags['tribo'] ?? {}) as Partial<TriboTag>;
  return typeof tenant === 'string';
}

/** Of a device that came by the provisioning service nothing is known but its tenant. */
export function deviceOf({ deviceId, isEnabled, tags }: HubTwin): Device {
  const { tenant, machines = [], createdAtMs = 0 } = tags['tribo'] as TriboTag;
  return {
    ...{ id: deviceId as DeviceId, tenant, enabled: isEnabled, createdAtMs },
    machines: machines.map((named) => {
      const [site, machine] = named.split('/');
      return machineKey(tenant, site as SiteId, machine as MachineId);
    }),
  };
}
