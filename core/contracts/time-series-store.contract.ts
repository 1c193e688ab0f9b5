import assert from 'node:assert/strict';
import type { StampedEvent } from '../domain/event.ts';
import type { MachineKey, TenantId } from '../domain/ids.ts';
import { NOTHING_SETTLED, type SettledItems } from '../domain/ledger.ts';
import { isPortError, type PortErrorCode } from '../errors.ts';
import type {
  EventOutcome,
  RetentionPolicy,
  SeriesQuery,
  SettleBatch,
  TimeSeriesStore,
} from '../ports/time-series-store.ts';
import type { Contract, ContractCase } from './contract.ts';
import { press, Publisher, T0 } from './sample-publisher.ts';

/** What an adapter's tests make for each case. */
export interface TimeSeriesStoreHarness {
  readonly store: TimeSeriesStore;
  /** Closes the store and opens it again on the same data. */
  reopen(): Promise<TimeSeriesStore>;
  /** Lets the store do what it does in the background, as at that time, and waits for it. */
  maintain(nowMs: number): Promise<void>;
  /** A fresh folder of this machine, for what the store writes into one. */
  folder(): Promise<string>;
  /** Opens what {@link TimeSeriesStore.backup} wrote into the folder. */
  openBackup(folder: string): Promise<TimeSeriesStore>;
  /** Makes the next settlement fail after its rows are written and before they are durable. */
  failNextSettlement(): void;
}

const DAY_MS = 86_400_000;
const acme = 'acme' as TenantId;
const globex = 'globex' as TenantId;
const pump = 'acme/akron/pump-1' as MachineKey;
const foreignPress = 'globex/akron/press-7' as MachineKey;

function batch(outcomes: readonly EventOutcome[], overrides: Partial<SettleBatch> = {}): SettleBatch {
  return { stream: 'metrics', group: 'store', fence: 1, outcomes, ...overrides };
}

const whole = { fromMs: 0, toMs: T0 + 10_000 * DAY_MS };

async function rawSeries(store: TimeSeriesStore, metric: string, machine: MachineKey = press) {
  const { ts, columns } = await store.series({
    ...whole,
    machine,
    metric,
    stepMs: 0,
    aggregates: [],
    limit: 100_000,
  });
  return Array.from(ts, (each, i) => [each, columns['value']![i]!]);
}

async function settledOf(store: TimeSeriesStore, tenant: TenantId = acme): Promise<SettledItems> {
  return (await store.settled()).find((each) => each.tenant === tenant)?.settled ?? NOTHING_SETTLED;
}

async function rejectsWith(code: PortErrorCode, promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error) => isPortError(error) && error.code === code);
}

function contractCase(
  name: string,
  run: (store: TimeSeriesStore, publisher: Publisher, harness: TimeSeriesStoreHarness) => Promise<void>,
): ContractCase<TimeSeriesStoreHarness> {
  return { name, run: (harness) => run(harness.store, new Publisher(), harness) };
}

const settlement = [
  contractCase('a settled message is read back, and counted in items', async (store, edge) => {
    const result = await store.settle(batch([edge.readings(T0, { temperature: 61.5, rpm: 1797 })]));
    assert.deepEqual(result.added.get(acme), { ...NOTHING_SETTLED, stored: 2 });
    assert.equal(result.redelivered, 0);
    assert.deepEqual(await rawSeries(store, 'temperature'), [[T0, 61.5]]);
    assert.deepEqual(await store.settled(), [
      {
        tenant: acme,
        settled: { ...NOTHING_SETTLED, stored: 2 },
        conflicts: 0,
        watermarks: new Map([['metrics', 2]]),
      },
    ]);
  }),
  contractCase('every item ends in exactly one place', async (store, edge) => {
    const result = await store.settle(
      batch([
        edge.readings(T0, { a: 1, b: 2, c: 3 }),
        edge.duplicate(2),
        edge.rejected('not_finite', 'unknown_unit'),
        edge.deadLettered(4),
      ]),
    );
    const expected = { stored: 3, duplicate: 2, rejected: 2, deadLettered: 4 };
    assert.deepEqual(result.added.get(acme), expected);
    assert.deepEqual(await settledOf(store), expected);
    assert.equal((await store.settled())[0]!.watermarks.get('metrics'), 11);
  }),
  contractCase('the parts of a stream are counted each by itself, and added up', async (store) => {
    const left = new Publisher('edge/0');
    const right = new Publisher('edge/1');
    const again = new Publisher('edge/0', 2);
    const of = (edge: Publisher, items: number): EventOutcome => {
      const part = `${edge.source}/${edge.epoch}`;
      return { type: 'duplicate', event: edge.event('duplicate', items, { part }) };
    };
    const first = batch([of(left, 3), of(right, 5), of(left, 4)]);
    await store.settle(first);
    await store.settle(first);
    await store.settle(batch([of(right, 1), of(again, 2)]));
    const [{ settled, watermarks, parts } = assert.fail('nothing is settled')] = await store.settled();
    assert.equal(settled.duplicate, 15);
    assert.deepEqual(watermarks, new Map([['metrics', 15]]));
    const counted = [['edge/0/1', 7], ['edge/0/2', 2], ['edge/1/1', 6]] as const; // prettier-ignore
    assert.deepEqual(new Map([...parts!.get('metrics')!].sort()), new Map(counted));
  }),
  contractCase('settling the same batch again changes nothing', async (store, edge) => {
    const same = batch([edge.readings(T0, { a: 1 }), edge.rejected('not_finite'), edge.deadLettered(1)]);
    await store.settle(same);
    const again = await store.settle(same);
    assert.equal(again.redelivered, 3);
    assert.equal(again.added.size, 0);
    assert.deepEqual(await settledOf(store), { stored: 1, duplicate: 0, rejected: 1, deadLettered: 1 });
    assert.equal((await store.deadLetters({ tenant: acme, limit: 10 })).length, 1);
    assert.deepEqual(await store.storedEventIds(press, whole), ['edge-1-1-1']);
  }),
  contractCase('of a redelivery that overlaps, only what is above the progress is settled', async (store, edge) => {
    const outcomes = [1, 2, 3, 4].map((n) => edge.readings(T0 + n, { a: n }));
    await store.settle(batch(outcomes.slice(0, 3)));
    const result = await store.settle(batch(outcomes.slice(1)));
    assert.equal(result.redelivered, 2);
    assert.equal((await settledOf(store)).stored, 4);
    assert.deepEqual(await store.progress('metrics', 'store'), [{ source: 'edge-1', epoch: 1, seq: 4 }]);
  }),
  contractCase('publishers, their epochs, groups and streams have progress of their own', async (store, edge) => {
    const restarted = new Publisher('edge-1', 2);
    const other = new Publisher('edge-2', 1);
    await store.settle(
      batch([
        edge.readings(T0, { a: 1 }),
        other.readings(T0 + 1, { a: 2 }),
        restarted.readings(T0 + 2, { a: 3 }),
        other.readings(T0 + 3, { a: 4 }),
      ]),
    );
    await store.settle(batch([new Publisher().waveform('w1', T0)], { stream: 'raw-waveform' }));
    const progress = await store.progress('metrics', 'store');
    assert.deepEqual(
      progress.toSorted((a, b) => a.source.localeCompare(b.source) || a.epoch - b.epoch),
      [
        { source: 'edge-1', epoch: 1, seq: 1 },
        { source: 'edge-1', epoch: 2, seq: 1 },
        { source: 'edge-2', epoch: 1, seq: 2 },
      ],
    );
    assert.deepEqual(await store.progress('raw-waveform', 'store'), [{ source: 'edge-1', epoch: 1, seq: 1 }]);
    assert.deepEqual(await store.progress('metrics', 'another'), []);
  }),
  contractCase(
    'events that are missing between others are counted as lost: once, durably, and not by an attempt that failed',
    async (store, edge, harness) => {
      const outcomes = [1, 2, 3, 4, 5, 6].map((n) => edge.readings(T0 + n, { a: n }));
      await store.settle(batch(outcomes.slice(0, 1)));
      assert.deepEqual(await store.lostEvents(), []);
      const afterGap = batch(outcomes.slice(3, 4));
      harness.failNextSettlement();
      await assert.rejects(store.settle(afterGap));
      assert.deepEqual(await store.lostEvents(), []);
      assert.equal((await store.settle(afterGap)).lost, 2);
      assert.equal((await store.settle(afterGap)).lost, 0);
      assert.equal((await store.settle(batch([outcomes[3]!, outcomes[5]!]))).lost, 1);
      const reopened = await harness.reopen();
      assert.deepEqual(await reopened.lostEvents(), [{ stream: 'metrics', group: 'store', events: 3 }]);
      assert.equal((await reopened.settle(batch(outcomes))).lost, 0);
      assert.deepEqual(await reopened.lostEvents(), [{ stream: 'metrics', group: 'store', events: 3 }]);
    },
  ),
  contractCase('an epoch that begins after the group was there begins at its first event', async (store, edge) => {
    await store.settle(batch([edge.readings(T0, { a: 1 })]));
    const restarted = new Publisher('edge-1', 2);
    restarted.event('telemetry', 1);
    assert.equal((await store.settle(batch([restarted.readings(T0 + 1, { a: 2 })]))).lost, 1);
    const both = [new Publisher('edge-2', 1), new Publisher('edge-2', 2)] as const;
    both[1].event('telemetry', 1);
    both[1].event('telemetry', 1);
    const together = both.map((each, n) => each.readings(T0 + n, { a: 3 }));
    assert.equal((await store.settle(batch(together))).lost, 2);
    assert.deepEqual(await store.lostEvents(), [{ stream: 'metrics', group: 'store', events: 3 }]);
  }),
  contractCase(
    'nothing is lost by a redelivery, a restart, a group that came later, or one that takes only some events',
    async (store, edge) => {
      const outcomes = [1, 2, 3, 4, 5].map((n) => edge.readings(T0 + n, { a: n }));
      await store.settle(batch(outcomes.slice(0, 3)));
      await store.settle(batch(outcomes.slice(1)));
      await store.settle(batch([new Publisher('edge-1', 2).readings(T0 + 6, { a: 6 })]));
      await store.settle(batch(outcomes.slice(2), { group: 'came-later' }));
      for (const n of [0, 2, 4]) await store.settle(batch([outcomes[n]!], { group: 'only-some', sparse: true }));
      assert.deepEqual(await store.lostEvents(), []);
    },
  ),
  contractCase('a batch with an older fence than the store has seen is refused', async (store, edge) => {
    const first = edge.readings(T0, { a: 1 });
    const second = edge.readings(T0 + 1, { a: 2 });
    await store.settle(batch([first], { fence: 7 }));
    await rejectsWith('failed_precondition', store.settle(batch([second], { fence: 6 })));
    assert.equal((await settledOf(store)).stored, 1);
    await store.settle(batch([second], { fence: 7 }));
    assert.equal((await settledOf(store)).stored, 2);
  }),
  contractCase(
    'a settlement that fails midway leaves nothing behind, and succeeds when tried again',
    async (store, edge, harness) => {
      await store.settle(batch([edge.readings(T0, { a: 1 })]));
      const all = batch([
        edge.readings(T0 + 1, { a: 2, fresh: 3 }),
        edge.readings(T0 + 1, { first: 1 }, { key: pump }),
        edge.rejected('not_finite'),
        edge.deadLettered(1),
      ]);
      harness.failNextSettlement();
      await assert.rejects(store.settle(all));
      assert.deepEqual(await settledOf(store), { ...NOTHING_SETTLED, stored: 1 });
      assert.deepEqual(await rawSeries(store, 'a'), [[T0, 1]]);
      assert.deepEqual(await rawSeries(store, 'first', pump), []);
      assert.deepEqual(
        (await store.latest(press)).map(({ metric, value }) => [metric, value]),
        [['a', 1]],
      );
      await store.settle(all);
      assert.deepEqual(await settledOf(store), { stored: 4, duplicate: 0, rejected: 1, deadLettered: 1 });
      const reopened = await harness.reopen();
      assert.deepEqual(await settledOf(reopened), { stored: 4, duplicate: 0, rejected: 1, deadLettered: 1 });
      assert.deepEqual(await rawSeries(reopened, 'first', pump), [[T0 + 1, 1]]);
    },
  ),
  contractCase('what was settled survives a reopen: rows, sums, progress and fence', async (store, edge, harness) => {
    await store.settle(batch([edge.readings(T0, { a: 1 }), edge.duplicate(1)], { fence: 3 }));
    const reopened = await harness.reopen();
    assert.deepEqual(await settledOf(reopened), { ...NOTHING_SETTLED, stored: 1, duplicate: 1 });
    assert.deepEqual(await rawSeries(reopened, 'a'), [[T0, 1]]);
    assert.deepEqual(await reopened.latest(press), [
      { metric: 'a', ts: T0, value: 1, unit: undefined, quality: 'good' },
    ]);
    assert.deepEqual(await reopened.progress('metrics', 'store'), [{ source: 'edge-1', epoch: 1, seq: 2 }]);
    const next = edge.readings(T0 + 1, { a: 2, b: 1 });
    await rejectsWith('failed_precondition', reopened.settle(batch([next], { fence: 2 })));
    await reopened.settle(batch([next], { fence: 3 }));
    assert.deepEqual(await rawSeries(reopened, 'a'), [
      [T0, 1],
      [T0 + 1, 2],
    ]);
  }),
  contractCase(
    'an event marked verifyStored is a duplicate when its machine has its eventId stored',
    async (store, edge) => {
      await store.settle(
        batch([
          edge.readings(T0, { a: 1 }, { eventId: 'device-1' }),
          edge.waveform('w1', T0, 'de', { eventId: 'device-2' }),
        ]),
      );
      const verify = { verifyStored: true };
      const result = await store.settle(
        batch([
          edge.readings(T0, { a: 1 }, { eventId: 'device-1', ...verify }),
          edge.waveform('w1', T0, 'de', { eventId: 'device-2', ...verify }),
          edge.readings(T0, { a: 1 }, { eventId: 'device-1', key: pump, ...verify }),
          edge.readings(T0, { a: 1 }, { eventId: 'device-3', ...verify }),
          edge.readings(T0, { a: 1 }, { eventId: 'device-3', ...verify }),
        ]),
      );
      assert.deepEqual(result.added.get(acme), { ...NOTHING_SETTLED, stored: 2, duplicate: 3 });
      assert.deepEqual((await store.storedEventIds(press, whole)).toSorted(), ['device-1', 'device-2', 'device-3']);
      assert.deepEqual(await store.storedEventIds(pump, whole), ['device-1']);
    },
  ),
  contractCase(
    'an event that was rejected or dead-lettered is a duplicate when it comes again',
    async (store, edge) => {
      const rejected = edge.rejected('not_finite');
      const dead = edge.deadLettered(2, { eventId: 'dead' });
      await store.settle(batch([rejected, dead]));
      const again = { verifyStored: true, acceptedAtMs: T0 + 5000 };
      await store.settle(
        batch([
          {
            ...rejected,
            event: edge.event('rejection', 1, { eventId: rejected.event.eventId, ...again }),
          },
          edge.deadLettered(2, { eventId: 'dead', ...again }),
        ]),
      );
      assert.deepEqual(await settledOf(store), { stored: 0, duplicate: 3, rejected: 1, deadLettered: 2 });
    },
  ),
  contractCase('settlements asked for at the same time are all applied once', async (store) => {
    const publishers = [1, 2, 3, 4, 5].map((n) => new Publisher(`edge-${n}`));
    await Promise.all(
      publishers.flatMap((publisher) =>
        [1, 2, 3].map((n) => store.settle(batch([publisher.readings(T0 + n, { [publisher.source]: n })]))),
      ),
    );
    assert.equal((await settledOf(store)).stored, 15);
    assert.equal((await store.latest(press)).length, 5);
  }),
  contractCase('tenants have ledgers and data of their own', async (store, edge) => {
    const theirs = { key: foreignPress };
    await store.settle(
      batch([
        edge.readings(T0, { a: 1 }),
        edge.readings(T0, { a: 2, secret: 3 }, theirs),
        edge.deadLettered(5, theirs),
        edge.waveform('w-theirs', T0, 'de', theirs),
      ]),
    );
    assert.deepEqual(await settledOf(store), { ...NOTHING_SETTLED, stored: 1 });
    assert.deepEqual(await settledOf(store, globex), { ...NOTHING_SETTLED, stored: 3, deadLettered: 5 });
    assert.deepEqual(await rawSeries(store, 'a'), [[T0, 1]]);
    assert.deepEqual(await rawSeries(store, 'secret'), []);
    assert.deepEqual(await store.deadLetters({ tenant: acme, limit: 10 }), []);
    assert.equal(await store.waveform(acme, 'w-theirs'), undefined);
    assert.equal((await store.waveform(globex, 'w-theirs'))?.machine, foreignPress);
    assert.deepEqual(await store.storedEventIds(press, whole), ['edge-1-1-1']);
    assert.deepEqual(
      (await store.latest(press)).map(({ metric }) => metric),
      ['a'],
    );
  }),
  contractCase('an abort stops the waiting', async (store, edge) => {
    const aborted = AbortSignal.abort();
    await rejectsWith('cancelled', store.settle(batch([edge.readings(T0, { a: 1 })]), { signal: aborted }));
    await rejectsWith('cancelled', store.deadLetters({ tenant: acme, limit: 1 }, { signal: aborted }));
  }),
  contractCase('a closed store refuses', async (store, edge) => {
    await store.close();
    await store.close();
    await rejectsWith('failed_precondition', store.settle(batch([edge.readings(T0, { a: 1 })])));
    await rejectsWith('failed_precondition', store.deadLetters({ tenant: acme, limit: 1 }));
  }),
];

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const ALL = ['mean', 'min', 'max', 'count'] as const;

interface Point {
  readonly ts: number;
  readonly value: number;
}

/** What the port says a bucketed series is: the latest accepted of each time, in whole buckets. */
function bruteForce(accepted: readonly Point[], fromMs: number, toMs: number, stepMs: number) {
  const newest = new Map(accepted.map(({ ts, value }) => [ts, value]));
  const buckets = new Map<number, number[]>();
  for (const [ts, value] of newest) {
    const bucket = Math.floor(ts / stepMs) * stepMs;
    if (bucket < Math.floor(fromMs / stepMs) * stepMs || bucket >= toMs) continue;
    buckets.set(bucket, [...(buckets.get(bucket) ?? []), value]);
  }
  return [...buckets]
    .sort(([a], [b]) => a - b)
    .map(([ts, values]) => ({
      ts,
      mean: values.reduce((sum, each) => sum + each, 0) / values.length,
      min: Math.min(...values),
      max: Math.max(...values),
      count: values.length,
    }));
}

async function assertSeries(
  store: TimeSeriesStore,
  metric: string,
  accepted: readonly Point[],
  stepMs: number,
): Promise<void> {
  const fromMs = Math.min(...accepted.map(({ ts }) => ts));
  const toMs = Math.max(...accepted.map(({ ts }) => ts)) + 1;
  const result = await store.series({ machine: press, metric, fromMs, toMs, stepMs, aggregates: ALL, limit: 100_000 });
  const expected = bruteForce(accepted, fromMs, toMs, stepMs);
  const column = (name: string) => Array.from(result.columns[name]!);
  assert.deepEqual(
    Array.from(result.ts),
    expected.map(({ ts }) => ts),
    `bucket starts of ${stepMs} ms`,
  );
  for (const name of ['min', 'max', 'count'] as const) {
    assert.deepEqual(
      column(name),
      expected.map((bucket) => bucket[name]),
      `${name} of ${stepMs} ms`,
    );
  }
  column('mean').forEach((mean, i) => {
    const { mean: wanted } = expected[i]!;
    assert.ok(Math.abs(mean - wanted) <= 1e-9 * Math.max(1, Math.abs(wanted)), `mean ${mean}, expected ${wanted}`);
  });
}

const STEPS_MS = [1000, 5000, MINUTE_MS, 90_000, 5 * MINUTE_MS, HOUR_MS, 6 * HOUR_MS, DAY_MS] as const;

/** Settles points of metric `m` as single messages and remembers the order of acceptance. */
class History {
  readonly accepted: Point[] = [];
  readonly #store: TimeSeriesStore;
  readonly #publisher: Publisher;

  constructor(store: TimeSeriesStore, publisher: Publisher) {
    this.#store = store;
    this.#publisher = publisher;
  }

  async add(points: readonly Point[], overrides: Partial<StampedEvent> = {}): Promise<void> {
    await this.#store.settle(
      batch(points.map(({ ts, value }) => this.#publisher.readings(ts, { m: value, other: -value }, overrides))),
    );
    this.accepted.push(...points);
  }

  async isReadBack(): Promise<void> {
    for (const stepMs of STEPS_MS) await assertSeries(this.#store, 'm', this.accepted, stepMs);
    const newest = new Map(this.accepted.map(({ ts, value }) => [ts, value]));
    assert.deepEqual(
      await rawSeries(this.#store, 'm'),
      [...newest].sort(([a], [b]) => a - b),
    );
  }
}

/** `count` points from `fromMs` on. */
function ramp(fromMs: number, everyMs: number, count: number, first = 0): Point[] {
  return Array.from({ length: count }, (_, i) => ({ ts: fromMs + i * everyMs, value: first + Math.sin(i) * 10 }));
}

const series = [
  contractCase(
    'raw points and buckets of any width equal a recomputation, before and after background work',
    async (store, edge, harness) => {
      const history = new History(store, edge);
      await history.add(ramp(T0 - 3 * HOUR_MS, 7_000, 1_600));
      await history.isReadBack();
      await harness.maintain(T0 + HOUR_MS);
      await history.isReadBack();
      await history.add(ramp(T0 + 30_000, 1_000, 100));
      await history.isReadBack();
      await harness.maintain(T0 + 2 * HOUR_MS);
      await history.isReadBack();
    },
  ),
  contractCase('late and out-of-order readings correct buckets that were rolled up', async (store, edge, harness) => {
    const history = new History(store, edge);
    await history.add(ramp(T0, 10_000, 400));
    await harness.maintain(T0 + 2 * HOUR_MS);
    await history.add(ramp(T0 + 5_000, 10_000, 30, 100).reverse());
    await history.isReadBack();
    await history.add(ramp(T0 + 5 * HOUR_MS, 10_000, 10));
    await harness.maintain(T0 + 6 * HOUR_MS);
    await history.isReadBack();
    await history.add(ramp(T0 - 30 * DAY_MS, 60_000, 100));
    await history.isReadBack();
    await harness.maintain(T0 + 7 * HOUR_MS);
    await history.isReadBack();
  }),
  contractCase(
    'of two values for one time the latest accepted is read, and conflicts counts the other',
    async (store, edge, harness) => {
      const history = new History(store, edge);
      await history.add(ramp(T0, 10_000, 20));
      await harness.maintain(T0 + HOUR_MS);
      await history.add([
        { ts: T0 + 10_000, value: 500 },
        { ts: T0 + 20_000, value: history.accepted[2]!.value },
      ]);
      await history.isReadBack();
      await harness.maintain(T0 + 2 * HOUR_MS);
      await history.isReadBack();
      // `other` of the first message differs as well; equal values are no conflict.
      assert.equal((await store.settled())[0]!.conflicts, 2);
      await history.add([{ ts: T0 + 10_000, value: 501 }]);
      await harness.maintain(T0 + 3 * HOUR_MS);
      await history.isReadBack();
      assert.equal((await store.settled())[0]!.conflicts, 4);
      assert.equal((await settledOf(store)).stored, 2 * 23);
    },
  ),
  contractCase('within one settlement the later of two values for one time is read', async (store, edge, harness) => {
    const history = new History(store, edge);
    await history.add([
      { ts: T0, value: 1 },
      { ts: T0, value: 2 },
    ]);
    await history.isReadBack();
    await harness.maintain(T0 + HOUR_MS);
    await history.isReadBack();
    assert.deepEqual((await store.latest(press)).map(({ metric, value }) => [metric, value]).sort(), [
      ['m', 2],
      ['other', -2],
    ]);
  }),
  contractCase(
    'a restart between background work loses no bucket and counts none twice',
    async (store, edge, harness) => {
      const history = new History(store, edge);
      await history.add(ramp(T0, 10_000, 200));
      await harness.maintain(T0 + HOUR_MS);
      await history.add(ramp(T0 + 5_000, 10_000, 50));
      const reopened = await harness.reopen();
      const after = new History(reopened, edge);
      after.accepted.push(...history.accepted);
      await after.isReadBack();
      await harness.maintain(T0 + 2 * HOUR_MS);
      await after.isReadBack();
    },
  ),
  contractCase('a range without readings is empty, and so is an unknown machine or metric', async (store, edge) => {
    await store.settle(batch([edge.readings(T0, { m: 1 })]));
    const query: SeriesQuery = {
      machine: press,
      metric: 'm',
      fromMs: T0 + HOUR_MS,
      toMs: T0 + 2 * HOUR_MS,
      stepMs: MINUTE_MS,
      aggregates: ALL,
      limit: 10,
    };
    for (const each of [
      query,
      { ...query, stepMs: 0 },
      { ...query, machine: pump },
      { ...query, metric: 'unknown' },
      { ...query, fromMs: T0, toMs: T0 },
    ]) {
      const result = await store.series(each);
      assert.equal(result.ts.length, 0);
      assert.equal(result.truncated, false);
      for (const column of Object.values(result.columns)) assert.equal(column.length, 0);
    }
    assert.deepEqual(await store.latest(pump), []);
    assert.deepEqual(await store.storedEventIds(pump, whole), []);
  }),
  contractCase('a range is half open, and a bucketed one is widened to whole buckets', async (store, edge) => {
    await store.settle(batch([1, 2, 3].map((n) => edge.readings(T0 + n * 1000, { m: n }))));
    const query = { machine: press, metric: 'm', fromMs: T0 + 1000, toMs: T0 + 3000, limit: 10, aggregates: ALL };
    assert.deepEqual(Array.from((await store.series({ ...query, stepMs: 0 })).columns['value']!), [1, 2]);
    const buckets = await store.series({ ...query, stepMs: MINUTE_MS });
    assert.deepEqual(Array.from(buckets.ts), [T0]);
    assert.deepEqual(Array.from(buckets.columns['count']!), [3]);
  }),
  contractCase('a limit keeps the earliest points and says that there are more', async (store, edge) => {
    await store.settle(batch([1, 2, 3].map((n) => edge.readings(T0 + n, { m: n }))));
    const query = { ...whole, machine: press, metric: 'm', stepMs: 0, aggregates: [] };
    const two = await store.series({ ...query, limit: 2 });
    assert.deepEqual([Array.from(two.ts), two.truncated], [[T0 + 1, T0 + 2], true]);
    assert.equal((await store.series({ ...query, limit: 3 })).truncated, false);
    await rejectsWith('invalid_argument', store.series({ ...query, limit: 0 }));
    await rejectsWith('invalid_argument', store.series({ ...query, stepMs: -1, limit: 1 }));
  }),
  contractCase(
    'units and qualities are kept, and values are read in one unit; those that do not convert are left out, and named',
    async (store, edge) => {
      const reading = (ts: number, value: number, unit?: string): EventOutcome => ({
        type: 'readings',
        event: edge.event('telemetry', 1),
        ts,
        readings: [{ metric: 'm', value, quality: 'uncertain', ...(unit === undefined ? {} : { unit }) }],
      });
      await store.settle(
        batch([
          reading(T0, 1, 'mm/s'),
          reading(T0 + 1, 2),
          reading(T0 + 2, 3, '[in_i]/s'),
          reading(T0 + 3, 5, 'Cel'),
          reading(T0 + 4, 4, 'mm/s'),
        ]),
      );
      const query = { ...whole, machine: press, metric: 'm', stepMs: 0, aggregates: [], limit: 10 };
      const read = async (unit?: string) => {
        const result = await store.series(unit === undefined ? query : { ...query, unit });
        const points = Array.from(result.ts, (ts, i) => [ts - T0, Number(result.columns['value']![i]!.toFixed(9))]);
        return { unit: result.unit, leftOut: [...result.leftOut].sort(), points };
      };
      assert.deepEqual(await read(), { unit: 'mm/s', leftOut: ['Cel', null], points: [[0, 1], [2, 76.2], [4, 4]] }); // prettier-ignore
      assert.deepEqual(await read('K'), {
        unit: 'K',
        leftOut: ['[in_i]/s', 'mm/s', null],
        points: [[3, 278.15]],
      });
      assert.deepEqual(await store.latest(press), [
        { metric: 'm', ts: T0 + 4, value: 4, unit: 'mm/s', quality: 'uncertain' },
      ]);
    },
  ),
  contractCase(
    'readings without a unit are kept in that of their outcome, whatever it is later, and buckets are in one unit',
    async (store, edge, harness) => {
      const celsius = new Map([['m', 'Cel']]);
      const fahrenheit = new Map([['m', '[degF]']]);
      const points = ramp(T0, 10_000, 800);
      const outcomes = points.map(({ ts, value }, i): EventOutcome => {
        const [units, sent] = i < 400 ? [celsius, value] : [fahrenheit, (value * 9) / 5 + 32];
        return { ...edge.readings(ts, { m: sent }), units } as EventOutcome;
      });
      await store.settle(batch(outcomes.slice(0, 300)));
      await store.settle(batch(outcomes.slice(300)));
      const isReadBack = async (): Promise<void> => {
        for (const stepMs of STEPS_MS) {
          const query = { machine: press, metric: 'm', fromMs: T0, toMs: T0 + HOUR_MS * 3, stepMs, limit: 10_000 };
          const { ts, columns, leftOut } = await store.series({ ...query, unit: 'Cel', aggregates: ALL });
          const expected = bruteForce(points, query.fromMs, query.toMs, stepMs);
          assert.deepEqual([Array.from(ts), leftOut], [expected.map((bucket) => bucket.ts), []]);
          for (const name of ALL) {
            expected.forEach((bucket, i) => assert.ok(Math.abs(columns[name]![i]! - bucket[name]) < 1e-9, name));
          }
        }
      };
      await isReadBack();
      await harness.maintain(T0 + 4 * HOUR_MS);
      await isReadBack();
      assert.equal((await store.latest(press))[0]?.unit, '[degF]');
      const inNewest = await store.series({
        ...whole,
        machine: press,
        metric: 'm',
        stepMs: 0,
        aggregates: [],
        limit: 1,
      });
      assert.equal(inNewest.unit, '[degF]');
    },
  ),
  contractCase('the newest value is the newest by its own time', async (store, edge) => {
    await store.settle(batch([edge.readings(T0 + 5, { m: 5 }), edge.readings(T0 + 1, { m: 1 })]));
    assert.deepEqual(await store.latest(press), [
      { metric: 'm', ts: T0 + 5, value: 5, unit: undefined, quality: 'good' },
    ]);
  }),
];

const listings = [
  contractCase(
    'waveforms are listed newest first, by machine, sensor and range, and found by id',
    async (store, edge) => {
      await store.settle(
        batch(
          [
            edge.waveform('w1', T0),
            edge.waveform('w2', T0 + 1000, 'nde'),
            edge.waveform('w3', T0 + 2000),
            edge.waveform('other', T0, 'de', { key: pump }),
          ],
          { stream: 'raw-waveform' },
        ),
      );
      const ids = async (query: Partial<Parameters<TimeSeriesStore['waveforms']>[0]>) =>
        (await store.waveforms({ ...whole, machine: press, limit: 10, ...query })).map((each) => each.waveformId);
      assert.deepEqual(await ids({}), ['w3', 'w2', 'w1']);
      assert.deepEqual(await ids({ sensor: 'de' }), ['w3', 'w1']);
      assert.deepEqual(await ids({ limit: 1 }), ['w3']);
      assert.deepEqual(await ids({ fromMs: T0 + 1, toMs: T0 + 2000 }), ['w2']);
      const found = await store.waveform(acme, 'w2');
      assert.deepEqual(
        [found?.sensor, found?.machine, found?.rpm, found?.objectKey],
        ['nde', press, 1797, 'waveforms/w2'],
      );
      assert.equal(await store.waveform(acme, 'unknown'), undefined);
      assert.deepEqual((await store.settled())[0]!.watermarks, new Map([['raw-waveform', 4]]));
    },
  ),
  contractCase('a waveform that was stored again under its id is listed once, as it came last', async (store, edge) => {
    await store.settle(batch([edge.waveform('w1', T0), edge.waveform('w1', T0 + 1)]));
    const listed = await store.waveforms({ ...whole, machine: press, limit: 10 });
    assert.deepEqual(
      listed.map(({ ts }) => ts),
      [T0 + 1],
    );
    assert.equal((await store.waveform(acme, 'w1'))?.ts, T0 + 1);
  }),
  contractCase('derived documents are listed newest first, count no items, and become series', async (store, edge) => {
    await store.settle(
      batch([edge.features('f1', 1, T0, 2.5), edge.features('f2', 1, T0 + 1000, 3.5)], { stream: 'features' }),
    );
    const listed = await store.documents({ ...whole, machine: press, kind: 'features', limit: 10 });
    assert.deepEqual(
      listed.map(({ id }) => id),
      ['f2', 'f1'],
    );
    assert.deepEqual(listed[0]!.body, { provenance: 'test', verdicts: [{ zone: 'B' }] });
    assert.equal(listed[0]!.machine, press);
    assert.deepEqual(await store.documents({ ...whole, machine: press, kind: 'prediction', limit: 10 }), []);
    assert.deepEqual(await store.documents({ ...whole, machine: press, kind: 'features', sensor: 'x', limit: 10 }), []);
    assert.deepEqual(await rawSeries(store, 'de.rms'), [
      [T0, 2.5],
      [T0 + 1000, 3.5],
    ]);
    assert.deepEqual((await store.latest(press))[0]?.unit, 'mm/s');
    assert.deepEqual(await settledOf(store), NOTHING_SETTLED);
  }),
  contractCase(
    'a later revision of a document replaces the earlier, in its series too, and is no conflict',
    async (store, edge, harness) => {
      await store.settle(batch([edge.features('f1', 1, T0, 2)], { stream: 'features' }));
      await harness.maintain(T0 + HOUR_MS);
      await store.settle(batch([edge.features('f1', 2, T0, 3)], { stream: 'features' }));
      await harness.maintain(T0 + 2 * HOUR_MS);
      const listed = await store.documents({ ...whole, machine: press, kind: 'features', limit: 10 });
      assert.deepEqual(
        listed.map(({ id, revision, values }) => [id, revision, values['de.rms']]),
        [['f1', 2, 3]],
      );
      assert.deepEqual(await rawSeries(store, 'de.rms'), [[T0, 3]]);
      assert.equal((await store.settled()).find((each) => each.tenant === acme)?.conflicts ?? 0, 0);
    },
  ),
  contractCase('rejections are listed newest first, page by page', async (store, edge) => {
    await store.settle(batch([edge.rejected('a', 'b'), edge.rejected('c'), edge.rejected('d')]));
    const first = await store.rejections({ tenant: acme, limit: 3 });
    const rest = await store.rejections({ tenant: acme, limit: 3, after: first.at(-1)!.id });
    assert.deepEqual(
      [...first, ...rest].map(({ code }) => code),
      ['d', 'c', 'b', 'a'],
    );
    assert.deepEqual(await store.rejections({ tenant: acme, limit: 3, after: rest.at(-1)!.id }), []);
    const { id, ...last } = rest[0]!;
    assert.ok(id);
    assert.deepEqual(last, {
      machine: press,
      eventId: 'edge-1-1-1',
      code: 'a',
      pointer: '/metrics/0',
      detail: 'item 0',
      atMs: T0,
    });
  }),
  contractCase(
    'the rejection of a machine that nobody has described is counted, and listed under its name, after a reopen too',
    async (store, edge, harness) => {
      const stranger = 'acme/akron/stranger' as MachineKey;
      const rejections = [{ code: 'unknown_machine', pointer: '', detail: 'nobody has described it' }];
      await store.settle(
        batch([
          { type: 'rejected', event: edge.event('rejection', 1, { key: stranger }), rejections },
          { type: 'rejected', event: edge.event('rejection', 1), rejections },
          edge.readings(T0, { a: 1 }),
        ]),
      );
      const expectListed = async (of: TimeSeriesStore) => {
        assert.deepEqual(await settledOf(of), { ...NOTHING_SETTLED, stored: 1, rejected: 2 });
        const listed = await of.rejections({ tenant: acme, limit: 3 });
        assert.deepEqual(
          listed.map(({ machine, code }) => [machine, code]),
          [
            [press, 'unknown_machine'],
            [stranger, 'unknown_machine'],
          ],
        );
      };
      await expectListed(store);
      await expectListed(await harness.reopen());
    },
  ),
  contractCase('dead letters keep their event, and are listed page by page', async (store, edge) => {
    const dead = [1, 2, 3].map((n) => edge.deadLettered(n, { traceparent: `00-${n}` }));
    await store.settle(batch(dead));
    const first = await store.deadLetters({ tenant: acme, limit: 2 });
    const rest = await store.deadLetters({ tenant: acme, limit: 2, after: first.at(-1)!.id });
    const letters = [...first, ...rest];
    assert.deepEqual(letters.map(({ event }) => event.items).sort(), [1, 2, 3]);
    for (const letter of letters) {
      const sent = dead.find(({ event }) => event.eventId === letter.event.eventId)!;
      assert.deepEqual(
        { ...letter.event, payload: Array.from(letter.event.payload) },
        { ...sent.event, payload: Array.from(sent.event.payload) },
      );
      assert.deepEqual([letter.machine, letter.stream, letter.code], [press, 'metrics', 'undecodable_payload']);
    }
  }),
  contractCase('a dead letter that is settled moves its items to their new outcome', async (store, edge) => {
    const dead = edge.deadLettered(2);
    await store.settle(batch([dead]));
    const [letter] = await store.deadLetters({ tenant: acme, limit: 10 });
    const outcome: EventOutcome = {
      type: 'readings',
      event: letter!.event,
      ts: T0,
      readings: [
        { metric: 'm', value: 1 },
        { metric: 'n', value: 2 },
      ],
    };
    assert.deepEqual(await store.deadLetter(acme, letter!.id), letter);
    assert.equal(await store.deadLetter(globex, letter!.id), undefined);
    assert.equal(await store.settleDeadLetter(letter!.id, outcome), 'stored');
    assert.equal(await store.deadLetter(acme, letter!.id), undefined);
    assert.deepEqual(await settledOf(store), { ...NOTHING_SETTLED, stored: 2 });
    assert.deepEqual(await rawSeries(store, 'm'), [[T0, 1]]);
    assert.deepEqual(await store.deadLetters({ tenant: acme, limit: 10 }), []);
    assert.deepEqual(await store.storedEventIds(press, whole), [dead.event.eventId]);
    assert.equal((await store.settled())[0]!.watermarks.get('metrics'), 2);
    await rejectsWith('not_found', store.settleDeadLetter(letter!.id, outcome));
    assert.deepEqual(await settledOf(store), { ...NOTHING_SETTLED, stored: 2 });
  }),
  contractCase('a dead letter only takes the outcome of its own event', async (store, edge) => {
    await store.settle(batch([edge.deadLettered(1)]));
    const [letter] = await store.deadLetters({ tenant: acme, limit: 10 });
    await rejectsWith('invalid_argument', store.settleDeadLetter(letter!.id, edge.readings(T0, { m: 1 })));
    assert.deepEqual(await settledOf(store), { ...NOTHING_SETTLED, deadLettered: 1 });
  }),
];

const POLICY: RetentionPolicy = { rawDays: 7, rollup1mDays: 90, rollup1hDays: 3650, waveformDays: 30 };

const housekeeping = [
  contractCase(
    'retention drops what was accepted too long ago tier by tier; rollups outlive raw rows',
    async (store, edge, harness) => {
      const history = new History(store, edge);
      await history.add(ramp(T0, 1_000, 300));
      const counts = async (stepMs: number) => {
        const query = { ...whole, machine: press, metric: 'm', stepMs, aggregates: ['count'] as const, limit: 1000 };
        const { columns } = await store.series(query);
        return Array.from(columns[stepMs === 0 ? 'value' : 'count']!).length;
      };
      assert.equal((await store.applyRetention(POLICY, T0 + 2 * DAY_MS)).rowsDeleted, 0);
      assert.deepEqual([await counts(0), await counts(MINUTE_MS), await counts(HOUR_MS)], [300, 5, 1]);
      assert.ok((await store.applyRetention(POLICY, T0 + 60 * DAY_MS)).rowsDeleted >= 600);
      assert.deepEqual([await counts(0), await counts(MINUTE_MS), await counts(HOUR_MS)], [0, 5, 1]);
      await store.applyRetention(POLICY, T0 + 400 * DAY_MS);
      assert.deepEqual([await counts(0), await counts(HOUR_MS)], [0, 1]);
      const reopened = await harness.reopen();
      assert.equal((await settledOf(reopened)).stored, 600);
      assert.equal((await reopened.latest(press)).length, 2);
      await reopened.applyRetention(POLICY, T0 + 4000 * DAY_MS);
      const gone = await reopened.series({
        ...whole,
        machine: press,
        metric: 'm',
        stepMs: HOUR_MS,
        aggregates: ALL,
        limit: 9,
      });
      assert.equal(gone.ts.length, 0);
    },
  ),
  contractCase(
    'retention forgets of no publisher what was settled: one that was quiet for years goes on where it was, and its loss is seen',
    async (store, edge, harness) => {
      const part = `${edge.source}/${edge.epoch}`;
      const outcomes = [1, 2, 3, 4, 5].map((n) => edge.readings(T0 + n, { a: n }, { part }));
      await store.settle(batch(outcomes.slice(0, 2)));
      const muchLaterMs = T0 + 5000 * DAY_MS;
      const other = new Publisher('edge-2', 9);
      const ofOther = other.readings(muchLaterMs, { a: 9 }, { part: 'edge-2/9', acceptedAtMs: muchLaterMs });
      await store.settle(batch([ofOther]));
      await store.applyRetention(POLICY, muchLaterMs);
      await harness.maintain(muchLaterMs);
      const reopened = await harness.reopen();
      const result = await reopened.settle(batch(outcomes.slice(0, 3)));
      assert.deepEqual([result.redelivered, result.lost], [2, 0]);
      assert.equal((await reopened.settle(batch(outcomes.slice(4)))).lost, 1);
      assert.equal((await settledOf(reopened)).stored, 5);
      const [{ watermarks, parts } = assert.fail('nothing is settled')] = await reopened.settled();
      assert.equal(watermarks.get('metrics'), 6);
      assert.deepEqual(
        parts?.get('metrics'),
        new Map([
          [part, 5],
          ['edge-2/9', 1],
        ]),
      );
    },
  ),
  contractCase('what was accepted since is kept, however old its own time is', async (store, edge) => {
    const history = new History(store, edge);
    await history.add(ramp(T0, 1_000, 10));
    await history.add(ramp(T0 - 500 * DAY_MS, 1_000, 10), { acceptedAtMs: T0 + 20 * DAY_MS });
    await store.applyRetention(POLICY, T0 + 21 * DAY_MS);
    const points = await rawSeries(store, 'm');
    assert.deepEqual(
      points.map(([ts]) => ts),
      ramp(T0 - 500 * DAY_MS, 1_000, 10).map(({ ts }) => ts),
    );
    await history.add(ramp(T0 + 21 * DAY_MS, 1_000, 10), { acceptedAtMs: T0 + 21 * DAY_MS });
    assert.equal((await rawSeries(store, 'm')).length, 20);
  }),
  contractCase(
    'objects of waveforms that are no longer kept are reported until the next call',
    async (store, edge, harness) => {
      await store.settle(
        batch([edge.waveform('w1', T0), edge.waveform('w2', T0, 'de', { acceptedAtMs: T0 + 20 * DAY_MS })]),
      );
      const first = await store.applyRetention(POLICY, T0 + 31 * DAY_MS);
      assert.deepEqual(first.orphanedObjects, ['waveforms/w1']);
      const reopened = await harness.reopen();
      assert.deepEqual((await reopened.applyRetention(POLICY, T0 + 31 * DAY_MS)).orphanedObjects, ['waveforms/w1']);
      assert.deepEqual((await reopened.applyRetention(POLICY, T0 + 31 * DAY_MS)).orphanedObjects, []);
      assert.deepEqual(
        (await reopened.waveforms({ ...whole, machine: press, limit: 10 })).map((each) => each.waveformId),
        ['w2'],
      );
    },
  ),
  contractCase('a policy that keeps a finer tier longer than a coarser one is refused', async (store) => {
    await rejectsWith('invalid_argument', store.applyRetention({ ...POLICY, rawDays: 100 }, T0));
    await rejectsWith('invalid_argument', store.applyRetention({ ...POLICY, rawDays: 0 }, T0));
  }),
  contractCase('an export has every reading of the range', async (store, edge, harness) => {
    const history = new History(store, edge);
    await history.add(ramp(T0, HOUR_MS, 48));
    await harness.maintain(T0 + 3 * DAY_MS);
    const folder = await harness.folder();
    const files = await store.exportParquet({ fromMs: T0, toMs: T0 + 40 * HOUR_MS }, folder);
    assert.equal(
      files.reduce((rows, file) => rows + file.rows, 0),
      80,
    );
    assert.deepEqual(await store.exportParquet({ fromMs: 0, toMs: T0 }, folder), []);
  }),
  contractCase('an export of one machine has its readings alone', async (store, edge, harness) => {
    await store.settle(
      batch([
        edge.readings(T0, { m: 1, k: 2 }),
        edge.readings(T0, { m: 3 }, { key: pump }),
        edge.readings(T0, { m: 4 }, { key: foreignPress }),
      ]),
    );
    const rowsOf = async (...machines: MachineKey[]) =>
      (await store.exportParquet({ ...whole, machines }, await harness.folder())).map(({ rows }) => rows);
    assert.deepEqual(await rowsOf(press), [2]);
    assert.deepEqual(await rowsOf(pump, foreignPress), [2]);
    assert.deepEqual(await rowsOf('acme/akron/nobody' as MachineKey), []);
    assert.deepEqual(await rowsOf(), []);
  }),
  contractCase('a backup is one state of the store, taken while settlements go on', async (store, edge, harness) => {
    const folder = await harness.folder();
    const settlements: Promise<unknown>[] = [];
    const settleSome = () => {
      for (let n = 0; n < 20; n++) {
        settlements.push(store.settle(batch([edge.readings(T0 + settlements.length, { m: n, k: n })])));
      }
    };
    settleSome();
    const backedUp = store.backup(folder);
    settleSome();
    await Promise.all([backedUp, ...settlements]);
    const copy = await harness.openBackup(folder);
    const { stored } = await settledOf(copy);
    const [progress] = await copy.progress('metrics', 'store');
    assert.equal(stored, 2 * (progress?.seq ?? 0));
    assert.equal((await rawSeries(copy, 'm')).length, progress?.seq ?? 0);
    assert.equal((await settledOf(store)).stored, 80);
  }),
];

/** The duties of {@link TimeSeriesStore}. */
export const timeSeriesStoreContract: Contract<TimeSeriesStoreHarness> = {
  port: 'time-series-store',
  cases: [...settlement, ...series, ...listings, ...housekeeping],
};
