import { setTimeout as sleep } from 'node:timers/promises';
import { METRICS, runLoad } from './load.ts';
import { sendADaysData, type DaysData } from './days-data.ts';
import { PeakMemory } from './process-tree.ts';
import { startPlatform, type Device, type RunningPlatform } from './running-platform.ts';

export interface ScaleOptions {
  /** One platform each. */
  readonly machines: readonly number[];
  readonly ratePerS: number;
  readonly seconds: number;
  /** Machines whose day's data is put into the store of the smallest plant. */
  readonly machinesWithDaysData: number;
}

export interface ScaleRun {
  readonly name: string;
  readonly messagesPerS: number;
  readonly cpuUsPerReading: number;
  /** To the first run's. */
  readonly ratio: number;
  readonly pubackP95Ms: number;
  readonly peakAnonymousMiB: number;
  readonly ledgerExact: boolean;
}

export interface ScaleResult {
  readonly runs: readonly ScaleRun[];
  readonly data: DaysData;
}

const CONNECTIONS = 20;
/** Every machine of a large plant has sent several messages then. */
const WARM_UP_S = 8;
const REST_MS = 15_000;

/** Processor time a reading at one rate: with more machines, and with a day's data in the store. */
export async function runScaleBench(options: ScaleOptions): Promise<ScaleResult> {
  const runs: Omit<ScaleRun, 'ratio'>[] = [];
  let data: DaysData | undefined;
  for (const [index, machines] of options.machines.entries()) {
    await using platform = await startPlatform();
    const devices = await platform.addMachines(machines, CONNECTIONS);
    runs.push(await scaleRun(`${machines} machines`, platform, devices, options));
    if (index > 0) continue;
    const some = devices.map((device) => ({ ...device, topics: device.topics.slice(0, 1) }));
    data = await sendADaysData(platform, some.slice(0, options.machinesWithDaysData));
    await sleep(REST_MS);
    runs.push(await scaleRun(`${machines} machines, a day's data in the store`, platform, devices, options));
  }
  const first = runs[0]!.cpuUsPerReading;
  return { runs: runs.map((run) => ({ ...run, ratio: run.cpuUsPerReading / first })), data: data! };
}

async function scaleRun(
  name: string,
  platform: RunningPlatform,
  connections: readonly Device[],
  { ratePerS, seconds }: ScaleOptions,
): Promise<Omit<ScaleRun, 'ratio'>> {
  const load = { port: platform.mqttPort, connections, ratePerS };
  await runLoad({ ...load, seconds: WARM_UP_S });
  await platform.settled();
  const memory = new PeakMemory(platform.tree);
  const before = platform.tree.cpuSeconds();
  const { acknowledged, seconds: took, latencyMs } = await runLoad({ ...load, seconds });
  const { ledger } = await platform.settled();
  const cpuSeconds = platform.tree.cpuSeconds() - before;
  return {
    name,
    messagesPerS: acknowledged / took,
    cpuUsPerReading: (cpuSeconds * 1e6) / (acknowledged * METRICS.length),
    pubackP95Ms: latencyMs.p95,
    peakAnonymousMiB: memory.stop(),
    ledgerExact: ledger.exact && ledger.pending === 0,
  };
}
