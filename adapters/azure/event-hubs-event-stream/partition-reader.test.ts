import { describe, expect, it } from '@jest/globals';
import { until } from '#core/contracts/until.ts';
import { PortError } from '#core/errors.ts';
import type { HubConsumer, IncomingEvent, ReceiverOptions } from './client.ts';
import { PartitionReader } from './partition-reader.ts';

/** What the SDK would do is the test's: it has the options of each receiver that was begun. */
class Bench {
  readonly begun: ReceiverOptions[] = [];
  readonly told: unknown[] = [];
  open = 0;
  isTaken = false;
  readonly reader: PartitionReader;

  constructor(after = -1) {
    const consumer: HubConsumer = {
      receive: (options) => {
        this.begun.push(options);
        this.open++;
        return {
          close: async () => {
            this.open--;
          },
        };
      },
      close: async () => undefined,
      abandon: () => undefined,
    };
    this.reader = new PartitionReader({
      ...{ consumer, partition: 0, after, ownerLevel: 3, waitMs: 200, onMore: () => undefined },
      onTaken: () => (this.isTaken = true),
      onFailure: (error) => this.told.push(error),
    });
  }

  get last(): ReceiverOptions {
    return this.begun.at(-1)!;
  }
}

function eventsOf(from: number, count: number, bytes = 10): IncomingEvent[] {
  return Array.from({ length: count }, (_, index) => ({
    ...{ sequenceNumber: from + index, enqueuedAtMs: 0, body: new Uint8Array(bytes), properties: {} },
    systemProperties: {},
  }));
}

describe('a reader of a partition', () => {
  it.each([
    ['events', [100, 900, 1_000], 10],
    ['bytes', [10], 1_000_000],
  ])('lets its receiver wait while too many %s wait, until some are taken', async (_of, counts, bytes) => {
    const bench = new Bench();
    let [came, goesOn] = [0, 0];
    const received = Promise.all(
      counts.map(async (count) => {
        const events = eventsOf(came, count, bytes);
        came += count;
        await bench.last.onEvents(events);
        goesOn++;
      }),
    );
    await new Promise((resolve) => setImmediate(resolve));
    expect(goesOn).toBe(counts.length - 1);
    expect(bench.reader.waiting).toHaveLength(came);
    bench.reader.take(Math.ceil(came / 2) + 2);
    await received;
    await bench.reader.close();
  });

  it('asks for more at a time of a backlog of small events, and for fewer once they are large', async () => {
    const bench = new Bench();
    const [few, many] = [100, 1_000];
    await bench.last.onEvents(eventsOf(0, few - 1, 600));
    await bench.last.onEvents(eventsOf(few - 1, few, 600));
    await bench.last.onEvents(eventsOf(2 * few - 1, 5, 600));
    await bench.last.onEvents(eventsOf(2 * few + 4, 2, 500_000));
    expect(bench.begun.map(({ after, maxEvents }) => [after, maxEvents])).toEqual([
      [-1, few],
      [2 * few - 2, many],
      [2 * few + 5, few],
    ]);
    expect(bench.open).toBe(1);
    await bench.reader.close();
  });

  it('ends a receiver to which too much may be under way, and begins one after the last that came', async () => {
    const bench = new Bench(41);
    // A few at a time: the SDK asks for a hundred more at each.
    for (let call = 0; call < 40; call++) await bench.last.onEvents(eventsOf(42 + call, 1));
    await bench.last.onEvents(eventsOf(82, 1_000, 6_000));
    expect(bench.open).toBe(0);
    await bench.last.onEvents(eventsOf(1_082, 5));
    expect(bench.reader.waiting).toHaveLength(1_040);
    bench.reader.take(500);
    expect(bench.begun.map(({ after, ownerLevel }) => [after, ownerLevel])).toEqual([
      [41, 3],
      [1_081, 3],
    ]);
    await bench.reader.close();
    expect(bench.open).toBe(0);
  });

  it('ends one that asks for many at a time just the same', async () => {
    const bench = new Bench();
    await bench.last.onEvents(eventsOf(0, 100));
    expect(bench.last.maxEvents).toBe(1_000);
    for (let call = 0; call < 4; call++) await bench.last.onEvents(eventsOf(100 + call, 1));
    await bench.last.onEvents(eventsOf(104, 999, 5_000));
    expect(bench.open).toBe(0);
    await bench.reader.close();
  });

  it('begins again after the last that came when its receiver failed, and passes over what came before', async () => {
    const bench = new Bench();
    await bench.last.onEvents(eventsOf(0, 3));
    bench.last.onError(new PortError('unavailable', 'the link is gone'), false);
    expect(bench.told).toEqual([expect.objectContaining({ code: 'unavailable' })]);
    await until(() => bench.begun.length === 2, 'the next receiver');
    expect(bench.last.after).toBe(2);
    await bench.last.onEvents(eventsOf(1, 4));
    expect(bench.reader.waiting.map(({ sequenceNumber }) => sequenceNumber)).toEqual([0, 1, 2, 3, 4]);
    await bench.reader.close();
  });

  it('is over once another has the partition', async () => {
    const bench = new Bench();
    bench.last.onError(new PortError('failed_precondition', 'stolen'), true);
    expect([bench.isTaken, bench.open, bench.told]).toEqual([true, 0, []]);
    bench.reader.take(0);
    expect(bench.begun).toHaveLength(1);
    await bench.reader.close();
  });
});
