import { runLoad } from './load.ts';
import { PeakMemory } from './process-tree.ts';
import { startPlatform } from './running-platform.ts';
import { slope } from './statistics.ts';

export interface SoakOptions {
  readonly minutes: number;
  readonly machines: number;
  readonly connections: number;
  /** Messages a second; absent: half of what a run of a few seconds as fast as it takes reached. */
  readonly ratePerS?: number;
}

export interface SoakResult {
  readonly minutes: number;
  readonly messagesPerS: number;
  readonly acknowledged: number;
  readonly ledgerExact: boolean;
  readonly pubackMs: { readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number };
  /** Anonymous memory of the tree: the least and the most after the first third, and the slope of the line through it since then. */
  readonly leastMiB: number;
  readonly mostMiB: number;
  readonly slopeMiBPerMinute: number;
  readonly cpuUsPerMessage: number;
}

const PEAK_S = 15;
/** Caches fill and the compiler works in the first third. */
const COUNTED_FROM = 1 / 3;

/** Memory and latencies over a long run at half the peak rate. */
export async function runSoakBench({ minutes, machines, connections, ratePerS }: SoakOptions): Promise<SoakResult> {
  await using platform = await startPlatform();
  const load = { port: platform.mqttPort, connections: await platform.addMachines(machines, connections) };
  const peak = await runLoad({ ...load, seconds: PEAK_S });
  await platform.settled();
  const memory = new PeakMemory(platform.tree, 1000);
  const cpuBefore = platform.tree.cpuSeconds();
  const rate = ratePerS ?? peak.acknowledged / peak.seconds / 2;
  const { acknowledged, seconds, latencyMs } = await runLoad({ ...load, seconds: minutes * 60, ratePerS: rate });
  const cpuSeconds = platform.tree.cpuSeconds() - cpuBefore;
  memory.stop();
  const { ledger } = await platform.settled();
  const { samples } = memory;
  const counted = samples.slice(Math.floor(samples.length * COUNTED_FROM));
  return {
    minutes: seconds / 60,
    messagesPerS: acknowledged / seconds,
    acknowledged,
    ledgerExact: ledger.exact && ledger.pending === 0,
    pubackMs: latencyMs,
    leastMiB: Math.min(...counted.map(({ mib }) => mib)),
    mostMiB: Math.max(...counted.map(({ mib }) => mib)),
    slopeMiBPerMinute: slope(counted.map(({ atS, mib }) => ({ x: atS / 60, y: mib }))),
    cpuUsPerMessage: (cpuSeconds / acknowledged) * 1e6,
  };
}
