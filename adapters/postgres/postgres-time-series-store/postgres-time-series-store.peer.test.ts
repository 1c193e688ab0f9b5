import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { movableHistoryContract } from '#core/contracts/movable-history.contract.ts';
import { stampedEvent } from '#core/contracts/sample-event.ts';
import { timeSeriesStoreContract } from '#core/contracts/time-series-store.contract.ts';
import { until } from '#core/contracts/until.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { isRetryable } from '#core/errors.ts';
import type { EventOutcome, SettleBatch } from '#core/ports/time-series-store.ts';
import { Postgres } from '#test/peers/postgres.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { timeSeriesStoreHarness } from '../contract-harnesses.ts';
import { postgresTimeSeriesStoreConfigSchema } from './config.ts';
import { PostgresTimeSeriesStore } from './postgres-time-series-store.ts';

let postgres: Postgres;

beforeAll(async () => {
  postgres = await Postgres.start();
}, 300_000);
afterAll(() => postgres[Symbol.asyncDispose]());

const makeHarness = () =>
  timeSeriesStoreHarness(() => postgresTimeSeriesStoreConfigSchema.parse(postgres.freshConnection()));

describeContract(timeSeriesStoreContract, 'PostgreSQL', makeHarness);

describeContract(movableHistoryContract, 'PostgreSQL', async () => {
  const [here, there] = [await makeHarness(), await makeHarness()];
  return {
    store: here.store,
    elsewhere: there.store,
    reopenElsewhere: there.reopen,
    folder: here.folder,
    readFile,
    writeFile,
    [Symbol.asyncDispose]: async () => {
      for (const each of [here, there]) await each[Symbol.asyncDispose]();
    },
  };
});

const MACHINE = 'north/akron/m1' as MachineKey;
const T0 = Date.UTC(2026, 0, 15, 12);

function message(seq: number, metric = 'm', eventId = `e-${seq}`): EventOutcome {
  const event = stampedEvent(seq, { key: MACHINE, eventId, acceptedAtMs: T0 });
  return { type: 'readings', event, ts: T0 + seq * 1000, readings: [{ metric, value: seq }] };
}

function batchOf(outcomes: readonly EventOutcome[]): SettleBatch {
  return { stream: 'metrics', group: 'store', fence: 1, outcomes };
}

const open = (connection: ReturnType<Postgres['freshConnection']>) =>
  PostgresTimeSeriesStore.open(postgresTimeSeriesStoreConfigSchema.parse(connection));

async function countOf(store: PostgresTimeSeriesStore, metric: string, stepMs: number): Promise<number> {
  const whole = { machine: MACHINE, metric, fromMs: T0, toMs: T0 + 86_400_000, limit: 100_000 };
  const { columns } = await store.series({ ...whole, stepMs, aggregates: ['count'] });
  return columns['count']!.reduce((sum, each) => sum + each, 0);
}

describe('time series in PostgreSQL', () => {
  it('may be settled by one process after the other, each of which knows what the others wrote', async () => {
    const connection = postgres.freshConnection();
    // Opened together: their migrations run once.
    const stores = await Promise.all([open(connection), open(connection), open(connection)]);
    for (let seq = 1; seq <= 9; seq++) {
      const store = stores[seq % 3]!;
      await store.settle(batchOf([message(seq, `metric_${seq % 4}`)]));
      if (seq === 5) await stores[0].maintain(T0 + 3_600_000);
    }
    for (const store of stores) {
      const [tenant] = await store.settled();
      expect(tenant?.settled.stored).toBe(9);
      expect((await store.latest(MACHINE)).map(({ metric, value }) => [metric, value])).toEqual([
        ...[
          ['metric_0', 8],
          ['metric_1', 9],
          ['metric_2', 6],
          ['metric_3', 7],
        ],
      ]);
      expect(await countOf(store, 'metric_1', 60_000)).toBe(3);
    }
    for (const store of stores) await store.close();
  });

  it('lose nothing and count nothing twice when the server is killed while it takes rows, and started again', async () => {
    const store = await open(postgres.freshConnection());
    const batches = Array.from({ length: 60 }, (_, batch) =>
      Array.from({ length: 2000 }, (_, i) => message(batch * 2000 + i + 1)),
    );
    let failures = 0;
    let restarting: Promise<void> | undefined;
    for (const [at, outcomes] of batches.entries()) {
      if (at % 20 === 10) restarting = postgres.restart();
      await until(
        async () => {
          try {
            await store.settle(batchOf(outcomes));
            if (at % 7 === 0) await store.maintain(T0 + at * 60_000);
            return true;
          } catch (error) {
            if (!isRetryable(error)) throw error;
            failures += 1;
            return false;
          }
        },
        `batch ${at} is settled`,
        30_000,
      );
      await restarting;
    }
    expect(failures).toBeGreaterThan(0);
    const [tenant] = await store.settled();
    expect(tenant?.settled).toEqual({ stored: 120_000, duplicate: 0, rejected: 0, deadLettered: 0 });
    expect(await countOf(store, 'm', 60_000)).toBe(86_400 - 1);
    const ids = await store.storedEventIds(MACHINE, { fromMs: T0, toMs: T0 + 200_000_000 });
    expect(new Set(ids).size).toBe(120_000);
    expect(ids).toHaveLength(120_000);
    await store.close();
  }, 120_000);

  it('know an event again whose id has a NUL, which PostgreSQL has no place for', async () => {
    const store = await open(postgres.freshConnection());
    const [first, again] = [1, 2].map((seq) => ({ ...message(seq, 'm', 'id\u0000x'), ts: T0 }) as EventOutcome);
    await store.settle(batchOf([first!]));
    await store.settle(batchOf([{ ...again!, event: { ...again!.event, verifyStored: true } }]));
    const [tenant] = await store.settled();
    expect(tenant?.settled).toEqual({ stored: 1, duplicate: 1, rejected: 0, deadLettered: 0 });
    await store.close();
  });
});
