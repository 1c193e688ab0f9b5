import type { PortError } from '#core/errors.ts';
import type { HubConsumer, IncomingEvent, Receiver } from './client.ts';

/** So many events are asked for at a time: few until it is known how large they are, more of small ones of a backlog, as each answer takes its time. */
const FEWEST_EVENTS_A_RECEIVE = 100;
const MOST_EVENTS_A_RECEIVE = 1_000;
const BYTES_A_RECEIVE = 2 ** 20;
/** Once so many wait here no more are asked for. */
const MAX_WAITING_EVENTS = 2_000;
const MAX_WAITING_BYTES = 4 * 2 ** 20;
/** The SDK asks for more each time that it is asked, whatever is still to come: beyond so many the receiver is begun anew rather than let wait. */
const MAX_CREDIT = 2_000;
const RETRY_MS = 1_000;

export interface PartitionReaderOptions {
  readonly consumer: HubConsumer;
  readonly partition: number;
  /** The events after this one. */
  readonly after: number;
  /** Undefined: others may read the partition, too. */
  readonly ownerLevel: number | undefined;
  readonly waitMs: number;
  /** Told when there is more. */
  readonly onMore: () => void;
  /** Told when a receiver with a higher owner level has the partition; nothing comes any more. */
  readonly onTaken: (error: PortError) => void;
  /** Told of what is tried again. */
  readonly onFailure: (error: unknown) => void;
}

/** Reads a partition ahead, within limits. A receiver that failed is begun again after the last event that came. */
export class PartitionReader {
  readonly #options: PartitionReaderOptions;
  readonly #waiting: IncomingEvent[] = [];
  #waitingBytes = 0;
  #last: number;
  #receiver: Receiver | undefined;
  /** Of the receiver, or the next one. */
  #eventsAReceive = FEWEST_EVENTS_A_RECEIVE;
  /** At most so many events are under way to the receiver. */
  #credit = 0;
  #whenRoom: () => void = () => undefined;
  #retry: NodeJS.Timeout | undefined;
  #ending: Promise<void> = Promise.resolve();
  #isOver = false;

  constructor(options: PartitionReaderOptions) {
    this.#options = options;
    this.#last = options.after;
    this.#open();
  }

  /** What came and was not taken, in order. */
  get waiting(): readonly IncomingEvent[] {
    return this.#waiting;
  }

  /** Takes the first so many of those that wait. */
  take(count: number): void {
    for (const event of this.#waiting.splice(0, count)) this.#waitingBytes -= sizeOf(event);
    if (!this.#hasRoom) return;
    this.#whenRoom();
    if (!this.#receiver && this.#retry === undefined && !this.#isOver) this.#open();
  }

  async close(): Promise<void> {
    this.#isOver = true;
    clearTimeout(this.#retry);
    this.#end();
    await this.#ending;
  }

  get #hasRoom(): boolean {
    return this.#waiting.length < MAX_WAITING_EVENTS && this.#waitingBytes < MAX_WAITING_BYTES;
  }

  #open(): void {
    const { consumer, partition, ownerLevel, waitMs, onTaken, onFailure } = this.#options;
    this.#retry = undefined;
    this.#credit = 0;
    const isCurrent = (): boolean => this.#receiver === receiver;
    const receiver = consumer.receive({
      ...{ partition, ownerLevel, waitMs, after: this.#last, maxEvents: this.#eventsAReceive },
      onEvents: async (events) => {
        if (isCurrent()) await this.#receive(events);
      },
      onError: (error, isTaken) => {
        if (!isCurrent()) return;
        this.#end();
        if (isTaken) {
          this.#isOver = true;
          onTaken(error);
          return;
        }
        onFailure(error);
        this.#retry = setTimeout(() => this.#open(), RETRY_MS);
      },
    });
    this.#receiver = receiver;
  }

  async #receive(events: readonly IncomingEvent[]): Promise<void> {
    this.#credit += this.#eventsAReceive - events.length;
    let bytes = 0;
    for (const event of events) {
      if (event.sequenceNumber <= this.#last) continue;
      this.#last = event.sequenceNumber;
      this.#waiting.push(event);
      bytes += sizeOf(event);
    }
    this.#waitingBytes += bytes;
    if (events.length > 0) this.#options.onMore();
    if (this.#resize(events.length, bytes)) {
      this.#end();
      if (this.#hasRoom && !this.#isOver) this.#open();
      return;
    }
    if (this.#hasRoom) return;
    if (this.#credit > MAX_CREDIT) this.#end();
    else await new Promise<void>((resolve) => (this.#whenRoom = resolve));
  }

  /** Whether the next receiver is to ask for more or fewer at a time. */
  #resize(count: number, bytes: number): boolean {
    if (count === 0 || bytes === 0) return false;
    const fitting = Math.floor((BYTES_A_RECEIVE * count) / bytes);
    const wanted = Math.min(MOST_EVENTS_A_RECEIVE, Math.max(FEWEST_EVENTS_A_RECEIVE, fitting));
    const isBacklog = count >= this.#eventsAReceive;
    // By half at least: to begin a receiver takes its time, too.
    const changes = wanted < this.#eventsAReceive / 2 || (isBacklog && wanted > this.#eventsAReceive * 2);
    if (changes) this.#eventsAReceive = wanted;
    return changes;
  }

  #end(): void {
    const receiver = this.#receiver;
    this.#receiver = undefined;
    this.#whenRoom();
    if (receiver) this.#ending = Promise.all([this.#ending, receiver.close()]).then(noResult, this.#options.onFailure);
  }
}

function sizeOf({ body }: IncomingEvent): number {
  return (body instanceof Uint8Array ? body.byteLength : 0) + 400;
}

function noResult(): void {
  return undefined;
}
