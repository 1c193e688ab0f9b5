import { setTimeout as sleep } from 'node:timers/promises';
import { SingleBar, Presets } from 'cli-progress';
import { Option, type Command } from 'commander';
import type { PlantDescription } from '#core/domain/plant.ts';
import type { AlarmView } from '#services/api-gateway/schemas/alarms.ts';
import type { AddedDevice } from '#services/api-gateway/schemas/devices.ts';
import type { LedgerView } from '#services/api-gateway/schemas/ledger.ts';
import { startSimulator } from '#services/edge-simulator/composition.ts';
import { demoPlant } from '#services/edge-simulator/plant.ts';
import { REPLAY_FORMATS, type ReplayFormat } from '#services/edge-simulator/replay/formats.ts';
import type { ReplayResult } from '#services/edge-simulator/replay/replay-tally.ts';
import { replay } from '#services/edge-simulator/replay/replay.ts';
import type { ApiClient } from './api-client.ts';
import type { Action } from './main.ts';
import { CommandError, table } from './output.ts';

const DRAIN_WITHIN_MS = 120_000;

interface ReplayFlags {
  readonly format: ReplayFormat;
  readonly speed: string;
  readonly times: 'end' | 'start' | 'keep';
  readonly site?: string;
  readonly mapping?: string;
  readonly only?: string;
  readonly prefix?: string;
}

/** `tribo replay` and `tribo simulate`: data without a device. */
export function addReplayCommands(program: Command, action: Action): void {
  program
    .command('replay <folder>')
    .description('send a recording through the platform, as if its machines were here')
    .addOption(
      new Option('--format <format>', 'what the folder holds').choices([...REPLAY_FORMATS]).makeOptionMandatory(),
    )
    .option('--speed <factor>', 'times as fast as it was recorded, or max', 'max')
    .addOption(
      new Option('--times <how>', 'end: the recording ends now; start: it begins now; keep: its own times, by import')
        .choices(['end', 'start', 'keep'])
        .default('end'),
    )
    .option('--site <site>', 'site of its machines (default: the format’s name)')
    .option('--mapping <file>', 'how to read the columns; for the format csv')
    .option('--only <text>', 'only recordings whose name holds this text')
    .option('--prefix <text>', 'put before each machine’s name')
    .action(
      action(async ({ api, configuration, out }, folder: string, flags: ReplayFlags) => {
        const client = api();
        const { tenant, acceptAgeDays } = configuration();
        const bar = new SingleBar(
          { format: '{bar} {percentage}% | {messages} messages | {rate}/s', clearOnComplete: true, noTTYOutput: false },
          Presets.shades_classic,
        );
        const isShown = process.stderr.isTTY && !out.json;
        if (isShown) bar.start(100, 0, { messages: 0, rate: 0 });
        const machines: string[] = [];
        const site = flags.site ?? flags.format;
        const result = await replay({
          format: flags.format,
          folder,
          tenant,
          site,
          speed: parseSpeed(flags.speed),
          shiftTimes: flags.times,
          acceptAgeDays,
          mapping: flags.mapping,
          only: flags.only,
          machinePrefix: flags.prefix,
          transport: { mode: 'http', url: client.url, token: client.token },
          onPlant: async (plant) => {
            machines.push(...plant.machines.map((machine) => machine.id));
            await client.request('PUT', '/v1/plant', plant);
          },
          onProgress: ({ fraction, messages, elapsedS }) => {
            if (isShown)
              bar.update(Math.round(fraction * 100), {
                messages,
                rate: Math.round(messages / Math.max(elapsedS, 0.001)),
              });
          },
        }).finally(() => bar.stop());
        const ledger = await untilSettled(client);
        const alarms = await alarmsOf(client, site, machines);
        out.result({ ...result, ledger, alarms }, () => report(result, ledger, alarms));
      }),
    );

  program
    .command('simulate')
    .description('run the simulated demo plant against the platform until Ctrl-C')
    .option('--site <site>', 'site of its machines', 'simulated')
    .option('--speed <factor>', 'how fast machines age; 1 shows a bearing fault within two minutes', '1')
    .option('--seed <number>', 'same seed, same plant', '1')
    .action(
      action(async ({ api, configuration, out }, flags: { site: string; speed: string; seed: string }) => {
        const client = api();
        const { tenant, host, mqttPort, dataDir } = configuration();
        const plant = demoPlant({ tenant, site: flags.site });
        const device = await simulatorDevice(client, plant);
        const simulator = await startSimulator({
          transport: { mode: 'mqtt', url: `mqtt://${host}:${mqttPort}`, devices: [device] },
          tenant,
          site: flags.site,
          dataDir: `${dataDir}/edge-simulator-${flags.site}`,
          speed: Number(flags.speed),
          seed: Number(flags.seed),
          log: { info: () => undefined, warn: (_details, message) => process.stderr.write(`${message}\n`) },
        });
        out.result(
          { machines: device.machines },
          () => `${device.machines.length} machines of site ${flags.site} are sending. Ctrl-C stops them.`,
        );
        await new Promise((resolve) => process.once('SIGINT', resolve).once('SIGTERM', resolve));
        await simulator.stop();
      }),
    );
}

/** Registers the plant and a device that may speak for all of it; its secret is new each time. */
async function simulatorDevice(client: ApiClient, plant: PlantDescription) {
  await client.request('PUT', '/v1/plant', plant);
  const machines = plant.machines.map((machine) => machine.id);
  const id = `simulator-${plant.site}`;
  await client.request('DELETE', `/v1/devices/${id}`).catch((error: unknown) => {
    if (!(error instanceof CommandError && error.kind === 'not-found')) throw error;
  });
  const { secret } = await client.request<AddedDevice>('POST', '/v1/devices', {
    id,
    machines: machines.map((machine) => ({ site: plant.site, machine })),
  });
  return { id, secret, machines };
}

function parseSpeed(text: string): number | 'max' {
  if (text === 'max') return 'max';
  const speed = Number(text);
  if (Number.isFinite(speed) && speed > 0) return speed;
  throw new CommandError('usage', `--speed must be max or a number above 0, got ${text}`);
}

async function untilSettled(client: ApiClient): Promise<LedgerView> {
  const until = performance.now() + DRAIN_WITHIN_MS;
  for (;;) {
    const ledger = await client.request<LedgerView>('GET', '/v1/ledger');
    if (ledger.pending === 0 || performance.now() > until) return ledger;
    await sleep(200);
  }
}

/** Alarms follow what they judge by a moment: asked for until no more come. */
async function alarmsOf(client: ApiClient, site: string, machines: readonly string[]): Promise<AlarmView[]> {
  const states =
    'normal,unacknowledged,acknowledged,rtn-unacknowledged,latched,shelved,suppressed-by-design,out-of-service';
  let known = -1;
  for (;;) {
    const { items } = await client.request<{ items: AlarmView[] }>(
      'GET',
      `/v1/alarms?site=${encodeURIComponent(site)}&limit=500&state=${states}`,
    );
    const own = items.filter((alarm) => machines.includes(alarm.machine));
    if (own.length === known) return own;
    known = own.length;
    await sleep(3000);
  }
}

function report(result: ReplayResult, ledger: LedgerView, alarms: readonly AlarmView[]): string {
  const per = (value: number) => Math.round(value).toLocaleString('en');
  return [
    `${per(result.messages)} messages (${per(result.items)} items) of ${result.machines} machines in ${result.seconds.toFixed(1)} s: ${per(result.messagesPerS)} messages/s, ${per(result.itemsPerS)} items/s`,
    ...(result.rejectedItems > 0
      ? [`${per(result.rejectedItems)} items were rejected; the first because ${result.firstRejection ?? 'unknown'}`]
      : []),
    ...(result.refusedMessages > 0
      ? [`${per(result.refusedMessages)} messages were refused; the first because ${result.firstRefusal ?? 'unknown'}`]
      : []),
    `Ledger: ${ledger.exact ? 'exact' : 'NOT EXACT'}, ${per(ledger.pending)} pending`,
    'Alarms:',
    table(
      ['machine', 'raised', 'priority', 'state', 'alarm'],
      alarms.map((alarm) => [
        alarm.machine,
        new Date(alarm.raisedMs).toISOString(),
        alarm.priority,
        alarm.state,
        alarm.title,
      ]),
    ),
  ].join('\n');
}
