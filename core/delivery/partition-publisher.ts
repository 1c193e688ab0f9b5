import type { MachineEvent } from '../domain/event.ts';
import { countItems, type PublishedEpoch } from './accounts/stream-accounts.ts';
import type { Place, PublishedRecord, PartitionedLog, Refusal } from './partitioned-log.ts';

const MAX_BATCH_EVENTS = 5_000;

export interface PartitionPublisherOptions<Found extends Place> {
  readonly log: Pick<PartitionedLog<Found>, 'append' | 'bytesOf' | 'maxBatchBytes'>;
  readonly partition: number;
  readonly source: string;
  /** A number that this source has never had. */
  readonly nextEpoch: () => number;
  /** Told of what became durable, where it is items. */
  readonly published: (epoch: PublishedEpoch) => void;
}

/** An event of a publish. */
export interface PlacedEvent<Found extends Place> {
  readonly event: MachineEvent;
  readonly place: Found;
}

/** How a partition's share of a publish ended: the first so many events are durable, the others not, for the reason. */
export interface Outcome {
  readonly durable: number;
  readonly error?: unknown;
}

/**
 * Publishes to one partition, a batch at a time: what comes meanwhile goes with the next. A batch is durable whole or not at all, so `seq`
 * stays dense. Once one has failed, those behind it fail too, that none overtakes it. What the log refused leaves its numbers to the next;
 * after a failure of which nobody knows whether the batch reached the log after all, the next opens a new epoch, so that no number is ever that
 * of two events. Items are counted within an epoch: what others publish to the partition meanwhile is not known here.
 */
export class PartitionPublisher<Found extends Place> {
  readonly #options: PartitionPublisherOptions<Found>;
  readonly #queue: Share<Found>[] = [];
  #incarnation: Incarnation | undefined;
  #isRunning = false;
  /** Shares that failed, of publishes whose callers do not know it yet, as another partition's share is still under way; and why the last one did. */
  #untold = 0;
  #error: unknown;

  constructor(options: PartitionPublisherOptions<Found>) {
    this.#options = options;
  }

  /** Never rejects. Whoever calls it says so by {@link told} once what failed of it is known to whom it concerns. */
  publish(events: readonly PlacedEvent<Found>[]): Promise<Outcome> {
    // It would overtake what failed, which is not sent again before it is known.
    if (this.#untold > 0) return Promise.resolve(this.#failed({ durable: 0, error: this.#error }));
    return new Promise((resolve) => {
      this.#queue.push({ events, durable: 0, resolve });
      if (!this.#isRunning) void this.#run();
    });
  }

  /** Of a share that failed, its caller knows now. */
  told(): void {
    this.#untold--;
  }

  #failed(outcome: Outcome): Outcome {
    this.#untold++;
    this.#error = outcome.error;
    return outcome;
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#queue.length > 0) {
      try {
        this.#incarnation ??= { epoch: this.#options.nextEpoch(), seq: 0, items: new Map() };
        const refusal = await this.#publishBatch(this.#incarnation);
        if (refusal) this.#fail(refusal.refused);
      } catch (error) {
        this.#incarnation = undefined;
        this.#fail(error);
      }
    }
    this.#isRunning = false;
  }

  async #publishBatch({ epoch, seq, items }: Incarnation): Promise<Refusal | undefined> {
    const { log, partition, source, published } = this.#options;
    const taken = this.#take();
    const counted = new Map(items);
    const records = taken.map(({ event, place }, index): PublishedRecord<Found> => {
      const stamp = { source, epoch, seq: seq + index + 1, cumulativeItems: countItems(counted, event) };
      return { event, place, stamp };
    });
    const appended = await log.append(partition, records);
    if (typeof appended !== 'number') return appended;
    const durable = appended === taken.length ? counted : withItemsOf(taken.slice(0, appended), items);
    this.#incarnation = { epoch, seq: seq + appended, items: durable };
    if (durable.size > 0) published({ source, epoch, seq: seq + appended, items: durable });
    this.#settle(appended);
    return undefined;
  }

  #fail(error: unknown): void {
    for (const { durable, resolve } of this.#queue.splice(0)) resolve(this.#failed({ durable, error }));
  }

  /** As many of the queue's events as fit into a batch, in their order. */
  #take(): PlacedEvent<Found>[] {
    const { log } = this.#options;
    const taken: PlacedEvent<Found>[] = [];
    let bytes = 0;
    for (const { events, durable } of this.#queue) {
      for (let at = durable; at < events.length; at++) {
        const next = events[at]!;
        bytes += log.bytesOf(next.event, next.place);
        if (taken.length > 0 && (bytes > log.maxBatchBytes || taken.length >= MAX_BATCH_EVENTS)) return taken;
        taken.push(next);
      }
    }
    return taken;
  }

  #settle(appended: number): void {
    let [left, done] = [appended, 0];
    for (const share of this.#queue) {
      const own = Math.min(left, share.events.length - share.durable);
      share.durable += own;
      left -= own;
      if (share.durable < share.events.length) break;
      share.resolve({ durable: share.durable });
      done++;
    }
    this.#queue.splice(0, done);
  }
}

/** A partition's share of a publish. */
interface Share<Found extends Place> {
  readonly events: readonly PlacedEvent<Found>[];
  durable: number;
  readonly resolve: (outcome: Outcome) => void;
}

interface Incarnation {
  readonly epoch: number;
  /** The last one that is durable. */
  readonly seq: number;
  /** Each tenant's that are durable, of those that have any. */
  readonly items: ReadonlyMap<string, number>;
}

function withItemsOf(
  events: readonly PlacedEvent<Place>[],
  items: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  const counted = new Map(items);
  for (const { event } of events) countItems(counted, event);
  return counted;
}
