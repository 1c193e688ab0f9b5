import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import type { StampedEvent } from '../domain/event.ts';
import type { MachineKey, TenantId } from '../domain/ids.ts';
import type { MovableHistory, MovableHistoryStore } from '../moving/movable-history.ts';
import type { EventOutcome, OwnedTimeSeriesStore, SettledTenant } from '../ports/time-series-store.ts';
import type { Contract } from './contract.ts';
import { failsWith } from './fails-with.ts';
import { press, Publisher, T0 } from './sample-publisher.ts';

type Store = OwnedTimeSeriesStore & MovableHistoryStore;

export interface MovableHistoryHarness {
  readonly store: Store;
  /** The store of another site, in which there is nothing. */
  readonly elsewhere: Store;
  /** Closes the other store and opens it again. */
  readonly reopenElsewhere: () => Promise<Store>;
  /** A fresh folder of this machine. */
  readonly folder: () => Promise<string>;
  /** Reads and writes files there. */
  readonly readFile: (path: string) => Promise<Uint8Array>;
  readonly writeFile: (path: string, content: Uint8Array) => Promise<void>;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const acme = 'acme' as TenantId;
const globex = 'globex' as TenantId;
const foreignPress = 'globex/akron/press-7' as MachineKey;
const machines = [press, foreignPress, 'acme/akron/pump-1' as MachineKey];
const whole = { fromMs: 0, toMs: T0 + 100 * DAY_MS };
const NOW = T0 + 20 * DAY_MS;
/** After any clock's time. */
const LATER = Date.UTC(2200, 0);

/** Everything that a store keeps, over days of which retention has dropped some. */
export async function fillRichly(store: Store): Promise<void> {
  const edge = new Publisher();
  await settle(store, everyKindOfRow(edge, 0));
  await store.maintain(T0 + HOUR_MS);
  await settle(store, everyKindOfRow(edge, 1));
  await settle(store, everyKindOfRow(edge, 12));
  await store.maintain(T0 + 12 * DAY_MS);
  await store.applyRetention({ rawDays: 9, rollup1mDays: 60, rollup1hDays: 60, waveformDays: 9 }, T0 + 13 * DAY_MS);
  await settle(store, everyKindOfRow(edge, 13));
}

function everyKindOfRow(edge: Publisher, day: number): EventOutcome[] {
  const at = T0 + day * DAY_MS;
  const accepted: Partial<StampedEvent> = { acceptedAtMs: at };
  const named = (machine: MachineKey) => ({ ...accepted, key: machine });
  return [
    ...Array.from({ length: 130 }, (_, i) => edge.readings(at + i * 1000, { rpm: i + day / 3, temp: 20 }, accepted)),
    // Another value of a time that was there, and a reading that comes late.
    edge.readings(at + 7000, { rpm: 999 }, accepted),
    edge.readings(at - 20 * MINUTE_MS, { rpm: 5 }, accepted),
    {
      type: 'readings',
      event: edge.event('telemetry', 2, named(machines[2]!)),
      ts: at + 5,
      readings: [
        { metric: 'temp', value: 20.1 + day, unit: 'Cel', quality: 'uncertain' },
        { metric: 'tiny', value: -4.9e-324, quality: 'bad' },
      ],
    },
    {
      type: 'readings',
      event: edge.event('telemetry', 1, named(machines[2]!)),
      ts: at + 4,
      readings: [{ metric: 'temp', value: 68, unit: '[degF]' }],
    },
    edge.readings(at, { rpm: 1 / 3 }, named(foreignPress)),
    edge.waveform(`w${day}`, at, 'de', accepted),
    edge.waveform('w-again', at, 'nde', accepted),
    document(edge, `f${day}`, 1, at, accepted),
    document(edge, `f${day}`, 2, at, accepted),
    {
      type: 'rejected',
      event: edge.event('rejection', 2, { ...accepted, eventId: `refused-${day}` }),
      rejections: [
        { code: 'out_of_range', pointer: '', detail: 'says "1,5", \\. and\r\nü — ✓' },
        { code: 'unit', pointer: '/metrics/a,b', detail: '' },
      ],
    },
    {
      type: 'rejected',
      event: edge.event('rejection', 1, named('acme/akron/ghost' as MachineKey)),
      rejections: [{ code: 'unknown_machine', pointer: '', detail: 'nobody has described it' }],
    },
    edge.deadLettered(2, { ...accepted, payload: Uint8Array.from({ length: 256 }, (_, byte) => byte) }),
    { type: 'duplicate', event: edge.event('duplicate', 2, accepted) },
  ];
}

function document(edge: Publisher, id: string, revision: number, ts: number, given: Partial<StampedEvent>) {
  const outcome = edge.features(id, revision, ts, revision / 7);
  return { ...outcome, event: { ...outcome.event, ...given } };
}

async function settle(store: Store, outcomes: readonly EventOutcome[]): Promise<void> {
  await store.settle({ stream: 'metrics', group: 'store', fence: 1, outcomes });
}

/** What anybody can ask of the store, but for ids, which are its own, and for what is about its streams. */
export async function historyAnswers(store: Store): Promise<unknown> {
  const series: unknown[] = [];
  for (const machine of machines) {
    const latest = (await store.latest(machine)).toSorted((left, right) => left.metric.localeCompare(right.metric));
    for (const { metric } of latest) {
      for (const stepMs of [0, MINUTE_MS, HOUR_MS]) {
        const query = { machine, metric, ...whole, stepMs, limit: 10_000 };
        const found = await store.series({ ...query, aggregates: ['mean', 'min', 'max', 'count'] });
        const { source: _, columns, ...points } = found;
        // Parts of a sum are added up in an order of the store's own.
        const mean = columns['mean']?.map((each) => Number(each.toPrecision(12)));
        series.push([machine, metric, stepMs, { ...points, columns: mean ? { ...columns, mean } : columns }]);
      }
    }
    series.push(latest);
    series.push(await store.waveforms({ machine, ...whole, limit: 100 }));
    series.push(await store.documents({ machine, ...whole, kind: 'features', limit: 100 }));
    series.push((await store.storedEventIds(machine, whole)).toSorted());
  }
  const settled = (await store.settled()).map((each) => [each.tenant, each.settled, each.conflicts]);
  return [settled, series, await listed(store, acme), await listed(store, globex)];
}

async function listed(store: Store, tenant: TenantId): Promise<unknown> {
  const lists = [await store.deadLetters({ tenant, limit: 100 }), await store.rejections({ tenant, limit: 100 })];
  return lists.flat().map(({ id: _, ...each }) => {
    if (!('event' in each)) return each;
    return { ...each, atMs: 0, event: { ...each.event, payload: [...each.event.payload] } };
  });
}

interface Exported {
  readonly name: string;
  readonly partId: string;
  readonly file: string;
  readonly rows: number;
}

async function exported({ movableHistory }: MovableHistoryStore, folder: string): Promise<Exported[]> {
  const parts: Exported[] = [];
  for (const name of await movableHistory.parts()) {
    const file = `${folder}/${name}.parquet`;
    parts.push({ name, partId: `${folder} ${name}`, file, rows: await movableHistory.exportPart(name, file) });
  }
  return parts;
}

async function imported({ movableHistory }: MovableHistoryStore, parts: readonly Exported[]): Promise<boolean[]> {
  const taken: boolean[] = [];
  for (const part of parts) taken.push(await take(movableHistory, part));
  return taken;
}

function take(history: MovableHistory, { name, partId, file }: Exported): Promise<boolean> {
  return history.importPart(name, partId, file);
}

async function checksums(
  { readFile }: Pick<MovableHistoryHarness, 'readFile'>,
  parts: readonly Exported[],
): Promise<unknown> {
  return Promise.all(parts.map(async ({ name, rows, file }) => [name, rows, hash('sha256', await readFile(file))]));
}

function sumOf({ settled: { stored, duplicate, rejected, deadLettered } }: SettledTenant): number {
  return stored + duplicate + rejected + deadLettered;
}

/** What it takes for a store's history to be moved to another store, of whatever provider. */
export const movableHistoryContract: Contract<MovableHistoryHarness> = {
  port: 'time-series-store',
  capability: 'MovableHistoryStore',
  cases: [
    {
      name: 'answers elsewhere as it did here, of everything that it keeps, and after housekeeping too',
      async run({ store, elsewhere, folder }) {
        await fillRichly(store);
        const parts = await exported(store, await folder());
        const kinds = new Set(parts.map(({ name }) => name.replace(/-\d{4}-\d\d-\d\d$/, '')));
        assert.equal(kinds.size, 13);
        assert.deepEqual(
          parts.filter(({ rows }) => rows === 0).map(({ name }) => name),
          [],
        );
        const before = await historyAnswers(store);
        assert.ok((await imported(elsewhere, parts)).every(Boolean));
        assert.deepEqual(await historyAnswers(elsewhere), before);
        await elsewhere.maintain(LATER);
        assert.deepEqual(await historyAnswers(elsewhere), before);
        const policy = { rawDays: 30, rollup1mDays: 60, rollup1hDays: 60, waveformDays: 60 };
        const { orphanedObjects } = await elsewhere.applyRetention(policy, NOW);
        assert.deepEqual(orphanedObjects, ['waveforms/w0', 'waveforms/w1']);
      },
    },
    {
      name: 'writes the same files there as here',
      async run({ store, elsewhere, folder, readFile }) {
        await fillRichly(store);
        const parts = await exported(store, await folder());
        await imported(elsewhere, parts);
        assert.deepEqual(
          await checksums({ readFile }, await exported(store, await folder())),
          await checksums({ readFile }, parts),
        );
        assert.deepEqual(
          await checksums({ readFile }, await exported(elsewhere, await folder())),
          await checksums({ readFile }, parts),
        );
      },
    },
    {
      name: 'goes on there as it would have here, also where a value comes late or another one of the same time',
      async run({ store, elsewhere, folder }) {
        await fillRichly(store);
        await imported(elsewhere, await exported(store, await folder()));
        for (const each of [store, elsewhere]) {
          const edge = new Publisher('edge-2');
          const accepted = { acceptedAtMs: T0 + 13 * DAY_MS + HOUR_MS };
          await settle(each, [
            edge.readings(T0 + 13 * DAY_MS + 8000, { rpm: -1 }, accepted),
            edge.readings(T0 + 12 * DAY_MS + 8000, { rpm: -2 }, accepted),
            edge.readings(T0 + 13 * DAY_MS + HOUR_MS, { rpm: 7, fresh: 1 }, accepted),
          ]);
        }
        assert.deepEqual(await historyAnswers(elsewhere), await historyAnswers(store));
        for (const each of [store, elsewhere]) await each.maintain(LATER);
        assert.deepEqual(await historyAnswers(elsewhere), await historyAnswers(store));
      },
    },
    {
      name: 'knows an event there that was stored, rejected or dead-lettered here',
      async run({ store, elsewhere, folder }) {
        await fillRichly(store);
        await imported(elsewhere, await exported(store, await folder()));
        const before = (await elsewhere.settled()).find(({ tenant }) => tenant === acme)!.settled;
        const [letter] = await elsewhere.deadLetters({ tenant: acme, limit: 1 });
        const stored = (
          await elsewhere.storedEventIds(press, { fromMs: T0 + 13 * DAY_MS, toMs: T0 + 13 * DAY_MS + 1 })
        )[0]!;
        const edge = new Publisher('edge-2');
        const ts = T0 + 13 * DAY_MS;
        const outcomes = [stored, 'refused-13', letter!.event.eventId].map((eventId) =>
          edge.readings(ts, { rpm: 0 }, { eventId, verifyStored: true, acceptedAtMs: ts }),
        );
        await settle(elsewhere, outcomes);
        const after = (await elsewhere.settled()).find(({ tenant }) => tenant === acme)!.settled;
        assert.deepEqual(after, { ...before, duplicate: before.duplicate + 3 });
      },
    },
    {
      name: 'counts what was settled here as imported there, beside what comes by streams in parts or without',
      async run({ store, elsewhere, folder }) {
        await fillRichly(store);
        await imported(elsewhere, await exported(store, await folder()));
        for (const each of await elsewhere.settled()) {
          assert.equal(each.imported, sumOf(each));
          assert.equal(each.watermarks.size, 0);
        }
        const edge = new Publisher('edge-2');
        const accepted = { acceptedAtMs: NOW };
        await settle(elsewhere, [
          edge.readings(NOW, { rpm: 1 }, { ...accepted, part: '0' }),
          edge.readings(NOW + 1, { rpm: 1 }, { ...accepted, part: '1', cumulativeItems: 1 }),
        ]);
        const here = (await store.settled()).find(({ tenant }) => tenant === acme)!;
        const there = (await elsewhere.settled()).find(({ tenant }) => tenant === acme)!;
        assert.equal(there.imported, sumOf(here));
        assert.equal(sumOf(there), there.imported + there.watermarks.get('metrics')!);
        assert.deepEqual(await elsewhere.lostEvents(), []);
      },
    },
    {
      name: 'replays a dead letter there, under its new id',
      async run({ store, elsewhere, folder }) {
        await fillRichly(store);
        await imported(elsewhere, await exported(store, await folder()));
        const [letter] = await elsewhere.deadLetters({ tenant: acme, limit: 1 });
        const { id, event } = letter!;
        assert.equal(event.payload.length, 256);
        const outcome: EventOutcome = {
          type: 'readings',
          event,
          ts: NOW,
          readings: [{ metric: 'replayed', value: 1 }],
        };
        assert.equal(await elsewhere.settleDeadLetter(id, outcome), 'stored');
        assert.equal(await elsewhere.deadLetter(acme, id), undefined);
      },
    },
    {
      name: 'goes on with an import that was interrupted, and takes each part once',
      async run({ store, elsewhere, reopenElsewhere, folder }) {
        await fillRichly(store);
        const parts = await exported(store, await folder());
        const half = Math.floor(parts.length / 2);
        await imported(elsewhere, parts.slice(0, half));
        const again = await reopenElsewhere();
        assert.deepEqual(
          await imported(again, parts),
          parts.map((_, at) => at >= half),
        );
        assert.deepEqual(await historyAnswers(again), await historyAnswers(store));
        assert.deepEqual(
          await imported(again, parts),
          parts.map(() => false),
        );
        assert.deepEqual(await historyAnswers(again), await historyAnswers(store));
      },
    },
    {
      name: 'refuses to import into a store that holds data, or was used meanwhile, or has parts of another export',
      async run({ store, elsewhere, folder }) {
        await fillRichly(store);
        const parts = await exported(store, await folder());
        const before = await historyAnswers(store);
        await assert.rejects(imported(store, parts), failsWith('already_exists'));
        assert.deepEqual(await historyAnswers(store), before);
        await imported(elsewhere, parts.slice(0, 2));
        const others = await exported(store, await folder());
        await assert.rejects(imported(elsewhere, others), failsWith('already_exists'));
        await settle(elsewhere, [new Publisher('edge-2').readings(NOW, { rpm: 1 }, { acceptedAtMs: NOW })]);
        await assert.rejects(imported(elsewhere, parts), failsWith('already_exists'));
      },
    },
    {
      name: 'refuses a file that is damaged, of no export or of another part, and takes the right one afterwards',
      async run({ store, elsewhere, folder, readFile, writeFile }) {
        await fillRichly(store);
        const place = await folder();
        const parts = await exported(store, place);
        await imported(elsewhere, parts.slice(0, 2));
        const readings = parts[2]!;
        const bytes = await readFile(readings.file);
        const flipped = Uint8Array.from(bytes, (byte, at) => (at > 40 && at < 400 ? byte ^ 0x55 : byte));
        const bad: readonly (readonly [string, Uint8Array])[] = [
          ['cut', bytes.subarray(0, bytes.length - 100)],
          ['flipped', flipped],
          ['text', Buffer.from('this is no Parquet')],
          ['empty', new Uint8Array()],
          ['other', await readFile(parts[3]!.file)],
        ];
        for (const [name, content] of bad) {
          const file = `${place}/${name}`;
          await writeFile(file, content);
          await assert.rejects(
            take(elsewhere.movableHistory, { ...readings, file }),
            failsWith('invalid_argument'),
            name,
          );
        }
        await assert.rejects(
          take(elsewhere.movableHistory, { ...readings, file: `${place}/missing` }),
          failsWith('invalid_argument'),
        );
        await imported(elsewhere, parts.slice(2));
        assert.deepEqual(await historyAnswers(elsewhere), await historyAnswers(store));
      },
    },
    {
      name: 'begins an import with its first part, and knows no part that there is not',
      async run({ store, elsewhere, folder }) {
        await fillRichly(store);
        const place = await folder();
        const parts = await exported(store, place);
        await assert.rejects(imported(elsewhere, parts.slice(1)), failsWith('invalid_argument'));
        for (const name of [
          'readings-1999-12-31',
          'rollups-1h-1999-12-31',
          'readings',
          'events-soon',
          '',
          'toString',
        ]) {
          await assert.rejects(store.movableHistory.exportPart(name, `${place}/x`), failsWith('not_found'), name);
        }
      },
    },
    {
      name: 'moves a store in which there is nothing, and what it may take then',
      async run({ store, elsewhere, folder }) {
        const parts = await exported(store, await folder());
        assert.ok(parts.every(({ rows }) => rows === 0));
        await imported(elsewhere, parts);
        assert.deepEqual(await elsewhere.settled(), []);
        await settle(elsewhere, everyKindOfRow(new Publisher(), 0));
        await settle(store, everyKindOfRow(new Publisher(), 0));
        assert.deepEqual(await historyAnswers(elsewhere), await historyAnswers(store));
      },
    },
  ],
};
