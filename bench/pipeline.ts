/**
 * How much the platform takes, durable before PUBACK, with an exact ledger: the platform, the floors and the load as processes of their own on
 * one machine. Floor A is the broker alone; floor B the broker with parse and a durable append; all under the same generator.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { LoadResult } from '#test/support/load/main.ts';
import { METRICS, runLoad } from './load.ts';
import { Probes, type ProbeResult } from './probes.ts';
import { PeakMemory } from './process-tree.ts';
import { stolenSeconds } from './stolen-time.ts';
import { firstLine, SITE, startPlatform, type Device, type RunningPlatform } from './running-platform.ts';

/** What any machine is to reach in its own time; a laptop reaches several times as much. */
const LEAST_MESSAGES_PER_S = 10_000;

export interface PipelineOptions {
  readonly seconds: number;
  readonly floorSeconds: number;
  /** Before each run, not counted: the compiler is at work. */
  readonly warmUpSeconds: number;
  readonly machines: number;
  readonly connections: number;
  readonly maxInFlight: number;
  /** Rates at which latencies are measured, messages a second. */
  readonly steadyRates: readonly number[];
}

export interface FloorRun {
  readonly name: string;
  readonly load: LoadResult;
  readonly messagesPerS: number;
}

export interface PlatformRun extends FloorRun {
  readonly ratePerS?: number;
  /** Of the time of the load, the share that the host of the machine gave to others. */
  readonly stolenShare: number;
  /** Items that the store settled, over the time until it had settled all of the run. */
  readonly storedReadingsPerS: number;
  /** Readings of the run that the API counts when all is settled. */
  readonly queryableReadings: number;
  readonly acknowledgedReadings: number;
  readonly ledgerExact: boolean;
  readonly pendingAtEnd: number;
  readonly settledAfterS: number;
  readonly probes: ProbeResult;
  readonly peakAnonymousMiB: number;
  readonly cpuSeconds: number;
  readonly cpuUsPerMessage: number;
}

export interface PipelineResult {
  readonly floors: readonly FloorRun[];
  readonly runs: readonly PlatformRun[];
  /** Of the platform, as fast as it takes, to floor B. */
  readonly ratioToFloorB: number;
}

export async function runPipelineBench(options: PipelineOptions): Promise<PipelineResult> {
  const floors = [await floorRun('a', options), await floorRun('b', options)];
  await using platform = await startPlatform();
  const devices = await platform.addMachines(options.machines, options.connections);
  await using probes = await Probes.open(platform);
  const runs = [await platformRun('platform, as fast as it takes', platform, devices, probes, options)];
  for (const rate of options.steadyRates)
    runs.push(await platformRun(`platform at ${rate}/s`, platform, devices, probes, options, rate));
  return { floors, runs, ratioToFloorB: (runs[0]?.messagesPerS ?? 0) / (floors[1]?.messagesPerS ?? Number.NaN) };
}

/** What a run did not do that it owes whoever runs it, however fast it was: empty when nothing was lost. */
export function shortcomings({ name, load, ...run }: PlatformRun): string[] {
  // What was not answered any more may have been stored.
  const excess = run.queryableReadings - run.acknowledgedReadings;
  const isQueryable = excess >= 0 && excess <= load.unanswered * METRICS.length;
  const inOwnTime = run.messagesPerS / (1 - run.stolenShare);
  const isSlow = run.ratePerS === undefined && inOwnTime < LEAST_MESSAGES_PER_S;
  return [
    ...(isSlow ? [`${Math.round(inOwnTime)} messages/s, less than ${LEAST_MESSAGES_PER_S}`] : []),
    ...(run.ledgerExact ? [] : ['the ledger is not exact']),
    ...(isQueryable
      ? []
      : [`${run.queryableReadings} readings are queryable, ${run.acknowledgedReadings} were acknowledged`]),
    ...(run.probes.alarmOnStreamMs.samples > 0 ? [] : ['no change of an alarm was seen']),
    ...(run.probes.alarmsMissing === 0 ? [] : [`${run.probes.alarmsMissing} changes of alarms were not seen`]),
  ].map((what) => `${name}: ${what}`);
}

export async function floorRun(
  kind: 'a' | 'b',
  {
    floorSeconds,
    warmUpSeconds,
    machines,
    connections: count,
    maxInFlight,
  }: Pick<PipelineOptions, 'floorSeconds' | 'warmUpSeconds' | 'machines' | 'connections' | 'maxInFlight'>,
): Promise<FloorRun> {
  const entry = fileURLToPath(new URL('./floor.ts', import.meta.url));
  const child = spawn(process.execPath, [entry, kind], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const { port } = await firstLine<{ port: number }>(child);
    const topics = Array.from({ length: machines }, (_, i) => `tribo/v1/demo/${SITE}/m-${i}/telemetry`);
    const connections = Array.from({ length: count }, (_, i) => ({
      device: `floor-${i}`,
      secret: 'none',
      topics: topics.filter((_topic, at) => at % count === i),
    }));
    await runLoad({ port, connections, maxInFlight, seconds: warmUpSeconds });
    const load = await runLoad({ port, connections, maxInFlight, seconds: floorSeconds });
    const name = kind === 'a' ? 'floor A: broker alone' : 'floor B: broker, parse, durable append';
    return { name, load, messagesPerS: load.acknowledged / load.seconds };
  } finally {
    child.kill('SIGTERM');
  }
}

async function platformRun(
  name: string,
  platform: RunningPlatform,
  connections: readonly Device[],
  probes: Probes,
  { seconds, warmUpSeconds, machines, maxInFlight }: PipelineOptions,
  ratePerS?: number,
): Promise<PlatformRun> {
  const given = { port: platform.mqttPort, connections, maxInFlight, ...(ratePerS !== undefined && { ratePerS }) };
  await runLoad({ ...given, seconds: warmUpSeconds });
  const before = (await platform.settled()).ledger;
  const queryableBefore = await queryable(platform, machines);
  const memory = new PeakMemory(platform.tree);
  const cpuBefore = platform.tree.cpuSeconds();
  const began = performance.now();
  const probing = probes.run(seconds);
  const stolenBefore = stolenSeconds();
  const load = await runLoad({ ...given, seconds });
  const stolenShare = Math.min(0.9, (stolenSeconds() - stolenBefore) / load.seconds);
  const { pending } = await platform.ledger();
  const { afterS, ledger } = await platform.settled();
  const settledS = (performance.now() - began) / 1000;
  const cpuSeconds = platform.tree.cpuSeconds() - cpuBefore;
  const peakAnonymousMiB = memory.stop();
  const probed = await probing;
  return {
    name,
    load,
    ...(ratePerS !== undefined && { ratePerS }),
    stolenShare,
    messagesPerS: load.acknowledged / load.seconds,
    storedReadingsPerS: (ledger.stored - before.stored) / settledS,
    queryableReadings: (await queryable(platform, machines)) - queryableBefore,
    acknowledgedReadings: load.acknowledged * METRICS.length,
    ledgerExact: ledger.exact,
    pendingAtEnd: pending,
    settledAfterS: afterS,
    probes: probed,
    peakAnonymousMiB,
    cpuSeconds,
    cpuUsPerMessage: (cpuSeconds / load.acknowledged) * 1e6,
  };
}

/** Readings of the load that the API counts: those of one metric a machine, as every message carries them all. */
async function queryable(platform: RunningPlatform, machines: number): Promise<number> {
  const toMs = Date.now() + 3_600_000;
  let messages = 0;
  for (let i = 0; i < machines; i++) {
    const path = `/v1/machines/m-${i}/series?site=${SITE}&metric=${METRICS[0]}&from=${toMs - 86_400_000}&to=${toMs}`;
    const { columns } = await platform.get<{ columns: { count: number[] } }>(`${path}&step=1h&aggregate=count`);
    messages += columns.count.reduce((sum, count) => sum + count, 0);
  }
  return messages * METRICS.length;
}
