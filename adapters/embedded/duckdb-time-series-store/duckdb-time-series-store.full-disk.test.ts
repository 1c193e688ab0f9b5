import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { isPortError } from '#core/errors.ts';
import { DuckDbTimeSeriesStore } from './duckdb-time-series-store.ts';
import type { MaintenanceLimits } from './maintenance.ts';
import { StoredRows } from './testing/stored-rows.ts';
import { batchOf, MACHINE_KEYS, messages, METRICS_A_MESSAGE } from './testing/telemetry.ts';

const BATCH = 2_000;
const MIB = 2 ** 20;
const WHOLE = { fromMs: 0, toMs: Date.UTC(2030, 0, 1) };
/** Every run seals and checkpoints, so that the disk is also full in the middle of those. */
const BUSY: Partial<MaintenanceLimits> = { sealRows: 1, rollUpRows: 1, rollUpAfterMs: 0, checkpointBytes: 1 };

let directory: string;
let isTmpfs: boolean;
let store: DuckDbTimeSeriesStore | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tribo-full-store-'));
  isTmpfs = mountTmpfs(directory);
});

afterEach(async () => {
  await store?.close();
  store = undefined;
  if (isTmpfs) execFileSync('umount', [directory]);
  rmSync(directory, { recursive: true });
});

describe('a store whose disk is full', () => {
  it.each([
    ['while it settles', {}],
    ['while it settles, seals and checkpoints', BUSY],
  ])(
    'refuses with resource_exhausted, stays exact and readable, and goes on when space returns: %s',
    async (_when, limits) => {
      if (!isTmpfs) return mapsTheError();
      store = await DuckDbTimeSeriesStore.open({ directory: join(directory, 'store') }, { limits });
      const ballast = join(directory, 'ballast');
      writeFileSync(ballast, Buffer.alloc(statfsSync(directory).bavail * statfsSync(directory).bsize - 4 * MIB));

      const settled = await settleUntilRefused(store);
      await store.maintain(Date.now()).catch(expectFull);
      await expectExact(store, settled);
      await expect(store.settle(batchOf(messages(settled + 1, settled + BATCH)))).rejects.toMatchObject({
        code: 'resource_exhausted',
      });

      unlinkSync(ballast);
      await store.settle(batchOf(messages(settled + 1, settled + BATCH)));
      await store.maintain(Date.now());
      await expectExact(store, settled + BATCH);
      await store.close();
      await expectRows(settled + BATCH);
      store = await DuckDbTimeSeriesStore.open({ directory: join(directory, 'store') });
      await expectExact(store, settled + BATCH);
    },
    120_000,
  );
});

async function settleUntilRefused(store: DuckDbTimeSeriesStore): Promise<number> {
  for (let seq = 0; ; seq += BATCH) {
    try {
      await store.settle(batchOf(messages(seq + 1, seq + BATCH)));
    } catch (error) {
      expectFull(error);
      return seq;
    }
    await store.maintain(Date.now()).catch(expectFull);
  }
}

function expectFull(error: unknown): void {
  expect(isPortError(error) ? error.code : error).toBe('resource_exhausted');
}

/** Counters, events and readings each by themselves: any could be there without the others. */
async function expectExact(store: DuckDbTimeSeriesStore, messageCount: number): Promise<void> {
  const [tenant] = await store.settled();
  expect(tenant?.settled.stored ?? 0).toBe(messageCount * METRICS_A_MESSAGE);
  const sent = Map.groupBy(readingMessages(messageCount), ({ event }) => event.key);
  for (const machine of MACHINE_KEYS) {
    const own = sent.get(machine) ?? [];
    const ids = await store.storedEventIds(machine, WHOLE);
    expect(ids.toSorted()).toEqual(own.map(({ event }) => event.eventId).toSorted());
    for (let metric = 0; metric < METRICS_A_MESSAGE; metric++) {
      const query = { ...WHOLE, machine, metric: `metric_${metric}`, stepMs: 0, aggregates: [], limit: 1_000_000 };
      const series = await store.series(query);
      // Of two at the same time the later one is read.
      const newest = new Map(own.map(({ ts, readings }) => [ts, readings[metric]!.value]));
      expect(new Map([...series.ts].map((ts, at) => [ts, series.columns['value']![at]]))).toEqual(newest);
    }
  }
}

/** Of the file of the closed store: every reading of every message has its row, and there are no others. */
async function expectRows(messageCount: number): Promise<void> {
  using rows = await StoredRows.open(join(directory, 'store'));
  const sent = Map.groupBy(readingMessages(messageCount), ({ event }) => event.key);
  expect(await rows.items()).toBe(messageCount * METRICS_A_MESSAGE);
  for (const machine of MACHINE_KEYS) {
    const found = (await rows.readingsOf(machine)).map(({ metric, ts, value }) => `${metric} ${ts} ${value}`);
    const expected = (sent.get(machine) ?? []).flatMap(({ ts, readings }) =>
      readings.map(({ metric, value }) => `${metric} ${ts} ${value}`),
    );
    expect(found.toSorted()).toEqual(expected.toSorted());
  }
}

function readingMessages(count: number) {
  return messages(1, count).filter((outcome) => outcome.type === 'readings');
}

/** Without the right to mount a small file system, only the answer to DuckDB's error can be tested, which in CI is not enough. */
async function mapsTheError(): Promise<void> {
  process.stderr.write('not allowed to mount a tmpfs: the full disk is only pretended\n');
  let full = true;
  const beforeCommit = () => {
    if (full)
      throw new Error('TransactionContext Error: Failed to commit: Could not write file: No space left on device');
  };
  store = await DuckDbTimeSeriesStore.open({ directory: join(directory, 'store') }, { beforeCommit });
  await expect(store.settle(batchOf(messages(1, BATCH)))).rejects.toMatchObject({ code: 'resource_exhausted' });
  full = false;
  await store.settle(batchOf(messages(1, BATCH)));
  await expectExact(store, BATCH);
}

function mountTmpfs(path: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', path], { stdio: 'ignore' });
    return true;
  } catch (error) {
    if (process.env['CI']) throw error;
    return false;
  }
}
