import { join } from 'node:path';
import type { DeviceId, TenantId } from '#core/domain/ids.ts';
import { plantSchema } from '#core/domain/plant.ts';
import type { SimulatorOptions } from '#services/edge-simulator/composition.ts';
import { demoPlant } from '#services/edge-simulator/plant.ts';
import type { ServiceRuntime } from '#services/shared/composition.ts';
import { readTls } from '#services/shared/config/tls.ts';

/** The device that speaks for all machines of the demo plant. */
export interface DemoDevice {
  readonly id: string;
  readonly secret: string;
  readonly machines: readonly string[];
}

/** Registers the simulated plant with a device of its own, whose secret is new at each start. */
export async function registerDemoPlant({ configuration, port }: ServiceRuntime): Promise<DemoDevice> {
  const { tenant, site } = configuration;
  const [machines, devices] = [await port('machineRegistry'), await port('deviceRegistry')];
  const plant = plantSchema.parse(demoPlant({ tenant, site }));
  const keys = [];
  for (const machine of plant.machines)
    keys.push((await machines.putMachine(plant.tenant as TenantId, plant.site as never, machine)).key);
  const id = `demo-${site}` as DeviceId;
  if (await devices.getDevice(id)) await devices.removeDevice(id);
  const { secret } = await devices.addDevice({ id, tenant: plant.tenant as TenantId, machines: keys });
  return { id, secret, machines: plant.machines.map((machine) => machine.id) };
}

/** Where the simulator keeps what waits for the platform. */
export function simulatorFolder(dataDir: string): string {
  return join(dataDir, 'edge-simulator');
}

/** How the demo's machines send to this platform. */
export function demoOptions(
  { configuration, logger }: ServiceRuntime,
  device: DemoDevice,
  mqttPort: number,
): SimulatorOptions {
  const { tenant, site, host, dataDir, demoSpeed: speed } = configuration;
  const caPem = readTls(configuration)?.cert;
  const url = `${caPem === undefined ? 'mqtt' : 'mqtts'}://${host}:${mqttPort}`;
  const transport = { mode: 'mqtt', url, devices: [device], caPem } as const;
  return { transport, tenant, site, dataDir: simulatorFolder(dataDir), speed, log: logger };
}
