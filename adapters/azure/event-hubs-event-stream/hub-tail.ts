import { Sleeper } from '#core/delivery/sleeper.ts';
import type { StampedEvent } from '#core/domain/event.ts';
import { PortError } from '#core/errors.ts';
import type { HubConsumer, IncomingEvent } from './client.ts';
import { decodeEvent } from './event-codec.ts';
import { eventsAfter, partitionStates, type HubReader } from './hub-reader.ts';
import { PartitionReader } from './partition-reader.ts';

const BLOCK_EVENTS = 500;
const WAIT_MS = 200;
/** The service's clock may be so far behind that of who accepted an event. */
const CLOCK_SKEW_MS = 60_000;

/** Sequence numbers of a partition, both included. */
interface Range {
  readonly partition: number;
  readonly first: number;
  readonly last: number;
}

/** The newest events of all partitions by when they were accepted, oldest first. What a reader of each partition holds is in memory. */
export async function* readTail(
  reader: HubReader,
  partitions: readonly number[],
  { maxEvents, sinceMs }: { readonly maxEvents: number; readonly sinceMs: number },
  signal: AbortSignal,
): AsyncGenerator<readonly StampedEvent[]> {
  const ranges = await rangesOf(reader, partitions, { maxEvents, sinceMs }, signal);
  let surplus = ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0) - maxEvents;
  const consumer = reader.client.openConsumer(reader.hub, reader.consumerGroup);
  const cursors = ranges.map((range) => new Cursor(consumer, range, reader));
  try {
    let block: StampedEvent[] = [];
    for await (const event of merged(cursors)) {
      signal.throwIfAborted();
      if (surplus-- > 0 || event.acceptedAtMs < sinceMs) continue;
      if (block.push(event) < BLOCK_EVENTS) continue;
      yield block;
      block = [];
    }
    if (block.length > 0) yield block;
  } finally {
    await Promise.all(cursors.map((cursor) => cursor.close()));
    await consumer.close();
  }
}

/** Where the newest events of each partition are that has some since then. */
async function rangesOf(
  reader: HubReader,
  partitions: readonly number[],
  { maxEvents, sinceMs }: { readonly maxEvents: number; readonly sinceMs: number },
  signal: AbortSignal,
): Promise<readonly Range[]> {
  // None was sent before it was accepted.
  const enqueuedSinceMs = sinceMs - CLOCK_SKEW_MS;
  const states = [...(await partitionStates(reader, partitions, signal))].filter(
    ([, { isEmpty, lastEnqueuedAtMs }]) => !isEmpty && lastEnqueuedAtMs >= enqueuedSinceMs,
  );
  const since = await eventsAfter(reader, new Map(states.map(([each]) => [each, { enqueuedSinceMs }])), signal);
  return states.map(([partition, { first, last }]) => ({
    partition,
    first: Math.max(first, since.get(partition)!.sequenceNumber, last - maxEvents + 1),
    last,
  }));
}

/** The cursors' events, always the one that was accepted first of those that are next. */
async function* merged(cursors: readonly Cursor[]): AsyncGenerator<StampedEvent> {
  for (;;) {
    let next: { readonly cursor: Cursor; readonly event: StampedEvent } | undefined;
    for (const cursor of cursors) {
      const event = cursor.head ?? (await cursor.fetch());
      if (event && (!next || event.acceptedAtMs < next.event.acceptedAtMs)) next = { cursor, event };
    }
    if (!next) return;
    next.cursor.head = undefined;
    yield next.event;
  }
}

/** Reads the range of a partition, event by event. */
class Cursor {
  readonly #range: Range;
  readonly #hub: string;
  readonly #timeoutMs: number;
  readonly #reader: PartitionReader;
  readonly #sleeper = new Sleeper();
  #failure: Error | undefined;
  #isAtEnd = false;
  /** The next event, once it was fetched. */
  head: StampedEvent | undefined;

  constructor(consumer: HubConsumer, range: Range, { hub, timeoutMs }: HubReader) {
    this.#range = range;
    this.#hub = hub;
    this.#timeoutMs = timeoutMs;
    const failed = (error: unknown): void => {
      this.#failure = error as Error;
      this.#sleeper.wake();
    };
    this.#reader = new PartitionReader({
      ...{ consumer, partition: range.partition, after: range.first - 1, ownerLevel: undefined, waitMs: WAIT_MS },
      onMore: () => this.#sleeper.wake(),
      onTaken: failed,
      onFailure: failed,
    });
  }

  /** The next event as the head; undefined behind the last one. What somebody else sent is passed over. */
  async fetch(): Promise<StampedEvent | undefined> {
    while (!this.#isAtEnd && !this.head) {
      const incoming = await this.#incoming();
      this.#isAtEnd = incoming.sequenceNumber >= this.#range.last;
      if (incoming.sequenceNumber <= this.#range.last) this.head = this.#decoded(incoming);
    }
    return this.head;
  }

  close(): Promise<void> {
    return this.#reader.close();
  }

  async #incoming(): Promise<IncomingEvent> {
    const where = `partition ${this.#range.partition} of ${this.#hub}`;
    const lastMs = performance.now() + this.#timeoutMs;
    while (this.#reader.waiting.length === 0 && this.#failure === undefined && performance.now() < lastMs)
      await this.#sleeper.sleep(lastMs - performance.now());
    if (this.#failure !== undefined) throw this.#failure;
    const [incoming] = this.#reader.waiting;
    if (!incoming) throw new PortError('unavailable', `${where} gave nothing within ${this.#timeoutMs} ms`);
    this.#reader.take(1);
    return incoming;
  }

  #decoded(incoming: IncomingEvent): StampedEvent | undefined {
    try {
      return decodeEvent(incoming, this.#hub);
    } catch {
      return undefined;
    }
  }
}
