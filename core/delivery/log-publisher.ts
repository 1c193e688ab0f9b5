import { MAX_EVENT_BYTES, type MachineEvent } from '../domain/event.ts';
import type { MachineKey } from '../domain/ids.ts';
import { codeOf, messageOf, PortError } from '../errors.ts';
import type { PublishResult } from '../ports/event-stream.ts';
import { PartitionPublisher, type Outcome, type PlacedEvent } from './partition-publisher.ts';
import type { PublishedEpoch } from './accounts/stream-accounts.ts';
import { sourceOf, type PartitionedLog, type Place } from './partitioned-log.ts';

/** So many machines' places are remembered. */
const MAX_KNOWN_PLACES = 50_000;

export interface LogPublisherOptions<Found extends Place> {
  readonly log: PartitionedLog<Found>;
  /** Unique among all publishers there ever are. */
  readonly source: string;
  readonly nextEpoch: () => number;
  readonly maxPendingBytes: number;
  /** Told of what became durable of a partition, where it is items. */
  readonly published: (epoch: PublishedEpoch) => void;
}

/**
 * Publishes to a log. Each of its partitions is a source of its own, `<publisher>/<partition>`: only within one are events in an order, and
 * so a consumer's progress may be a watermark.
 */
export class LogPublisher<Found extends Place = Place> {
  readonly #options: LogPublisherOptions<Found>;
  readonly #partitions: readonly PartitionPublisher<Found>[];
  readonly #places = new Map<MachineKey, Found>();
  #pendingBytes = 0;

  constructor(options: LogPublisherOptions<Found>) {
    this.#options = options;
    const { log, source, nextEpoch, published } = options;
    const openingEpoch = nextEpoch();
    this.#partitions = Array.from({ length: log.partitionCount }, (_, partition) => {
      let epochs = 0;
      return new PartitionPublisher({
        ...{ log, partition, published },
        source: sourceOf(source, partition),
        nextEpoch: () => (epochs++ === 0 ? openingEpoch : nextEpoch()),
      });
    });
  }

  /** @throws PortError as the port's `publish` does. */
  async publish(events: readonly MachineEvent[]): Promise<PublishResult> {
    const bytes = this.#admit(events);
    this.#pendingBytes += bytes;
    const withFailure: PartitionPublisher<Found>[] = [];
    try {
      const places = this.#dealt(events);
      const failed = (
        await Promise.all(
          [...places].map(async ([number, { shares, indexes }]) => {
            const partition = this.#partitions[number]!;
            const outcome = await partition.publish(shares);
            if (outcome.durable < shares.length) withFailure.push(partition);
            return failedOf(outcome, indexes);
          }),
        )
      ).flat();
      const [first] = failed;
      if (first && failed.length === events.length) throw asPublishError(first.error);
      return { failed: failed.map(({ index, error }) => ({ index, code: codeOfItem(error) })) };
    } finally {
      this.#pendingBytes -= bytes;
      for (const partition of withFailure) partition.told();
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
    const { maxPendingBytes, log } = this.#options;
    if (this.#pendingBytes > 0 && this.#pendingBytes + bytes > maxPendingBytes)
      throw new PortError(
        'resource_exhausted',
        `${this.#pendingBytes} bytes wait for ${log.name} to take them, at most maxPendingBytes ${maxPendingBytes}: publish again later`,
      );
    return bytes;
  }

  /** The events by partition, in the order in which they were given. */
  #dealt(events: readonly MachineEvent[]): Map<number, { shares: PlacedEvent<Found>[]; indexes: number[] }> {
    const dealt = new Map<number, { shares: PlacedEvent<Found>[]; indexes: number[] }>();
    events.forEach((event, index) => {
      const found = this.#placeOf(event.key);
      let share = dealt.get(found.partition);
      if (!share) dealt.set(found.partition, (share = { shares: [], indexes: [] }));
      share.shares.push({ event, place: found });
      share.indexes.push(index);
    });
    return dealt;
  }

  #placeOf(machine: MachineKey): Found {
    let place = this.#places.get(machine);
    if (!place) {
      if (this.#places.size >= MAX_KNOWN_PLACES) this.#places.clear();
      place = this.#options.log.placeOf(machine);
      this.#places.set(machine, place);
    }
    return place;
  }
}

function failedOf({ durable, error }: Outcome, indexes: readonly number[]): { index: number; error: unknown }[] {
  return indexes.slice(durable).map((index) => ({ index, error }));
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
