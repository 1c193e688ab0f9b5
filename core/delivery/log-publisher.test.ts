import { describe, expect, it } from '@jest/globals';
import { sampleEvent } from '../contracts/sample-event.ts';
import type { MachineKey, TenantId } from '../domain/ids.ts';
import { PortError } from '../errors.ts';
import { LogPublisher } from './log-publisher.ts';
import type { ItemTotals, PartitionedLog, Place, PublishedRecord } from './partitioned-log.ts';

const NORTH = 'north' as TenantId;

/** A log in memory, whose batches take at most so many events. */
class SmallLog implements PartitionedLog {
  readonly name = 'metrics';
  readonly partitionCount = 2;
  readonly maxBatchBytes = 1_000_000;
  readonly records: PublishedRecord<Place>[][] = [[], []];
  readonly batches: number[] = [];
  readonly #totals = new Map<number, ItemTotals>();
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

  async append(
    partition: number,
    records: readonly PublishedRecord<Place>[],
    totalsAfter: (count: number) => ItemTotals,
  ): Promise<number> {
    await Promise.resolve();
    if (this.failNext) {
      this.failNext = false;
      throw new PortError('unavailable', 'the answer is lost');
    }
    const taken = records.slice(0, this.#batchEvents);
    this.records[partition]!.push(...taken);
    this.batches.push(taken.length);
    this.#totals.set(partition, totalsAfter(taken.length));
    return taken.length;
  }

  async itemsByPartition(partitions: readonly number[] = [0, 1]): Promise<ReadonlyMap<number, ItemTotals>> {
    return new Map([...this.#totals].filter(([partition]) => partitions.includes(partition)));
  }
}

function open(log: SmallLog): Promise<LogPublisher> {
  let epoch = 0;
  return LogPublisher.open({ log, source: 'edge', nextEpoch: () => ++epoch, maxPendingBytes: 1_000_000 });
}

const eventsOf = (machine: string, count: number) =>
  Array.from({ length: count }, (_, at) =>
    sampleEvent(`${machine}-${at}`, { key: `north/akron/${machine}` as MachineKey, items: 2 }),
  );

describe('what publishes to a log in partitions', () => {
  it('goes on after as many events as a batch took, with numbers and counts that have no hole', async () => {
    const log = new SmallLog(3);
    const publisher = await open(log);
    const results = await Promise.all([publisher.publish(eventsOf('m1', 4)), publisher.publish(eventsOf('m1', 4))]);
    expect(results).toEqual([{ failed: [] }, { failed: [] }]);
    expect(log.batches.every((count) => count <= 3)).toBe(true);
    const stamps = log.records[1]!.map(({ stamp }) => stamp);
    expect(stamps.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(stamps.map(({ cumulativeItems }) => cumulativeItems)).toEqual([2, 4, 6, 8, 10, 12, 14, 16]);
    expect((await log.itemsByPartition()).get(1)).toEqual(new Map([[NORTH, 16]]));
  });

  it('fails what waits behind a batch that failed, and begins an epoch of what is durable', async () => {
    const log = new SmallLog(10);
    const publisher = await open(log);
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
    expect((await log.itemsByPartition()).get(1)).toEqual(new Map([[NORTH, 6]]));
    expect(log.records[1]!.at(-1)!.stamp.cumulativeItems).toBe(6);
  });
});
