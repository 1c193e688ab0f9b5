import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BIGINT, DOUBLE, DuckDBInstance, INTEGER, UTINYINT } from '@duckdb/node-api';
import type { ReadingColumns } from '#adapters/embedded/duckdb-time-series-store/settler.ts';
import { DuckDbTimeSeriesStore } from '#adapters/embedded/duckdb-time-series-store/duckdb-time-series-store.ts';
import { TableAppender } from '#adapters/embedded/duckdb-time-series-store/table-appender.ts';
import type { StampedEvent } from '#core/domain/event.ts';
import {
  machineKey,
  parseName,
  type MachineId,
  type MachineKey,
  type SiteId,
  type TenantId,
} from '#core/domain/ids.ts';
import { settlementOutcomes } from '#core/settlement/outcomes.ts';

/** What the store bench runs. */
export interface StoreBenchOptions {
  readonly messages: number;
  readonly batchMessages: number;
  readonly metricsAMessage: number;
  /** One run each. */
  readonly machines: readonly number[];
}

/** One run: how fast messages were settled, with maintenance running beside, and what that took. */
export interface StoreBenchRun {
  readonly machines: number;
  readonly messagesPerS: number;
  readonly readingsPerS: number;
  /** Parsing of payloads alone, in the same batches. */
  readonly decodeMsPerBatch: number;
  readonly settleP50Ms: number;
  readonly settleP95Ms: number;
  readonly settleMaxMs: number;
  /** Processor time a reading, all threads, maintenance included. */
  readonly cpuUsPerReading: number;
  readonly peakAnonymousMiB: number;
  readonly fileBytesPerReading: number;
  /** A day of one metric from rollups, of which this run has written what it has; a minute's raw points; newest values. */
  readonly chartMs: number;
  readonly rawMinuteMs: number;
}

export interface StoreBenchResult {
  /** The same rows through DuckDB's appender alone, a transaction a batch. */
  readonly bareAppenderReadingsPerS: number;
  readonly runs: readonly StoreBenchRun[];
}

const DEFAULTS: StoreBenchOptions = {
  messages: 1_000_000,
  batchMessages: 5_000,
  metricsAMessage: 10,
  machines: [200, 20_000],
};

/** Settles synthetic telemetry as fast as it goes. */
export async function runStoreBench(options: Partial<StoreBenchOptions> = {}): Promise<StoreBenchResult> {
  const settings = { ...DEFAULTS, ...options };
  const bareAppenderReadingsPerS = await inFolder((folder) => bareAppender(settings, folder));
  const runs: StoreBenchRun[] = [];
  for (const machines of settings.machines)
    runs.push(await inFolder((folder) => settleRun(settings, machines, folder)));
  return { bareAppenderReadingsPerS, runs };
}

async function inFolder<Result>(task: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'tribo-bench-store-'));
  try {
    return await task(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function bareAppender(settings: StoreBenchOptions, folder: string): Promise<number> {
  const instance = await DuckDBInstance.create(join(folder, 'bare.duckdb'), { threads: '1', memory_limit: '192MiB' });
  const connection = await instance.connect();
  await connection.run('CREATE TABLE readings (s INTEGER, ts BIGINT, value DOUBLE, quality UTINYINT, ord BIGINT)');
  const types = [INTEGER, BIGINT, DOUBLE, UTINYINT, BIGINT];
  const appender = await TableAppender.open<ReadingColumns>(connection, 'readings', types);
  const rows = settings.batchMessages * settings.metricsAMessage;
  const batches = Math.ceil(settings.messages / settings.batchMessages);
  const startedAt = performance.now();
  for (let batch = 0; batch < batches; batch++) {
    await connection.run('BEGIN');
    const ts = BigInt(batch);
    for (let i = 0; i < rows; i++) {
      const { columns, row } = appender;
      columns[0].setItem(row, i % 2000);
      columns[1].setItem(row, ts);
      columns[2].setItem(row, i * 0.37);
      columns[3].setItem(row, 0);
      columns[4].setItem(row, ts);
      appender.endRow();
    }
    appender.flush();
    await connection.run('COMMIT');
  }
  const seconds = (performance.now() - startedAt) / 1000;
  connection.closeSync();
  instance.closeSync();
  return Math.round((rows * batches) / seconds);
}

async function settleRun(settings: StoreBenchOptions, machineCount: number, directory: string): Promise<StoreBenchRun> {
  const store = await DuckDbTimeSeriesStore.open({ directory });
  const source = new Telemetry(settings, machineCount);
  const settleMs: number[] = [];
  let decodeMs = 0;
  let cpuMs = 0;
  let peakAnonymousMiB = 0;
  const maintenance = repeatedly(() => store.maintain(Date.now()), 1000);
  for (let done = 0; done < settings.messages; done += settings.batchMessages) {
    const events = source.batch();
    const cpuBefore = process.cpuUsage();
    const startedAt = performance.now();
    const outcomes = settlementOutcomes(events);
    const decodedAt = performance.now();
    await store.settle({ stream: 'metrics', group: 'store', fence: 1, outcomes });
    settleMs.push(performance.now() - decodedAt);
    decodeMs += decodedAt - startedAt;
    const cpu = process.cpuUsage(cpuBefore);
    cpuMs += (cpu.user + cpu.system) / 1000;
    if (settleMs.length % 10 === 0) peakAnonymousMiB = Math.max(peakAnonymousMiB, await anonymousMiB());
  }
  await maintenance.stop();
  const chartMs = await timed(() => source.chart(store, 60_000, 86_400_000));
  const rawMinuteMs = await timed(() => source.chart(store, 0, 60_000));
  await store.close();
  const fileBytes = (await stat(join(directory, 'timeseries.duckdb'))).size;
  const readings = settings.messages * settings.metricsAMessage;
  const seconds = (settleMs.reduce((sum, each) => sum + each, 0) + decodeMs) / 1000;
  settleMs.sort((a, b) => a - b);
  const quantile = (q: number) => round(settleMs[Math.min(settleMs.length - 1, Math.floor(settleMs.length * q))]!);
  return {
    machines: machineCount,
    messagesPerS: Math.round(settings.messages / seconds),
    readingsPerS: Math.round(readings / seconds),
    decodeMsPerBatch: round(decodeMs / settleMs.length),
    settleP50Ms: quantile(0.5),
    settleP95Ms: quantile(0.95),
    settleMaxMs: quantile(1),
    cpuUsPerReading: round((cpuMs * 1000) / readings),
    peakAnonymousMiB: Math.round(peakAnonymousMiB),
    fileBytesPerReading: round(fileBytes / readings),
    chartMs: round(chartMs),
    rawMinuteMs: round(rawMinuteMs),
  };
}

/** Telemetry of machines that report once a second of their own time, which runs as fast as the store takes it. */
class Telemetry {
  readonly #settings: StoreBenchOptions;
  readonly #keys: readonly MachineKey[];
  readonly #metrics: readonly string[];
  readonly #encoder = new TextEncoder();
  readonly #startMs = Date.now() - 86_400_000;
  #seq = 0;

  constructor(settings: StoreBenchOptions, machines: number) {
    this.#settings = settings;
    const tenant = parseName<TenantId>('tenant', 'bench');
    const site = parseName<SiteId>('site', 'hall');
    this.#keys = Array.from({ length: machines }, (_, i) =>
      machineKey(tenant, site, parseName<MachineId>('machine', `machine-${i}`)),
    );
    this.#metrics = Array.from({ length: settings.metricsAMessage }, (_, i) => `metric_${i}`);
  }

  batch(): StampedEvent[] {
    return Array.from({ length: this.#settings.batchMessages }, () => this.#event());
  }

  async chart(store: DuckDbTimeSeriesStore, stepMs: number, rangeMs: number): Promise<void> {
    const toMs = this.#now() + 1000;
    const result = await store.series({
      machine: this.#keys[0]!,
      metric: this.#metrics[0]!,
      fromMs: toMs - rangeMs,
      toMs,
      stepMs,
      aggregates: ['mean', 'min', 'max'],
      limit: 100_000,
    });
    if (result.ts.length === 0) throw new Error('the chart is empty');
  }

  #now(): number {
    return this.#startMs + Math.floor(this.#seq / this.#keys.length) * 1000;
  }

  #event(): StampedEvent {
    const seq = this.#seq;
    const ts = this.#now();
    this.#seq += 1;
    const metrics = Object.fromEntries(
      this.#metrics.map((name, i) => [name, Math.round((50 + i + Math.sin(seq / 1000) + Math.random()) * 1000) / 1000]),
    );
    const items = this.#settings.metricsAMessage;
    return {
      eventId: `${seq.toString(36).padStart(12, '0')}-${(seq * 7919).toString(36)}`,
      kind: 'telemetry',
      key: this.#keys[seq % this.#keys.length]!,
      items,
      acceptedAtMs: Date.now(),
      payload: this.#encoder.encode(JSON.stringify({ ts, metrics })),
      source: 'bench',
      epoch: 1,
      seq: this.#seq,
      cumulativeItems: this.#seq * items,
    };
  }
}

function repeatedly(task: () => Promise<unknown>, everyMs: number): { stop(): Promise<void> } {
  let running: Promise<unknown> = Promise.resolve();
  let idle = true;
  const timer = setInterval(() => {
    if (!idle) return;
    idle = false;
    running = task().finally(() => (idle = true));
  }, everyMs);
  return {
    stop: async () => {
      clearInterval(timer);
      await running;
    },
  };
}

async function timed(task: () => Promise<void>): Promise<number> {
  await task();
  const startedAt = performance.now();
  await task();
  return performance.now() - startedAt;
}

/** Memory that is not a file's: what counts against the machine. */
async function anonymousMiB(): Promise<number> {
  const rollup = await readFile('/proc/self/smaps_rollup', 'utf8');
  return Number(/^Anonymous:\s+(\d+)/m.exec(rollup)?.[1] ?? 0) / 1024;
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

if (import.meta.main) {
  const messages = Number(process.argv[2] ?? DEFAULTS.messages);
  const machines = process.argv[3]?.split(',').map(Number) ?? DEFAULTS.machines;
  console.log(JSON.stringify(await runStoreBench({ messages, machines }), null, 2));
}
