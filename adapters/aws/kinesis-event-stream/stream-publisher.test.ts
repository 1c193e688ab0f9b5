import { describe, expect, it } from '@jest/globals';
import { sampleEvent } from '#core/contracts/sample-event.ts';
import { MAX_EVENT_BYTES, type MachineEvent, type StampedEvent } from '#core/domain/event.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';
import type { PutResult } from './client.ts';
import { decodeRecord } from './record-codec.ts';
import { StreamPublisher, type PublisherParts } from './stream-publisher.ts';

type Answer = (events: readonly StampedEvent[], record: number) => PutResult;

const taken: PutResult = { shardId: 'shardId-000000000000', sequenceNumber: '1' };
const throttled: PutResult = { errorCode: 'ProvisionedThroughputExceededException' };

/** A Kinesis that answers as it is told, with what it made durable. */
function makePublisher(given: Partial<PublisherParts> = {}) {
  const durable: StampedEvent[] = [];
  const requests: StampedEvent[][][] = [];
  const said = new Map<string, { readonly seq: number; readonly items: number }>();
  let epochs = 0;
  let answer: (request: number) => Answer | PortError = () => () => taken;
  const publisher = new StreamPublisher({
    ...{ source: 'edge', lanes: 16, maxRequestBytes: 10_485_760, maxPendingBytes: 33_554_432 },
    put: async (records) => {
      const request = records.map(({ data }) => [...decodeRecord(data, 'test')]);
      requests.push(request);
      await new Promise((resolve) => setImmediate(resolve));
      const answering = answer(requests.length);
      if (answering instanceof PortError) throw answering;
      return request.map((events, index) => {
        const result = answering(events, index);
        if (result.sequenceNumber !== undefined) durable.push(...events);
        return result;
      });
    },
    openEpoch: async () => ++epochs,
    published: ({ source, epoch, seq, items }) =>
      void said.set(`${source}/${epoch}`, { seq, items: items.get('north') ?? 0 }),
    ...given,
  });
  return { publisher, durable, requests, said, answerBy: (by: typeof answer) => void (answer = by) };
}

function eventsOf(count: number, machines: number, bytes = 10): MachineEvent[] {
  return Array.from({ length: count }, (_, index) =>
    sampleEvent(`e-${index}`, {
      key: `north/akron/m${index % machines}` as MachineKey,
      payload: new Uint8Array(bytes),
    }),
  );
}

const idsOf = (events: readonly MachineEvent[]) => events.map(({ eventId }) => eventId);

describe('a request', () => {
  it('has one record a lane at most, each with the events of its lane in their order', async () => {
    const { publisher, requests } = makePublisher();
    const events = eventsOf(200, 50);
    await Promise.all([publisher.publish(events.slice(0, 120)), publisher.publish(events.slice(120))]);
    expect(requests).toHaveLength(1);
    const [request] = requests as [StampedEvent[][]];
    expect(new Set(request.map(([first]) => first!.source)).size).toBe(request.length);
    for (const record of request) expect(record.map(({ seq }) => seq)).toEqual(record.map((_, index) => index + 1));
    for (const [key, own] of Map.groupBy(request.flat(), (event) => event.key))
      expect(idsOf(own)).toEqual(idsOf(events.filter((event) => event.key === key)));
  });

  it('has at most 500 records, and at most its limit of bytes in records of 1 MiB', async () => {
    const { publisher, requests, durable } = makePublisher({ lanes: 500, maxRequestBytes: 5_242_880 });
    const sizes: number[][] = [];
    const events = eventsOf(24, 24, MAX_EVENT_BYTES);
    await publisher.publish(events);
    for (const request of requests)
      sizes.push(request.map((record) => record.reduce((sum, { payload }) => sum + payload.byteLength, 0)));
    for (const records of sizes) {
      expect(records.length).toBeLessThanOrEqual(5);
      expect(Math.max(...records)).toBeLessThan(1_048_576);
    }
    expect(idsOf(durable).sort()).toEqual(idsOf(events).sort());
  });
});

describe('a record that Kinesis does not take', () => {
  it('fails its events and what waits behind them in their lane, and its numbers are those of what is published next', async () => {
    const { publisher, durable, requests, said, answerBy } = makePublisher({ lanes: 1 });
    answerBy((request) => () => (request === 2 ? throttled : taken));
    const events = eventsOf(5, 1, 300_000);
    // Three of them fill a record, so that the others go with a second one.
    const { failed } = await publisher.publish(events);
    expect(failed).toEqual([
      { index: 3, code: 'resource_exhausted' },
      { index: 4, code: 'resource_exhausted' },
    ]);
    expect(requests).toHaveLength(2);
    expect((await publisher.publish(events.slice(3))).failed).toEqual([]);
    expect(durable.map(({ eventId, epoch, seq, cumulativeItems }) => [eventId, epoch, seq, cumulativeItems])).toEqual(
      events.map(({ eventId }, index) => [eventId, 1, index + 1, index + 1]),
    );
    expect(said).toEqual(new Map([['edge.0/1', { seq: 5, items: 5 }]]));
  });

  it('holds back later records of its lane, and of no other', async () => {
    const { publisher, durable, answerBy } = makePublisher();
    const isFirst = ({ eventId }: StampedEvent) => eventId === 'e-0';
    answerBy((request) => (events) => (request === 1 && events.some(isFirst) ? throttled : taken));
    // Each event has a record of its own.
    const events = eventsOf(40, 20, 600_000);
    const { failed } = await publisher.publish(events);
    const lost = failed.map(({ index }) => events[index]!);
    expect(idsOf(lost)).toEqual(expect.arrayContaining(['e-0', 'e-20']));
    expect(durable.some(({ key }) => key === events[0]!.key)).toBe(false);
    expect(durable).toHaveLength(40 - lost.length);
    expect(durable.length).toBeGreaterThan(20);
  });

  it('is not said to be published', async () => {
    const { publisher, said, answerBy } = makePublisher({ lanes: 1 });
    answerBy(() => () => throttled);
    await publisher.publish(eventsOf(7, 1));
    await publisher.close();
    expect(said.size).toBe(0);
  });
});

describe('a request that fails as a whole', () => {
  it.each(['unavailable', 'deadline_exceeded', 'internal'] as const)(
    'with %s opens another epoch, as nobody knows whether its numbers were used',
    async (code) => {
      const { publisher, durable, said, answerBy } = makePublisher({ lanes: 1 });
      await publisher.publish(eventsOf(3, 1));
      answerBy((request) => (request === 2 ? new PortError(code, 'the answer was lost') : () => taken));
      await expect(publisher.publish(eventsOf(2, 1))).rejects.toMatchObject({ code });
      await publisher.publish(eventsOf(2, 1));
      expect(durable.map(({ epoch, seq }) => [epoch, seq])).toEqual([
        [1, 1],
        [1, 2],
        [1, 3],
        [2, 1],
        [2, 2],
      ]);
      expect([...said]).toEqual([
        ['edge.0/1', { seq: 3, items: 3 }],
        ['edge.0/2', { seq: 2, items: 2 }],
      ]);
    },
  );

  it.each(['resource_exhausted', 'permission_denied', 'not_found'] as const)(
    'with %s wrote nothing: numbers and counts go on as if it had not been',
    async (code) => {
      const { publisher, durable, answerBy } = makePublisher();
      answerBy((request) => (request === 1 ? new PortError(code, 'refused') : () => taken));
      await expect(publisher.publish(eventsOf(2, 1))).rejects.toMatchObject({ code });
      await publisher.publish(eventsOf(2, 1));
      expect(durable.map(({ epoch, seq, cumulativeItems }) => [epoch, seq, cumulativeItems])).toEqual([
        [1, 1, 1],
        [1, 2, 2],
      ]);
    },
  );
});

describe('what waits to become durable', () => {
  it('is bounded: more is refused, and taken once it is less', async () => {
    const { publisher } = makePublisher({ maxPendingBytes: 1_048_576 });
    const first = publisher.publish(eventsOf(2, 1, 400_000));
    await expect(async () => publisher.publish(eventsOf(2, 1, 400_000))).rejects.toMatchObject({
      code: 'resource_exhausted',
    });
    await first;
    expect(await publisher.publish(eventsOf(2, 1, 400_000))).toEqual({ failed: [] });
  });
});
