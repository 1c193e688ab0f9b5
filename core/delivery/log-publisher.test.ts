import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { sampleEvent } from '../contracts/sample-event.ts';
import type { MachineKey } from '../domain/ids.ts';
import { PortError } from '../errors.ts';
import { LogPublisher } from './log-publisher.ts';
import type { PublishedEpoch } from './accounts/stream-accounts.ts';
import type { PartitionedLog, Place, PublishedRecord, Refusal } from './partitioned-log.ts';

/** What becomes of a batch: it is durable, or surely never will be, or nobody knows, of which either may be true. */
const FATES = ['taken', 'refused', 'lost', 'taken, and the answer lost'] as const;
type Fate = (typeof FATES)[number];

const isUnknown = (fate: Fate): boolean => fate === 'lost' || fate === 'taken, and the answer lost';

/** A log in memory, whose batches take at most so many events. */
class SmallLog implements PartitionedLog {
  readonly name = 'metrics';
  readonly partitionCount = 2;
  readonly maxBatchBytes = 1_000_000;
  readonly records: PublishedRecord<Place>[][] = [[], []];
  readonly batches: number[] = [];
  readonly #batchEvents: number;
  /** Of the batches to come; those after them are taken. */
  readonly fates: Fate[] = [];

  constructor(batchEvents: number) {
    this.#batchEvents = batchEvents;
  }

  placeOf(machine: MachineKey): Place {
    return { partition: machine.endsWith('m1') ? 1 : 0 };
  }

  bytesOf(): number {
    return 100;
  }

  async append(partition: number, records: readonly PublishedRecord<Place>[]): Promise<number | Refusal> {
    await Promise.resolve();
    const fate = this.fates.shift() ?? 'taken';
    if (fate === 'refused') return { refused: new PortError('resource_exhausted', 'throttled') };
    if (fate === 'lost') throw new PortError('unavailable', 'it is lost');
    const taken = records.slice(0, this.#batchEvents);
    this.records[partition]!.push(...taken);
    this.batches.push(taken.length);
    if (fate !== 'taken') throw new PortError('unavailable', 'the answer is lost');
    return taken.length;
  }
}

/** A publisher to the log, and what it told last of each source. */
function open(log: SmallLog, source = 'edge') {
  let epoch = 0;
  const told = new Map<string, unknown>();
  /** By source and epoch, the items of all tenants. */
  const items = new Map<string, number>();
  const published = ({ source: lane, items: ofTenants, ...last }: PublishedEpoch) => {
    told.set(lane, { ...last, items: Object.fromEntries(ofTenants) });
    items.set(
      `${lane} ${last.epoch}`,
      [...ofTenants.values()].reduce((sum, each) => sum + each, 0),
    );
  };
  const publisher = new LogPublisher({ log, source, nextEpoch: () => ++epoch, maxPendingBytes: 1_000_000, published });
  return { publisher, told, items };
}

const eventsOf = (machine: string, count: number, items = 2, publish = '') =>
  Array.from({ length: count }, (_, at) =>
    sampleEvent(`${publish}:${machine}-${at}`, { key: `north/akron/${machine}` as MachineKey, items }),
  );

const publishOf = (eventId: string): string => eventId.slice(0, eventId.indexOf(':'));

/** Events for either partition or both, published so many turns of the event loop after those before, which are not waited for. */
const publishes = fc.record({
  afterTurns: fc.nat({ max: 4 }),
  events: fc.tuple(fc.nat({ max: 4 }), fc.nat({ max: 4 })),
  /** Of batches that are appended from then on, and how many turns they take. */
  fates: fc.array(fc.record({ fate: fc.constantFrom(...FATES), turns: fc.nat({ max: 4 }) }), { maxLength: 3 }),
});
type Publish = typeof publishes extends fc.Arbitrary<infer One> ? One : never;

const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
};

/** What the log had and the publisher told in the end, and by partition what became of the batches, and how many came before somebody knew what had failed. */
async function publishAll(batchEvents: number, given: readonly Publish[]) {
  const log = new SmallLog(batchEvents);
  const { publisher, items } = open(log);
  const lanes = log.records.map((records, partition) => ({
    ...{ records, source: `edge/${partition}`, fates: [] as Fate[], overtaking: 0 },
    untold: new Set<string>(),
  }));
  const batches: Publish['fates'][number][] = [];
  const append = log.append.bind(log);
  log.append = async (partition, records) => {
    const lane = lanes[partition]!;
    if (lane.untold.size > 0) lane.overtaking++;
    const { fate, turns: taking } = batches.shift() ?? { fate: 'taken', turns: 0 };
    await turns(taking);
    if (fate !== 'taken') for (const { event } of records) lane.untold.add(publishOf(event.eventId));
    lane.fates.push(fate);
    log.fates.push(fate);
    return append(partition, records);
  };
  const done: Promise<unknown>[] = [];
  for (const [index, { afterTurns, events, fates }] of given.entries()) {
    await turns(afterTurns);
    batches.push(...fates);
    const own = events.flatMap((count, partition) => eventsOf(`m${partition}`, count, 2, `${index}`));
    const told = () => lanes.forEach(({ untold }) => untold.delete(`${index}`));
    done.push(publisher.publish(own).then(told, told));
  }
  await Promise.all(done);
  return { lanes, items };
}

describe('what publishes to a log in partitions', () => {
  it('goes on after as many events as a batch took, with numbers and counts that have no hole', async () => {
    const log = new SmallLog(3);
    const { publisher, told } = open(log);
    const results = await Promise.all([publisher.publish(eventsOf('m1', 4)), publisher.publish(eventsOf('m1', 4))]);
    expect(results).toEqual([{ failed: [] }, { failed: [] }]);
    expect(log.batches.every((count) => count <= 3)).toBe(true);
    const stamps = log.records[1]!.map(({ stamp }) => stamp);
    expect(stamps.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(stamps.map(({ cumulativeItems }) => cumulativeItems)).toEqual([2, 4, 6, 8, 10, 12, 14, 16]);
    expect(told).toEqual(new Map([['edge/1', { epoch: 1, seq: 8, items: { north: 16 } }]]));
  });

  it('fails what waits behind a batch that failed, and begins an epoch of what is durable', async () => {
    const log = new SmallLog(10);
    const { publisher, told } = open(log);
    await publisher.publish([...eventsOf('m0', 1), ...eventsOf('m1', 1)]);
    log.fates.push('lost');
    const behind = await Promise.allSettled([
      publisher.publish(eventsOf('m1', 2)),
      publisher.publish(eventsOf('m1', 1)),
    ]);
    expect(behind.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await publisher.publish(eventsOf('m1', 2))).toEqual({ failed: [] });
    expect(log.records[1]!.map(({ stamp: { epoch, seq } }) => [epoch, seq])).toEqual([
      [1, 1],
      [2, 1],
      [2, 2],
    ]);
    expect(log.records[1]!.map(({ stamp }) => stamp.cumulativeItems)).toEqual([2, 2, 4]);
    expect(told.get('edge/1')).toEqual({ epoch: 2, seq: 2, items: { north: 4 } });
  });

  it.each(['lost', 'refused'] as const)(
    'takes nothing into a partition while whoever published what was %s there does not know it yet',
    async (fate) => {
      const log = new SmallLog(10);
      const slow = Promise.withResolvers<undefined>();
      const append = log.append.bind(log);
      log.append = async (partition, records) => {
        if (partition === 0) await slow.promise;
        return append(partition, records);
      };
      const { publisher } = open(log);
      log.fates.push(fate);
      const first = publisher.publish([...eventsOf('m0', 1), ...eventsOf('m1', 1)]);
      await new Promise((resolve) => setImmediate(resolve));
      const code = fate === 'lost' ? 'unavailable' : 'resource_exhausted';
      await expect(publisher.publish(eventsOf('m1', 1))).rejects.toMatchObject({ code });
      slow.resolve(undefined);
      expect(await first).toEqual({ failed: [{ index: 1, code }] });
      expect(await publisher.publish(eventsOf('m1', 1))).toEqual({ failed: [] });
      expect(log.records.map((own) => own.length)).toEqual([1, 1]);
    },
  );

  it('goes on in its epoch after batches that were refused, also where a part was durable before', async () => {
    const log = new SmallLog(2);
    const { publisher, told } = open(log);
    log.fates.push('refused', 'taken', 'refused', 'refused', 'taken');
    await expect(publisher.publish(eventsOf('m1', 1))).rejects.toMatchObject({ code: 'resource_exhausted' });
    expect(await publisher.publish(eventsOf('m1', 3))).toEqual({ failed: [{ index: 2, code: 'resource_exhausted' }] });
    const behind = await Promise.allSettled([1, 2].map(() => publisher.publish(eventsOf('m1', 1))));
    expect(behind.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await publisher.publish(eventsOf('m1', 1))).toEqual({ failed: [] });
    expect(log.records[1]!.map(({ stamp: { epoch, seq } }) => [epoch, seq])).toEqual([
      [1, 1],
      [1, 2],
      [1, 3],
    ]);
    expect(log.records[1]!.map(({ stamp }) => stamp.cumulativeItems)).toEqual([2, 4, 6]);
    expect(told.get('edge/1')).toEqual({ epoch: 1, seq: 3, items: { north: 6 } });
  });

  it('tells of no epoch in which nothing became durable, however many there are', async () => {
    const log = new SmallLog(10);
    const { publisher, items } = open(log);
    log.fates.push('lost', 'lost', 'refused', 'lost');
    for (let times = 0; times < 4; times++) await expect(publisher.publish(eventsOf('m1', 1))).rejects.toThrow();
    expect(items).toEqual(new Map());
    await publisher.publish(eventsOf('m1', 1));
    expect([...items.values()]).toEqual([2]);
  });

  it('gives no number to two events, lets nothing overtake what failed, and opens no more epochs than there are batches of which nobody knows', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.array(publishes), async (batchEvents, given) => {
        const { lanes, items } = await publishAll(batchEvents, given);
        for (const { records, source, fates, overtaking } of lanes) {
          expect(overtaking).toBe(0);
          const byEpoch = Map.groupBy(records, ({ stamp }) => stamp.epoch);
          const isWithoutAnswer = fates.includes('taken, and the answer lost');
          expect(byEpoch.size).toBeLessThanOrEqual(1 + fates.filter(isUnknown).length);
          for (const [epoch, own] of byEpoch) {
            expect(own.map(({ stamp }) => stamp.seq)).toEqual(own.map((_, index) => index + 1));
            expect(own.map(({ stamp }) => stamp.cumulativeItems)).toEqual(own.map((_, index) => 2 * (index + 1)));
            // What was taken without an answer is its last batch, and left untold.
            const untold = 2 * own.length - (items.get(`${source} ${epoch}`) ?? 0);
            expect(untold).toBeGreaterThanOrEqual(0);
            expect(untold).toBeLessThanOrEqual(isWithoutAnswer ? 2 * batchEvents : 0);
          }
        }
      }),
    );
  });

  it('counts its own alone while another publishes to the same partition', async () => {
    const log = new SmallLog(2);
    const publishers = ['one', 'other'].map((source) => open(log, source));
    await Promise.all(publishers.map(({ publisher }) => publisher.publish(eventsOf('m1', 3))));
    for (const [at, source] of ['one/1', 'other/1'].entries()) {
      const own = log.records[1]!.filter(({ stamp }) => stamp.source === source);
      expect(own.map(({ stamp: { seq, cumulativeItems } }) => [seq, cumulativeItems])).toEqual([
        [1, 2],
        [2, 4],
        [3, 6],
      ]);
      expect(publishers[at]!.told.get(source)).toEqual({ epoch: 1, seq: 3, items: { north: 6 } });
    }
  });

  it('tells nothing of events without items, which are in no ledger', async () => {
    const { publisher, told } = open(new SmallLog(10));
    await publisher.publish(eventsOf('m1', 3, 0));
    expect(told).toEqual(new Map());
  });
});
