import { laneOf } from '#core/delivery/lanes.ts';
import type { ItemTotals, PartitionedLog, Place, PublishedRecord } from '#core/delivery/partitioned-log.ts';
import type { MachineEvent } from '#core/domain/event.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';
import type { Batch, EventHubsClient, OutgoingEvent } from './client.ts';
import { encodedBytes, encodeEvents, withTotals } from './event-codec.ts';
import { itemsByPartition, type HubReader } from './hub-reader.ts';

/**
 * An event hub, for its publisher. A batch is for one partition: by keys it would have one machine's events only. So a machine's partition is
 * chosen here, by the hash of its key, as the SDK's own buffered producer does.
 */
export class HubLog implements PartitionedLog {
  readonly name: string;
  readonly partitionCount: number;
  /** Below the 1 MiB of a batch with all its overhead, which the SDK counts as it is made. */
  readonly maxBatchBytes = 1_040_000;
  readonly #client: EventHubsClient;
  readonly #reader: HubReader;

  static async open(client: EventHubsClient, reader: HubReader): Promise<HubLog> {
    return new HubLog(client, reader, await client.partitionCount(reader.hub));
  }

  private constructor(client: EventHubsClient, reader: HubReader, partitionCount: number) {
    this.#client = client;
    this.#reader = reader;
    this.name = reader.hub;
    this.partitionCount = partitionCount;
  }

  placeOf(machine: MachineKey): Place {
    return { partition: laneOf(machine, this.partitionCount) };
  }

  bytesOf(event: MachineEvent): number {
    return encodedBytes(event);
  }

  async append(
    partition: number,
    records: readonly PublishedRecord<Place>[],
    totalsAfter: (count: number) => ItemTotals,
  ): Promise<number> {
    const events = encodeEvents(records);
    for (let count = records.length; count > 0;) {
      const batch = await this.#client.openBatch(this.name, partition);
      const added = fill(batch, events.slice(0, count), totalsAfter(count));
      if (added === count) {
        await batch.send();
        return count;
      }
      // The last one has the totals: what is the last is known once all fit.
      count = added;
    }
    const { eventId, key } = records[0]!.event;
    throw new PortError(
      'invalid_argument',
      `the event ${eventId} of ${key} does not fit into a batch of ${this.name}, whose namespace must be of the tier Standard or above`,
    );
  }

  itemsByPartition(partitions?: readonly number[]): Promise<ReadonlyMap<number, ItemTotals>> {
    return itemsByPartition(this.#reader, partitions ?? [...Array(this.partitionCount).keys()]);
  }
}

/** How many of the events the batch takes. */
function fill(batch: Batch, events: readonly OutgoingEvent[], totals: ItemTotals): number {
  const last = events.length - 1;
  const tooMany = events.findIndex((event, index) => !batch.tryAdd(index === last ? withTotals(event, totals) : event));
  return tooMany < 0 ? events.length : tooMany;
}
