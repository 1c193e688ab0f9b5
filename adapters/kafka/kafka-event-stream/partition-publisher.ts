import type { MachineEvent } from '#core/domain/event.ts';
import { machineRef } from '#core/domain/ids.ts';
import type { KafkaClient } from './client.ts';
import { encodeRecord, type OutgoingRecord } from './record-codec.ts';

/** Below a topic's usual `max.message.bytes` (1 MiB), with room for the envelopes that are counted by estimate only. */
const MAX_BATCH_BYTES = 1_000_000;
const MAX_BATCH_EVENTS = 5_000;
const ENVELOPE_BYTES = 350;

export interface PartitionPublisherOptions {
  readonly client: Pick<KafkaClient, 'produce'>;
  readonly topic: string;
  readonly partition: number;
  readonly source: string;
  /** Each tenant's items on the partition, counted anew from its end: what a failure leaves behind is known there alone. */
  readonly readTotals: (partition: number) => Promise<Map<string, number>>;
  /** A number that this source has never had. */
  readonly nextEpoch: () => number;
}

/** An event of a publish, with what is known of it from the start. */
export interface StampedForPartition {
  readonly event: MachineEvent;
  readonly key: Buffer;
  readonly cumulativeItems: number;
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
export class PartitionPublisher {
  readonly #options: PartitionPublisherOptions;
  readonly #queue: Share[] = [];
  #incarnation: Incarnation | undefined;
  #isRunning = false;

  constructor(options: PartitionPublisherOptions) {
    this.#options = options;
  }

  /** Never rejects. */
  publish(events: readonly StampedForPartition[]): Promise<Outcome> {
    return new Promise((resolve) => {
      this.#queue.push({ events, durable: 0, taken: 0, resolve });
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
    const { client, topic, partition } = this.#options;
    const taken = this.#take();
    const totals = new Map(incarnation.totals);
    for (const { event } of taken) {
      const { tenant } = machineRef(event.key);
      totals.set(tenant, (totals.get(tenant) ?? 0) + event.items);
    }
    await client.produce(topic, partition, this.#recordsOf(taken, incarnation, totals));
    this.#incarnation = { ...incarnation, seq: incarnation.seq + taken.length, totals };
    this.#settle();
  }

  #recordsOf(
    events: readonly StampedForPartition[],
    { epoch, seq }: Incarnation,
    totals: ReadonlyMap<string, number>,
  ): OutgoingRecord[] {
    const { source } = this.#options;
    return events.map(({ event, key, cumulativeItems }, index) =>
      encodeRecord(
        event,
        { source, epoch, seq: seq + index + 1, cumulativeItems },
        key,
        index === 0 ? totals : undefined,
      ),
    );
  }

  /** As many of the queue's events as fit into a batch, in their order. */
  #take(): StampedForPartition[] {
    const taken: StampedForPartition[] = [];
    let bytes = 0;
    for (const share of this.#queue) {
      for (; share.taken < share.events.length; share.taken++) {
        const next = share.events[share.taken]!;
        bytes += next.event.payload.byteLength + next.key.byteLength + ENVELOPE_BYTES;
        if (taken.length > 0 && (bytes > MAX_BATCH_BYTES || taken.length >= MAX_BATCH_EVENTS)) return taken;
        taken.push(next);
      }
    }
    return taken;
  }

  #settle(): void {
    let done = 0;
    for (const share of this.#queue) {
      share.durable = share.taken;
      if (share.durable < share.events.length) break;
      share.resolve({ durable: share.durable });
      done++;
    }
    this.#queue.splice(0, done);
  }
}

/** A partition's share of a publish. */
interface Share {
  readonly events: readonly StampedForPartition[];
  durable: number;
  /** Durable, or in the batch under way. */
  taken: number;
  readonly resolve: (outcome: Outcome) => void;
}

interface Incarnation {
  readonly epoch: number;
  /** The last one that is durable. */
  readonly seq: number;
  readonly totals: ReadonlyMap<string, number>;
}
