import type { MachineEvent } from '../domain/event.ts';
import { tenantOf, type TenantId } from '../domain/ids.ts';
import type { ItemTotals, Place, PublishedRecord, PartitionedLog } from './partitioned-log.ts';

const MAX_BATCH_EVENTS = 5_000;

export interface PartitionPublisherOptions<Found extends Place> {
  readonly log: Pick<PartitionedLog<Found>, 'append' | 'bytesOf' | 'maxBatchBytes'>;
  readonly partition: number;
  readonly source: string;
  /** Each tenant's items on the partition, counted anew from its end: what a failure leaves behind is known there alone. */
  readonly readTotals: (partition: number) => Promise<ItemTotals>;
  /** A number that this source has never had. */
  readonly nextEpoch: () => number;
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
 * stays dense. Once one has failed, those behind it fail too, that none overtakes it, and the next opens a new epoch: whether the failed
 * one reached the log after all, nobody knows.
 */
export class PartitionPublisher<Found extends Place> {
  readonly #options: PartitionPublisherOptions<Found>;
  readonly #queue: Share<Found>[] = [];
  #incarnation: Incarnation | undefined;
  #isRunning = false;

  constructor(options: PartitionPublisherOptions<Found>) {
    this.#options = options;
  }

  /** Never rejects. */
  publish(events: readonly PlacedEvent<Found>[]): Promise<Outcome> {
    return new Promise((resolve) => {
      this.#queue.push({ events, durable: 0, resolve });
      if (!this.#isRunning) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#queue.length > 0) {
      try {
        this.#incarnation ??= await this.#begin();
        await this.#publishBatch(this.#incarnation);
      } catch (error) {
        this.#incarnation = undefined;
        for (const { durable, resolve } of this.#queue.splice(0)) resolve({ durable, error });
      }
    }
    this.#isRunning = false;
  }

  async #begin(): Promise<Incarnation> {
    const { partition, readTotals, nextEpoch } = this.#options;
    return { epoch: nextEpoch(), seq: 0, totals: await readTotals(partition) };
  }

  async #publishBatch(incarnation: Incarnation): Promise<void> {
    const { log, partition } = this.#options;
    const taken = this.#take();
    const totals = new Map(incarnation.totals);
    const records = this.#recordsOf(taken, incarnation, totals);
    const totalsAfter = (count: number): ItemTotals => {
      if (count === taken.length) return totals;
      const fewer = new Map(incarnation.totals);
      for (const { event } of taken.slice(0, count)) add(fewer, event);
      return fewer;
    };
    const appended = await log.append(partition, records, totalsAfter);
    this.#incarnation = { ...incarnation, seq: incarnation.seq + appended, totals: totalsAfter(appended) };
    this.#settle(appended);
  }

  /** Adds the events' items to the totals. */
  #recordsOf(
    events: readonly PlacedEvent<Found>[],
    { epoch, seq }: Incarnation,
    totals: Map<TenantId, number>,
  ): readonly PublishedRecord<Found>[] {
    const { source } = this.#options;
    return events.map(({ event, place }, index) => ({
      event,
      place,
      stamp: { source, epoch, seq: seq + index + 1, cumulativeItems: add(totals, event) },
    }));
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
  readonly totals: ItemTotals;
}

/** Adds an event's items to its tenant's; returns these. */
function add(totals: Map<TenantId, number>, { key, items }: MachineEvent): number {
  const tenant = tenantOf(key);
  const sum = (totals.get(tenant) ?? 0) + items;
  totals.set(tenant, sum);
  return sum;
}
