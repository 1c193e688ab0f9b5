import { join } from 'node:path';
import {
  machineKey,
  type DeviceId,
  type MachineId,
  type MachineKey,
  type SiteId,
  type TenantId,
} from '#core/domain/ids.ts';
import { plantSchema, type Machine } from '#core/domain/plant.ts';
import { isPortError } from '#core/errors.ts';
import type { MachineRegistry } from '#core/ports/machine-registry.ts';
import type { SimulatorOptions } from '#services/edge-simulator/composition.ts';
import { demoPlant } from '#services/edge-simulator/plant.ts';
import type { ServiceRuntime } from '#services/shared/composition.ts';
import type { Addresses } from '#services/shared/config/addresses.ts';
import { authorityFile } from '#services/shared/tls/authority.ts';

/** The device that speaks for all machines of the demo plant. */
export interface DemoDevice {
  readonly id: string;
  readonly secret: string;
  readonly machines: readonly string[];
}

/**
 * Registers the machines of the simulated plant that are not there, and a device that speaks for them. What people changed stays as it is:
 * descriptions, bindings, a device that is disabled. Only the device's secret is new at each start, for it is kept nowhere.
 */
export async function registerDemoPlant({ configuration, port }: ServiceRuntime): Promise<DemoDevice> {
  const site = configuration.site as SiteId;
  const tenant = configuration.tenant as TenantId;
  const [machines, devices] = [await port('machineRegistry'), await port('deviceRegistry')];
  const plant = plantSchema.parse(demoPlant({ tenant, site }));
  const added = [];
  for (const machine of plant.machines)
    if (await putNewMachine(machines, tenant, site, machine)) added.push(keyOf(tenant, site, machine));
  const id = `demo-${site}` as DeviceId;
  const known = await devices.getDevice(id);
  const isKept = known?.tenant === tenant;
  const bound = isKept ? [...known.machines, ...added] : plant.machines.map((machine) => keyOf(tenant, site, machine));
  if (known) await devices.removeDevice(id);
  const { secret } = await devices.addDevice({ id, tenant, machines: bound });
  if (isKept && !known.enabled) await devices.setEnabled(id, false);
  return { id, secret, machines: plant.machines.map((machine) => machine.id) };
}

/** False where the machine is there already, which is left as it is. */
async function putNewMachine(
  machines: MachineRegistry,
  tenant: TenantId,
  site: SiteId,
  machine: Machine,
): Promise<boolean> {
  try {
    await machines.putMachine(tenant, site, machine, { expectedRevision: 0 });
    return true;
  } catch (error) {
    if (isPortError(error) && error.code === 'failed_precondition') return false;
    throw error;
  }
}

function keyOf(tenant: TenantId, site: SiteId, { id }: Machine): MachineKey {
  return machineKey(tenant, site, id as MachineId);
}

/** Where the simulator keeps what waits for the platform. */
export function simulatorFolder(dataDir: string): string {
  return join(dataDir, 'edge-simulator');
}

/** How the demo's machines send to this platform. */
export function demoOptions(
  { configuration, certificates, logger }: ServiceRuntime,
  device: DemoDevice,
  { mqttUrl: url }: Addresses,
): SimulatorOptions {
  const { tenant, site, dataDir, demoSpeed: speed } = configuration;
  const caFile = authorityFile(configuration, certificates.current);
  const transport = { mode: 'mqtt', url, devices: [device], caFile } as const;
  return { transport, tenant, site, dataDir: simulatorFolder(dataDir), speed, log: logger };
}
