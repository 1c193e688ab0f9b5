import { setTimeout as sleep } from 'node:timers/promises';
import { Option, type Command } from 'commander';
import type { PlantDescription } from '#core/domain/plant.ts';
import type { AddedDevice, DeviceView } from '#services/api-gateway/schemas/devices.ts';
import { startSimulator, type RunningSimulator } from '#services/edge-simulator/composition.ts';
import type { MachineSpec } from '#services/edge-simulator/machine-spec.ts';
import { DEMO_MACHINES, demoPlant } from '#services/edge-simulator/plant.ts';
import { PROFILES, type ProfileName } from '#services/edge-simulator/profiles.ts';
import type { SimulatorStats } from '#services/edge-simulator/simulator.ts';
import type { ApiClient } from './api-client.ts';
import { brokerOf } from './broker-of.ts';
import type { Action, CommandContext } from './main.ts';
import { CommandError } from './output.ts';
import { putPlant } from './put-plant.ts';

interface SimulateFlags {
  readonly site: string;
  readonly mode: 'mqtt' | 'http';
  readonly machines?: string;
  readonly device?: string;
  readonly secret?: string;
  readonly speed: string;
  readonly seed: string;
  readonly profile: ProfileName;
  readonly for?: string;
  readonly queueMib: string;
}

const PROGRESS_EVERY_MS = 1000;

/** `tribo simulate`: machines that are computed instead of real ones. */
export function addSimulateCommand(program: Command, action: Action): void {
  program
    .command('simulate')
    .description('run the simulated demo plant against the platform until Ctrl-C')
    .option('--site <site>', 'site of its machines', 'simulated')
    .addOption(new Option('--mode <mode>', 'how to send').choices(['mqtt', 'http']).default('mqtt'))
    .option('--machines <list>', `which of ${machineNames(DEMO_MACHINES)} (default: all)`)
    .option('--device <device>', 'send as this device, with --secret (default: one is made for it; MQTT)')
    .option('--secret <secret>', 'secret of that device')
    .option('--speed <factor>', 'how fast machines age; 1 shows a bearing fault within two minutes', '1')
    .option('--seed <number>', 'same seed, same plant', '1')
    .addOption(
      new Option('--profile <profile>', 'how much the machines say').choices(Object.keys(PROFILES)).default('demo'),
    )
    .option('--for <seconds>', 'stop after this long')
    .option('--queue-mib <size>', 'what may wait while the platform is away; beyond it the oldest leaves a gap', '64')
    .action(action(runSimulate));
}

async function runSimulate({ api, configuration, out }: CommandContext, flags: SimulateFlags): Promise<void> {
  const { tenant, dataDir, ...settings } = configuration();
  const speed = positive('--speed', flags.speed, 1000);
  const seed = positive('--seed', flags.seed, 2 ** 31);
  const forS = flags.for === undefined ? undefined : positive('--for', flags.for, 1e6);
  const maxQueueBytes = Math.round(positive('--queue-mib', flags.queueMib, 65_536) * 1024 * 1024);
  const machines = chosenMachines(flags.machines);
  const client = api();
  const plant = plantOf(tenant, flags.site, machines);
  await putPlant(client, plant);
  const stopped = untilStopped(forS);
  const simulator = await startSimulator({
    transport:
      flags.mode === 'http'
        ? { mode: 'http', url: client.url, token: () => tokenOf(api, client.token) }
        : {
            mode: 'mqtt',
            url: client.mqttUrl ?? brokerOf(client, settings),
            caFile: client.caFile,
            devices: [await deviceFor(client, plant, flags)],
          },
    tenant,
    site: flags.site,
    machines,
    maxQueueBytes,
    dataDir: `${dataDir}/edge-simulator-${flags.site}`,
    speed,
    seed,
    profile: flags.profile,
    log: { info: () => undefined, warn: tell },
  });
  if (!out.json) {
    const many = machines.length === 1 ? '1 machine' : `${machines.length} machines`;
    const until = forS === undefined ? 'Ctrl-C stops' : `It stops after ${forS} s.`;
    process.stdout.write(`${many} of site ${flags.site} send by ${flags.mode.toUpperCase()}. ${until}\n`);
  }
  const progress = process.stderr.isTTY && !out.json ? showProgress(simulator) : undefined;
  await stopped;
  clearInterval(progress);
  if (progress) process.stderr.write('\n');
  await simulator.stop();
  out.result(simulator.stats(), (stats) => `Stopped. ${summary(stats)}`);
}

function chosenMachines(list: string | undefined): readonly MachineSpec[] {
  if (list === undefined) return DEMO_MACHINES;
  const names = list.split(',').map((name) => name.trim());
  const unknown = names.filter((name) => !DEMO_MACHINES.some(({ description }) => description.id === name));
  if (unknown.length === 0) return DEMO_MACHINES.filter(({ description }) => names.includes(description.id));
  throw new CommandError(
    'usage',
    `there is no simulated machine ${unknown.join(', ')}`,
    `--machines takes ${machineNames(DEMO_MACHINES)}`,
  );
}

function plantOf(tenant: string, site: string, machines: readonly MachineSpec[]): PlantDescription {
  const plant = demoPlant({ tenant, site });
  return { ...plant, machines: plant.machines.filter(({ id }) => machines.some((each) => each.description.id === id)) };
}

/** The device that was named, if it may speak for these machines; else one of the simulator's own, whose secret is new each time. */
async function deviceFor(client: ApiClient, plant: PlantDescription, flags: SimulateFlags) {
  const machines = plant.machines.map((machine) => machine.id);
  if (flags.device !== undefined)
    return { ...(await knownDevice(client, plant, flags.device, flags.secret)), machines };
  const id = `simulator-${plant.site}`;
  await client.request('DELETE', `/v1/devices/${encodeURIComponent(id)}`).catch((error: unknown) => {
    if (!(error instanceof CommandError && error.kind === 'not-found')) throw error;
  });
  const { secret } = await client.request<AddedDevice>('POST', '/v1/devices', {
    id,
    machines: machines.map((machine) => ({ site: plant.site, machine })),
  });
  return { id, secret, machines };
}

/** Checked before anything is sent: a broker only closes the connection of a device that speaks for a machine that is not its own. */
async function knownDevice(client: ApiClient, plant: PlantDescription, id: string, secret: string | undefined) {
  if (secret === undefined) throw new CommandError('usage', `--device ${id} needs its --secret`);
  const { items } = await client.request<{ items: DeviceView[] }>('GET', '/v1/devices');
  const device = items.find((each) => each.id === id);
  if (!device) {
    throw new CommandError('not-found', `there is no device ${id}`, 'npx tribo device list shows those there are');
  }
  const speaksFor = (machine: string) => device.machines.some((at) => at.site === plant.site && at.machine === machine);
  const foreign = plant.machines.filter((machine) => !speaksFor(machine.id)).map((machine) => machine.id);
  if (foreign.length === 0) return { id, secret };
  throw new CommandError(
    'refused',
    `device ${id} may not speak for ${foreign.map((machine) => `${plant.site}/${machine}`).join(', ')}`,
    `npx tribo device bind ${id} ${plant.machines.map((machine) => machine.id).join(' ')} --site ${plant.site}`,
  );
}

function tokenOf(api: () => ApiClient, last: string): string {
  try {
    return api().token;
  } catch {
    // The platform is away, and its address with it.
    return last;
  }
}

function positive(flag: string, text: string, most: number): number {
  const value = Number(text);
  if (value > 0 && value <= most) return value;
  throw new CommandError('usage', `${flag} must be a number above 0 and at most ${most}, got ${text}`);
}

async function untilStopped(forS: number | undefined): Promise<void> {
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  process.once('SIGINT', stop).once('SIGTERM', stop);
  if (forS === undefined) await new Promise((resolve) => abort.signal.addEventListener('abort', resolve));
  else await sleep(forS * 1000, undefined, { signal: abort.signal }).catch(() => undefined);
  process.off('SIGINT', stop).off('SIGTERM', stop);
}

function tell(details: object, message: string): void {
  const { reason, waiting, dropped } = details as { reason?: unknown; waiting?: unknown; dropped?: unknown };
  const facts = [
    ...(typeof reason === 'string' ? [reason] : []),
    ...(typeof waiting === 'number' ? [`${waiting} waiting`] : []),
    ...(typeof dropped === 'number' ? [`${dropped} dropped so far`] : []),
  ];
  process.stderr.write(`${facts.length === 0 ? message : `${message} (${facts.join('; ')})`}\n`);
}

function showProgress(simulator: RunningSimulator): NodeJS.Timeout {
  return setInterval(() => process.stderr.write(`\r\u001B[K${summary(simulator.stats())}`), PROGRESS_EVERY_MS);
}

function summary({ devices, machines }: SimulatorStats): string {
  const total = (count: (device: SimulatorStats['devices'][string]) => number) =>
    Object.values(devices)
      .reduce((sum, device) => sum + count(device), 0)
      .toLocaleString('en');
  const worst = Object.entries(machines).toSorted(([, a], [, b]) => b.severity - a.severity)[0];
  return [
    `${total((device) => device.acknowledged)} messages acknowledged`,
    `${total((device) => device.pending)} waiting`,
    `${total((device) => device.dropped)} lost in gaps`,
    ...(worst ? [`${worst[0]}: ${worst[1].phase}`] : []),
  ].join(', ');
}

function machineNames(machines: readonly MachineSpec[]): string {
  return machines.map(({ description }) => description.id).join(', ');
}
