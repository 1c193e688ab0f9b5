import { describe, expect, it } from '@jest/globals';
import { sampleEvent } from '../contracts/sample-event.ts';
import type { MachineKey } from '../domain/ids.ts';
import { PortError } from '../errors.ts';
import { LogPublisher } from './log-publisher.ts';
import type { PublishedEpoch } from './accounts/stream-accounts.ts';
import type { PartitionedLog, Place, PublishedRecord } from './partitioned-log.ts';

/** A log in memory, whose batches take at most so many events. */
class SmallLog implements PartitionedLog {
  readonly name = 'metrics';
  readonly partitionCount = 2;
  readonly maxBatchBytes = 1_000_000;
  readonly records: PublishedRecord<Place>[][] = [[], []];
  readonly batches: number[] = [];
  readonly #batchEvents: number;
  failNext = false;

  constructor(batchEvents: number) {
    this.#batchEvents = batchEvents;
  }

  placeOf(machine: MachineKey): Place {
    return { partition: machine.endsWith('m1') ? 1 : 0 };
  }

  bytesOf(): number {
    return 100;
  }

  async append(partition: number, records: readonly PublishedRecord<Place>[]): Promise<number> {
    await Promise.resolve();
    if (this.failNext) {
      this.failNext = false;
      throw new PortError('unavailable', 'the answer is lost');
    }
    const taken = records.slice(0, this.#batchEvents);
    this.records[partition]!.push(...taken);
    this.batches.push(taken.length);
    return taken.length;
  }
}

/** A publisher to the log, and what it told last of each source. */
function open(log: SmallLog, source = 'edge') {
  let epoch = 0;
  const told = new Map<string, unknown>();
  const published = ({ source: lane, items, ...last }: PublishedEpoch) =>
    told.set(lane, { ...last, items: Object.fromEntries(items) });
  const publisher = new LogPublisher({ log, source, nextEpoch: () => ++epoch, maxPendingBytes: 1_000_000, published });
  return { publisher, told };
}

const eventsOf = (machine: string, count: number, items = 2) =>
  Array.from({ length: count }, (_, at) =>
    sampleEvent(`${machine}-${at}`, { key: `north/akron/${machine}` as MachineKey, items }),
  );

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
    log.failNext = true;
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

  it('takes nothing into a partition while whoever published what failed there does not know it yet', async () => {
    const log = new SmallLog(10);
    const slow = Promise.withResolvers<undefined>();
    const append = log.append.bind(log);
    log.append = async (partition, records) => {
      if (partition === 0) await slow.promise;
      return append(partition, records);
    };
    const { publisher } = open(log);
    log.failNext = true;
    const first = publisher.publish([...eventsOf('m0', 1), ...eventsOf('m1', 1)]);
    await new Promise((resolve) => setImmediate(resolve));
    await expect(publisher.publish(eventsOf('m1', 1))).rejects.toMatchObject({ code: 'unavailable' });
    slow.resolve(undefined);
    expect(await first).toEqual({ failed: [{ index: 1, code: 'unavailable' }] });
    expect(await publisher.publish(eventsOf('m1', 1))).toEqual({ failed: [] });
    expect(log.records.map((own) => own.length)).toEqual([1, 1]);
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
