import { setTimeout as sleep } from 'node:timers/promises';
import { METRICS } from './load.ts';
import { sendADaysData, type DaysData } from './days-data.ts';
import { SITE, startPlatform, type RunningPlatform } from './running-platform.ts';
import { percentiles, type Percentiles } from './statistics.ts';

export interface ChartOptions {
  readonly machines: number;
  readonly charts: number;
}

export interface ChartResult {
  readonly data: DaysData;
  readonly points: number;
  readonly source: string;
  /** The first chart after the data came, and the others, each of another metric or machine. */
  readonly firstMs: number;
  readonly chartMs: Percentiles;
  /** The last minute's raw points, for comparison. */
  readonly rawMinuteMs: Percentiles;
}

/** Rollups and their repair have followed after so long. */
const REST_MS = 15_000;

/** A chart of 24 hours of one metric in steps of a minute, through the API, with a day's data of more machines in the store. */
export async function runChartBench({ machines, charts }: ChartOptions): Promise<ChartResult> {
  await using platform = await startPlatform();
  const data = await sendADaysData(platform, await platform.addMachines(machines, machines));
  await sleep(REST_MS);
  const chart = { ...data, step: '&step=1m' };
  const first = await ask(platform, 0, machines, chart);
  const chartMs: number[] = [];
  const rawMinuteMs: number[] = [];
  for (let i = 1; i <= charts; i++) {
    chartMs.push((await ask(platform, i, machines, chart)).tookMs);
    rawMinuteMs.push((await ask(platform, i, machines, { ...data, fromMs: data.toMs - 60_000, step: '' })).tookMs);
  }
  return {
    data,
    points: first.points,
    source: first.source,
    firstMs: first.tookMs,
    chartMs: percentiles(chartMs),
    rawMinuteMs: percentiles(rawMinuteMs),
  };
}

async function ask(
  platform: RunningPlatform,
  i: number,
  machines: number,
  { fromMs, toMs, step }: { readonly fromMs: number; readonly toMs: number; readonly step: string },
): Promise<{ readonly tookMs: number; readonly points: number; readonly source: string }> {
  const metric = METRICS[Math.floor(i / machines) % METRICS.length];
  const began = performance.now();
  const { ts, source } = await platform.get<{ readonly ts: readonly number[]; readonly source: string }>(
    `/v1/machines/m-${i % machines}/series?site=${SITE}&metric=${metric}&from=${fromMs}&to=${toMs}${step}`,
  );
  return { tookMs: performance.now() - began, points: ts.length, source };
}
