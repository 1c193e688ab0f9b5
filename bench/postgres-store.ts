import { PostgresTimeSeriesStore } from '#adapters/postgres/postgres-time-series-store/postgres-time-series-store.ts';
import { postgresTimeSeriesStoreConfigSchema } from '#adapters/postgres/postgres-time-series-store/config.ts';
import type { StampedEvent } from '#core/domain/event.ts';
import type { MachineKey, TenantId } from '#core/domain/ids.ts';
import type { EventOutcome } from '#core/ports/time-series-store.ts';
import { Postgres } from '#test/peers/postgres.ts';
import type { AdapterBenchRow } from './adapters.ts';
import { bareCopy, bareSettle, type FloorRate } from './postgres-floors.ts';
import { percentiles } from './statistics.ts';

const BATCH_MESSAGES = 5_000;
const METRICS = Array.from({ length: 10 }, (_, i) => `metric_${i}`);
const BATCH_ROWS = BATCH_MESSAGES * METRICS.length;
const MACHINES = 200;
/** What a store has to take for long, rows a second; for so many times as long as it is run as fast as it goes. */
const SUSTAINED_PER_S = 100_000;
const SUSTAINED_TIMES = 10;
const TENANT = 'bench' as TenantId;
/** As a small server of a cloud is set; what was committed is on the disk. */
const SERVER = ['fsync=on', 'synchronous_commit=on', 'shared_buffers=512MB', 'max_wal_size=4GB'];

/**
 * Settles messages of 10 readings as fast as the store takes them, with its housekeeping beside, next to two bare loops
 * on the same server: COPY alone, and SQL that keeps the same promises; then, in a store of its own, at a rate that is to be kept up for long. Throws
 * where the rollups, the newest values or the ledger are not of all readings.
 */
export async function runPostgresStoreBench(seconds: number): Promise<AdapterBenchRow[]> {
  await using postgres = await Postgres.start({ settings: SERVER });
  const floor = { postgres, seconds: Math.max(3, seconds / 4), messages: BATCH_MESSAGES, metrics: METRICS.length };
  const copied = await bareCopy(floor);
  const settled = await bareSettle({ ...floor, machines: MACHINES });
  const fastest = await runStore(postgres, seconds);
  const sustained = await runStore(postgres, seconds * SUSTAINED_TIMES, SUSTAINED_PER_S);
  const beside = (does: string, bare: FloorRate, notes: string): AdapterBenchRow => ({
    ...{ ...rowOf(fastest), does, notes, barePerS: Math.round(bare.rowsPerS), ratio: fastest.perS / bare.rowsPerS },
    bareCpuUsPerItem: bare.cpuUsPerRow,
  });
  return [
    beside(
      'rows settled, rollups current; bare: SQL with receipts, rows and rollups in one transaction',
      settled,
      `batches of ${BATCH_ROWS}, ${MACHINES} machines; ${asNotes(fastest)}`,
    ),
    beside('the same; bare: COPY alone, into a table without index', copied, 'it promises nothing but the rows'),
    {
      ...rowOf(sustained),
      does: `rows settled at ${SUSTAINED_PER_S.toLocaleString('en')}/s for ${seconds * SUSTAINED_TIMES} s`,
      notes: `at most ${sustained.latestS.toFixed(1)} s behind, ${sustained.behindAtEndS.toFixed(1)} s at the end; ${asNotes(sustained)}`,
    },
  ];
}

interface StoreRun {
  readonly perS: number;
  readonly p95Ms: number;
  readonly cpuUsPerRow: number;
  /** Of housekeeping, the longest call of each half of the run. */
  readonly longestMaintenanceMs: readonly [number, number];
  readonly chartMs: number;
  /** How far settlement was behind the rate at the most, and when it ended. */
  readonly latestS: number;
  readonly behindAtEndS: number;
}

/** As fast as it goes, or at a rate. */
async function runStore(postgres: Postgres, seconds: number, ratePerS = Infinity): Promise<StoreRun> {
  const settings = postgresTimeSeriesStoreConfigSchema.parse(postgres.freshConnection());
  const store = await PostgresTimeSeriesStore.open(settings);
  try {
    const source = new Messages();
    const settleMs: number[] = [];
    const cpuBefore = process.cpuUsage();
    const startedAt = performance.now();
    const elapsed = (): number => (performance.now() - startedAt) / 1000;
    const housekeeping = new AbortController();
    const kept = keepHouse(store, housekeeping.signal, () => elapsed() > seconds / 2);
    let [latestS, behindAtEndS] = [0, 0];
    while (elapsed() < seconds) {
      const aheadS = (settleMs.length * BATCH_ROWS) / ratePerS - elapsed();
      if (aheadS > 0 && ratePerS !== Infinity) await new Promise((resolve) => setTimeout(resolve, aheadS * 1000));
      const outcomes = source.batch();
      const before = performance.now();
      await store.settle({ stream: 'metrics', group: 'store', fence: 1, outcomes });
      settleMs.push(performance.now() - before);
      behindAtEndS = Math.max(0, elapsed() - (settleMs.length * BATCH_ROWS) / ratePerS);
      latestS = Math.max(latestS, behindAtEndS);
    }
    const elapsedS = elapsed();
    const cpu = process.cpuUsage(cpuBefore);
    housekeeping.abort();
    const longestMaintenanceMs = await kept;
    const chartMs = await source.check(store, settleMs.length * BATCH_MESSAGES);
    const rows = settleMs.length * BATCH_ROWS;
    return {
      ...{ perS: rows / elapsedS, p95Ms: percentiles(settleMs).p95, cpuUsPerRow: (cpu.user + cpu.system) / rows },
      ...{ longestMaintenanceMs, chartMs, latestS, behindAtEndS },
    };
  } finally {
    await store.close();
  }
}

function rowOf({ perS, p95Ms, cpuUsPerRow }: StoreRun) {
  return { adapter: 'postgres-time-series-store', perS: Math.round(perS), p95Ms, cpuUsPerItem: cpuUsPerRow };
}

function asNotes({ longestMaintenanceMs: [first, second], chartMs }: StoreRun): string {
  return `longest housekeeping ${Math.round(first)} ms, in the second half ${Math.round(second)} ms; a day's chart ${chartMs.toFixed(1)} ms`;
}

/** Once a second, as the service does; returns how long the longest took that began in the first half, and in the second. */
async function keepHouse(
  store: PostgresTimeSeriesStore,
  signal: AbortSignal,
  isSecondHalf: () => boolean,
): Promise<[number, number]> {
  const longestMs: [number, number] = [0, 0];
  while (!signal.aborted) {
    const half = isSecondHalf() ? 1 : 0;
    const startedAt = performance.now();
    await store.maintain(Date.now());
    longestMs[half] = Math.max(longestMs[half], performance.now() - startedAt);
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  return longestMs;
}

/** Machines that report once a second of their own time, which runs as fast as the store takes it. */
class Messages {
  readonly #keys = Array.from({ length: MACHINES }, (_, i) => `${TENANT}/hall/machine-${i}` as MachineKey);
  readonly #startMs = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 86_400_000;
  #seq = 0;

  batch(): EventOutcome[] {
    return Array.from({ length: BATCH_MESSAGES }, () => this.#message());
  }

  /** Reads back from the rollups what was settled; returns how long the chart of a day took. */
  async check(store: PostgresTimeSeriesStore, messages: number): Promise<number> {
    const [ledger] = await store.settled();
    if (ledger?.settled.stored !== messages * METRICS.length) throw new Error('the ledger is not exact');
    const fromMs = this.#startMs;
    const range = { fromMs, toMs: this.#now() + 1000, limit: 100_000, aggregates: ['count', 'mean'] as const };
    const of = { machine: this.#keys[0]!, metric: METRICS[0]! };
    const startedAt = performance.now();
    const day = await store.series({ ...range, ...of, stepMs: 60_000 });
    const chartMs = performance.now() - startedAt;
    const hours = await store.series({ ...range, ...of, stepMs: 3_600_000 });
    for (const { columns } of [day, hours]) {
      const counted = columns['count']!.reduce((sum, each) => sum + each, 0);
      if (counted !== messages / MACHINES)
        throw new Error(`rollups count ${counted} of ${messages / MACHINES} readings`);
    }
    const latest = await store.latest(of.machine);
    if (latest.length !== METRICS.length || latest.some(({ ts }) => ts !== this.#now()))
      throw new Error('newest values are old');
    return chartMs;
  }

  #now(): number {
    return this.#startMs + Math.floor((this.#seq - 1) / MACHINES) * 1000;
  }

  #message(): EventOutcome {
    this.#seq += 1;
    const seq = this.#seq;
    const event: StampedEvent = {
      eventId: `${seq.toString(36).padStart(12, '0')}-${(seq * 7919).toString(36)}`,
      kind: 'telemetry',
      key: this.#keys[(seq - 1) % MACHINES]!,
      items: METRICS.length,
      acceptedAtMs: Date.now(),
      payload: new Uint8Array(),
      source: 'bench',
      epoch: 1,
      seq,
      cumulativeItems: seq * METRICS.length,
    };
    const readings = METRICS.map((metric, i) => ({ metric, value: 50 + i + Math.sin(seq / 1000) }));
    return { type: 'readings', event, ts: this.#now(), readings };
  }
}
