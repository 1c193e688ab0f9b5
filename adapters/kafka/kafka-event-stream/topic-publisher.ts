import { MAX_EVENT_BYTES, type MachineEvent } from '#core/domain/event.ts';
import { machineRef } from '#core/domain/ids.ts';
import { codeOf, messageOf, PortError } from '#core/errors.ts';
import type { PublishResult } from '#core/ports/event-stream.ts';
import type { KafkaClient } from './client.ts';
import { PartitionPublisher, type Outcome, type StampedForPartition } from './partition-publisher.ts';
import { itemsByPartition } from './topic-tail.ts';

/** So many machines' keys are remembered as bytes with their partitions. */
const MAX_KNOWN_KEYS = 50_000;

export interface TopicPublisherOptions {
  readonly client: KafkaClient;
  readonly topic: string;
  /** Unique among all publishers there ever are. */
  readonly source: string;
  readonly nextEpoch: () => number;
  readonly maxPendingBytes: number;
}

/**
 * Publishes to a topic. Each of its partitions is a source of its own, `<publisher>/<partition>`: only within one are events in an order, and
 * so a consumer's progress may be a watermark.
 */
export class TopicPublisher {
  readonly #options: TopicPublisherOptions;
  readonly #partitions: readonly PartitionPublisher[];
  readonly #keys = new Map<string, { readonly key: Buffer; readonly partition: number }>();
  /** Items by tenant: durable ones and those under way. */
  readonly #items: Map<string, number>;
  #pendingBytes = 0;

  static async open(options: TopicPublisherOptions): Promise<TopicPublisher> {
    const { client, topic } = options;
    const count = await client.partitionCount(topic);
    const byPartition = await itemsByPartition(client, topic);
    return new TopicPublisher(options, count, byPartition);
  }

  private constructor(
    options: TopicPublisherOptions,
    partitionCount: number,
    known: ReadonlyMap<number, ReadonlyMap<string, number>>,
  ) {
    this.#options = options;
    this.#items = new Map();
    for (const items of known.values())
      for (const [tenant, count] of items) this.#items.set(tenant, (this.#items.get(tenant) ?? 0) + count);
    const { client, topic, source, nextEpoch } = options;
    const atOpening = new Map(known);
    const readTotals = async (partition: number): Promise<Map<string, number>> => {
      const fresh = atOpening.get(partition) ?? (await itemsByPartition(client, topic, [partition])).get(partition);
      atOpening.delete(partition);
      return new Map(fresh);
    };
    const openingEpoch = nextEpoch();
    this.#partitions = Array.from({ length: partitionCount }, (_, partition) => {
      let epochs = 0;
      return new PartitionPublisher({
        ...{ client, topic, partition, readTotals },
        source: `${source}/${partition}`,
        nextEpoch: () => (epochs++ === 0 ? openingEpoch : nextEpoch()),
      });
    });
  }

  /** @throws PortError as the port's `publish` does. */
  async publish(events: readonly MachineEvent[]): Promise<PublishResult> {
    const bytes = this.#admit(events);
    this.#pendingBytes += bytes;
    try {
      const places = this.#dealt(events);
      const failed = (
        await Promise.all(
          [...places].map(async ([partition, { shares, indexes }]) =>
            this.#failedOf(await this.#partitions[partition]!.publish(shares), shares, indexes),
          ),
        )
      ).flat();
      const [first] = failed;
      if (first && failed.length === events.length) throw asPublishError(first.error);
      return { failed: failed.map(({ index, error }) => ({ index, code: codeOfItem(error) })) };
    } finally {
      this.#pendingBytes -= bytes;
    }
  }

  #admit(events: readonly MachineEvent[]): number {
    let bytes = 0;
    for (const { payload, eventId, key } of events) {
      if (payload.byteLength > MAX_EVENT_BYTES)
        throw new PortError(
          'invalid_argument',
          `the event ${eventId} of ${key} has ${payload.byteLength} bytes of payload; at most ${MAX_EVENT_BYTES} are allowed: publish a reference to it (claim check)`,
        );
      bytes += payload.byteLength;
    }
    const { maxPendingBytes, topic } = this.#options;
    if (this.#pendingBytes > 0 && this.#pendingBytes + bytes > maxPendingBytes)
      throw new PortError(
        'resource_exhausted',
        `${this.#pendingBytes} bytes wait for Kafka to take them (${topic}), at most maxPendingBytes ${maxPendingBytes}: publish again later`,
      );
    return bytes;
  }

  /** The events by partition, counted in the order in which they were given. */
  #dealt(events: readonly MachineEvent[]): Map<number, { shares: StampedForPartition[]; indexes: number[] }> {
    const dealt = new Map<number, { shares: StampedForPartition[]; indexes: number[] }>();
    events.forEach((event, index) => {
      const { key, partition } = this.#placeOf(event.key);
      const { tenant } = machineRef(event.key);
      const cumulativeItems = (this.#items.get(tenant) ?? 0) + event.items;
      this.#items.set(tenant, cumulativeItems);
      let place = dealt.get(partition);
      if (!place) dealt.set(partition, (place = { shares: [], indexes: [] }));
      place.shares.push({ event, key, cumulativeItems });
      place.indexes.push(index);
    });
    return dealt;
  }

  #placeOf(machine: string): { readonly key: Buffer; readonly partition: number } {
    let place = this.#keys.get(machine);
    if (!place) {
      if (this.#keys.size >= MAX_KNOWN_KEYS) this.#keys.clear();
      const key = Buffer.from(machine);
      place = { key, partition: this.#options.client.partitionOf(key, this.#partitions.length) };
      this.#keys.set(machine, place);
    }
    return place;
  }

  #failedOf(
    { durable, error }: Outcome,
    shares: readonly StampedForPartition[],
    indexes: readonly number[],
  ): { readonly index: number; readonly error: unknown }[] {
    for (const { event } of shares.slice(durable)) {
      const { tenant } = machineRef(event.key);
      this.#items.set(tenant, this.#items.get(tenant)! - event.items);
    }
    return indexes.slice(durable).map((index) => ({ index, error }));
  }
}

/** Whoever publishes tries again what may pass; to another reason it can do nothing by trying. */
function codeOfItem(error: unknown): PublishResult['failed'][number]['code'] {
  const code = codeOf(error);
  if (code === 'deadline_exceeded') return 'unavailable';
  return code === 'unavailable' || code === 'resource_exhausted' ? code : 'internal';
}

function asPublishError(error: unknown): unknown {
  return codeOf(error) === 'deadline_exceeded'
    ? new PortError('unavailable', `${messageOf(error)}; nothing of it is known to be durable`, { cause: error })
    : error;
}
