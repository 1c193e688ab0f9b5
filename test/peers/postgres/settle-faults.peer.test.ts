import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { postgresTimeSeriesStoreConfigSchema } from '#adapters/postgres/postgres-time-series-store/config.ts';
import { PostgresTimeSeriesStore } from '#adapters/postgres/postgres-time-series-store/postgres-time-series-store.ts';
import { stampedEvent } from '#core/contracts/sample-event.ts';
import { retry } from '#core/delivery/retry.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import type { SettleBatch, TimeSeriesStore } from '#core/ports/time-series-store.ts';
import { PostgresOnAWire } from '../postgres-on-a-wire.ts';

const MACHINE = 'north/akron/m1' as MachineKey;
const T0 = Date.UTC(2026, 0, 15, 12);
const EVENTS_A_BATCH = 500;
const AGAIN = { maxAttempts: 100, firstDelayMs: 10, longestDelayMs: 200 };
let postgres: PostgresOnAWire;

beforeAll(async () => {
  postgres = await PostgresOnAWire.start();
}, 300_000);

afterAll(() => postgres[Symbol.asyncDispose]());

async function openStore() {
  const connection = postgres.freshConnection();
  const store = await PostgresTimeSeriesStore.open(postgresTimeSeriesStoreConfigSchema.parse(connection));
  return { store, [Symbol.asyncDispose]: () => store.close() };
}

function batchOf(number: number): SettleBatch {
  const outcomes = Array.from({ length: EVENTS_A_BATCH }, (_, index) => {
    const seq = number * EVENTS_A_BATCH + index + 1;
    const event = stampedEvent(seq, { key: MACHINE, acceptedAtMs: T0 });
    return {
      type: 'readings',
      event,
      ts: T0 + seq * 1000,
      readings: [{ metric: 'velocity_rms', value: seq }],
    } as const;
  });
  return { stream: 'metrics', group: 'store', fence: 1, outcomes };
}

/** What the ledger counts as stored, as duplicate, and the rows that there are. */
async function countsOf(store: TimeSeriesStore) {
  const [tenant] = await store.settled();
  const whole = { machine: MACHINE, metric: 'velocity_rms', fromMs: T0, toMs: T0 + 86_400_000, limit: 100_000 };
  const { columns } = await store.series({ ...whole, stepMs: 3_600_000, aggregates: ['count'] });
  const rows = columns['count']!.reduce((sum, each) => sum + each, 0);
  return { stored: tenant?.settled.stored, duplicate: tenant?.settled.duplicate, rows };
}

describe('settling in PostgreSQL behind a bad network', () => {
  it('counts and stores each event once, wherever in a batch the connection is cut', async () => {
    await using site = await openStore();
    const { store } = site;
    let failures = 0;
    // From the first statement to behind the last: a batch takes some 50 kB on its way.
    for (let batch = 0; batch < 40; batch++) {
      postgres.wire.cutAfter(batch * 1700);
      await retry(() => store.settle(batchOf(batch)), AGAIN, { onRetry: () => failures++ });
    }
    postgres.wire.cutAfter(Infinity);
    expect(failures).toBeGreaterThan(20);
    expect(await countsOf(store)).toEqual({ stored: 40 * EVENTS_A_BATCH, duplicate: 0, rows: 40 * EVENTS_A_BATCH });
  });

  it('stops waiting for a server that does not answer, and counts what it did once', async () => {
    await using site = await openStore();
    const { store } = site;
    await store.settle(batchOf(0));
    postgres.wire.hold();
    const waits = store.settle(batchOf(1), { signal: AbortSignal.timeout(300) });
    await expect(waits).rejects.toMatchObject({ code: 'cancelled' });
    postgres.wire.letGo();
    await retry(() => store.settle(batchOf(1)), AGAIN);
    expect(await countsOf(store)).toEqual({ stored: 2 * EVENTS_A_BATCH, duplicate: 0, rows: 2 * EVENTS_A_BATCH });
  });
});
