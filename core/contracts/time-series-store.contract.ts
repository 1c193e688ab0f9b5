import assert from 'node:assert/strict';
import type { EventKind, StampedEvent, StreamName } from '../domain/event.ts';
import { machineKey, parseName, type MachineId, type MachineKey, type SiteId, type TenantId } from '../domain/ids.ts';
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

/** What an adapter's tests make for each case. */
export interface TimeSeriesStoreHarness {
  readonly store: TimeSeriesStore;
  /** Closes the store and opens it again on the same data. */
  reopen(): Promise<TimeSeriesStore>;
  /** Makes the next settlement fail after its rows are written and before they are durable. */
  failNextSettlement(): void;
}

const T0 = Date.UTC(2026, 0, 15, 12);
const DAY_MS = 86_400_000;
const acme = parseName<TenantId>('tenant', 'acme');
const globex = parseName<TenantId>('tenant', 'globex');
const site = parseName<SiteId>('site', 'akron');
const press = machineKey(acme, site, parseName<MachineId>('machine', 'press-7'));
const pump = machineKey(acme, site, parseName<MachineId>('machine', 'pump-1'));
const foreignPress = machineKey(globex, site, parseName<MachineId>('machine', 'press-7'));

/** A publisher: stamps events densely, and counts items by tenant as the stream does. */
class Publisher {
  readonly source: string;
  readonly epoch: number;
  #seq = 0;
  readonly #items = new Map<string, number>();

  constructor(source = 'edge-1', epoch = 1) {
    this.source = source;
    this.epoch = epoch;
  }

  event(kind: EventKind, items: number, overrides: Partial<StampedEvent> = {}): StampedEvent {
    const key = overrides.key ?? press;
    const tenant = key.split('/')[0]!;
    const cumulativeItems = (this.#items.get(tenant) ?? 0) + items;
    this.#items.set(tenant, cumulativeItems);
    this.#seq += 1;
    return {
      eventId: `${this.source}-${this.epoch}-${this.#seq}`,
      kind,
      key,
      items,
      acceptedAtMs: T0,
      payload: new Uint8Array([this.#seq % 256]),
      source: this.source,
      epoch: this.epoch,
      seq: this.#seq,
      cumulativeItems,
      ...overrides,
    };
  }

  readings(ts: number, metrics: Readonly<Record<string, number>>, overrides: Partial<StampedEvent> = {}): EventOutcome {
    const readings = Object.entries(metrics).map(([metric, value]) => ({ metric, value }));
    return { type: 'readings', event: this.event('telemetry', readings.length, overrides), ts, readings };
  }

  duplicate(items: number): EventOutcome {
    return { type: 'duplicate', event: this.event('duplicate', items) };
  }

  rejected(...codes: string[]): EventOutcome {
    const rejections = codes.map((code, i) => ({ code, pointer: `/metrics/${i}`, detail: `item ${i}` }));
    return { type: 'rejected', event: this.event('rejection', codes.length), rejections };
  }

  deadLettered(items: number, overrides: Partial<StampedEvent> = {}): EventOutcome {
    return {
      type: 'deadLettered',
      event: this.event('telemetry', items, overrides),
      code: 'undecodable_payload',
      detail: 'no JSON',
    };
  }

  waveform(waveformId: string, ts: number, sensor = 'de', overrides: Partial<StampedEvent> = {}): EventOutcome {
    const waveform = {
      waveformId,
      sensor,
      ts,
      sampleRateHz: 25_600,
      unit: 'g',
      encoding: 'f32le' as const,
      scale: 1,
      sampleCount: 4096,
      rpm: 1797,
      objectKey: `waveforms/${waveformId}`,
      sha256: 'ab'.repeat(32),
    };
    return { type: 'waveform', event: this.event('waveform', 1, overrides), waveform };
  }

  features(id: string, revision: number, ts: number, rms: number): EventOutcome {
    const document = {
      kind: 'features' as const,
      id,
      revision,
      ts,
      sensor: 'de',
      values: { 'de.rms': rms },
      units: { 'de.rms': 'mm/s' },
      body: { provenance: 'test', verdicts: [{ zone: 'B' }] },
    };
    return { type: 'document', event: this.event('features', 0), document };
  }
}

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

/** The duties of {@link TimeSeriesStore}. */
export const timeSeriesStoreContract: Contract<TimeSeriesStoreHarness> = {
  port: 'time-series-store',
  cases: [...settlement],
};
export type { RetentionPolicy, SeriesQuery, StreamName };
