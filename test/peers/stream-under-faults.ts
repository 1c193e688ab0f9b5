import { expect } from '@jest/globals';
import { acknowledgeInto } from '#core/contracts/acknowledge-into.ts';
import { sampleEvent } from '#core/contracts/sample-event.ts';
import { until } from '#core/contracts/until.ts';
import { retry } from '#core/delivery/retry.ts';
import type { MachineEvent, StampedEvent, StreamName } from '#core/domain/event.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { isOfService, PortError } from '#core/errors.ts';
import type { EventStream } from '#core/ports/event-stream.ts';
import type { TcpFaults } from './tcp-faults.ts';

const MACHINES = 8;
const EVENTS_A_PUBLISH = 5;
const AGAIN = { maxAttempts: 200, firstDelayMs: 10, longestDelayMs: 200 };

export interface StreamUnderFaults {
  readonly publisher: EventStream;
  readonly consumers: readonly EventStream[];
  readonly streamName: StreamName;
  readonly publishesAMachine: number;
  /** Done once while events are under way, again and again until it resolves to true, between publishes. */
  readonly meanwhile?: (published: number) => Promise<void> | void;
  readonly withinMs?: number;
}

/**
 * Publishes for several machines at once, each event until it is durable and before the next of its machine, as devices do; and expects that
 * consumers get all of it, each machine's in order and no number of a source twice or left out.
 */
export async function expectAllInOrder(given: StreamUnderFaults): Promise<readonly StampedEvent[]> {
  const { publisher, consumers, streamName, publishesAMachine, meanwhile, withinMs = 60_000 } = given;
  const received: StampedEvent[] = [];
  await retry(() => publisher.declareGroup(streamName, 'store'), AGAIN, { mayPass: isOfService });
  for (const consumer of consumers)
    await retry(() => subscribe(consumer, streamName, received), AGAIN, { mayPass: isOfService });
  const published: MachineEvent[] = [];
  await Promise.all(
    Array.from({ length: MACHINES }, async (_, machine) => {
      for (let round = 0; round < publishesAMachine; round++) {
        const events = eventsOf(machine, round);
        await publishUntilDurable(publisher, streamName, events);
        published.push(...events);
        await meanwhile?.(published.length);
      }
    }),
  );
  const missing = (): number => {
    const ids = new Set(received.map(({ eventId }) => eventId));
    return published.filter(({ eventId }) => !ids.has(eventId)).length;
  };
  await until(() => missing() === 0, 'all events have come', withinMs);
  for (const [key, own] of Map.groupBy(received, (event) => event.key))
    expect([...new Set(own.map(({ eventId }) => eventId))]).toEqual(
      published.filter((event) => event.key === key).map(({ eventId }) => eventId),
    );
  for (const own of Map.groupBy(received, ({ source, epoch }) => `${source} ${epoch}`).values()) expectDense(own);
  return received;
}

/** What a network between a stream and its service may do, by what it is. */
export const WIRE_FAULTS: readonly (readonly [what: string, fault: (wire: TcpFaults) => void])[] = [
  ['cuts every connection now and then', (wire) => wire.cut()],
  ['cuts in the middle of what is sent', (wire) => wire.cutAfter(700)],
  [
    'lets nothing through for a while',
    (wire) => {
      wire.hold();
      setTimeout(() => wire.letGo(), 500);
    },
  ],
];

/** {@link expectAllInOrder} of a publisher and two consumers while a fault of the network comes again and again. */
export async function expectAllInOrderOver(fault: () => void, open: () => Promise<EventStream>): Promise<void> {
  const [publisher, ...consumers] = [await open(), await open(), await open()] as const;
  let faults = 0;
  await expectAllInOrder({
    ...{ publisher, consumers, streamName: 'metrics', publishesAMachine: 12 },
    meanwhile: (published) => {
      if (published % 100 > 0) return;
      faults++;
      fault();
    },
  });
  expect(faults).toBeGreaterThan(2);
}

/** Each number of an epoch from the first to the last is one event's, and came in its turn. */
function expectDense(own: readonly StampedEvent[]): void {
  const idOf = new Map<number, string>();
  for (const { seq, eventId } of own) {
    expect(idOf.get(seq) ?? eventId).toBe(eventId);
    idOf.set(seq, eventId);
  }
  const seqs = [...idOf.keys()].sort((left, right) => left - right);
  expect(seqs).toEqual(Array.from(seqs, (_, at) => at + 1));
}

function eventsOf(machine: number, round: number): readonly MachineEvent[] {
  return Array.from({ length: EVENTS_A_PUBLISH }, (_, index) =>
    sampleEvent(`m${machine}-${round}-${index}`, { key: `north/akron/m${machine}` as MachineKey }),
  );
}

async function publishUntilDurable(
  stream: EventStream,
  name: StreamName,
  events: readonly MachineEvent[],
): Promise<void> {
  let left = events;
  await retry(
    async () => {
      const { failed } = await stream.publish(name, left);
      left = failed.map(({ index }) => left[index]!);
      if (left.length > 0) throw new PortError('unavailable', `${left.length} of ${events.length} are not durable`);
    },
    AGAIN,
    { mayPass: isOfService },
  );
}

async function subscribe(stream: EventStream, name: StreamName, received: StampedEvent[]): Promise<void> {
  await stream.subscribe(name, 'store', acknowledgeInto(received), { maxBatchEvents: 7 });
}
