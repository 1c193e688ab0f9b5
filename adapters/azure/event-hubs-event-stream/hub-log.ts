import { laneOf } from '#core/delivery/lanes.ts';
import type { PartitionedLog, Place, PublishedRecord, Refusal } from '#core/delivery/partitioned-log.ts';
import type { MachineEvent } from '#core/domain/event.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';
import type { Batch, EventHubsClient } from './client.ts';
import { encodedBytes, encodeEvents } from './event-codec.ts';
import { isRefusedSend } from './refused-send.ts';

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

  async append(partition: number, records: readonly PublishedRecord<Place>[]): Promise<number | Refusal> {
    const events = encodeEvents(records);
    let batch: Batch;
    try {
      batch = await this.#client.openBatch(this.name, partition);
    } catch (refused) {
      // Nothing of them was sent yet.
      return { refused };
    }
    const tooMany = events.findIndex((event) => !batch.tryAdd(event));
    if (tooMany === 0) {
      const { eventId, key } = records[0]!.event;
      const refused = new PortError(
        'invalid_argument',
        `the event ${eventId} of ${key} does not fit into a batch of ${this.name}, whose namespace must be of the tier Standard or above`,
      );
      return { refused };
    }
    try {
      await batch.send();
    } catch (error) {
      if (isRefusedSend(error)) return { refused: error };
      throw error;
    }
    return tooMany < 0 ? events.length : tooMany;
  }
}
