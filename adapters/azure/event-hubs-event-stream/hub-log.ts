import { laneOf } from '#core/delivery/lanes.ts';
import type { PartitionedLog, Place, PublishedRecord } from '#core/delivery/partitioned-log.ts';
import type { MachineEvent } from '#core/domain/event.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';
import type { EventHubsClient } from './client.ts';
import { encodedBytes, encodeEvents } from './event-codec.ts';

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

  static async open(client: EventHubsClient, hub: string): Promise<HubLog> {
    return new HubLog(client, hub, await client.partitionCount(hub));
  }

  private constructor(client: EventHubsClient, hub: string, partitionCount: number) {
    this.#client = client;
    this.name = hub;
    this.partitionCount = partitionCount;
  }

  placeOf(machine: MachineKey): Place {
    return { partition: laneOf(machine, this.partitionCount) };
  }

  bytesOf(event: MachineEvent): number {
    return encodedBytes(event);
  }

  async append(partition: number, records: readonly PublishedRecord<Place>[]): Promise<number> {
    const events = encodeEvents(records);
    const batch = await this.#client.openBatch(this.name, partition);
    const tooMany = events.findIndex((event) => !batch.tryAdd(event));
    if (tooMany === 0) {
      const { eventId, key } = records[0]!.event;
      throw new PortError(
        'invalid_argument',
        `the event ${eventId} of ${key} does not fit into a batch of ${this.name}, whose namespace must be of the tier Standard or above`,
      );
    }
    await batch.send();
    return tooMany < 0 ? events.length : tooMany;
  }
}
