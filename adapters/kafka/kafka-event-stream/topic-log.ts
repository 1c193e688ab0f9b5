import type { PartitionedLog, Place, PublishedRecord, Refusal } from '#core/delivery/partitioned-log.ts';
import type { MachineEvent } from '#core/domain/event.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import type { KafkaClient } from './client.ts';
import { encodeRecords } from './record-codec.ts';

/** Of an event besides its payload and key. */
const ENVELOPE_BYTES = 350;

export interface TopicPlace extends Place {
  /** The machine, in bytes. */
  readonly key: Buffer;
}

/** A topic of Kafka, for its publisher. */
export class TopicLog implements PartitionedLog<TopicPlace> {
  readonly name: string;
  readonly partitionCount: number;
  /** Below a topic's usual `max.message.bytes` (1 MiB), with room for the envelopes that are counted by estimate only. */
  readonly maxBatchBytes = 1_000_000;
  readonly #client: KafkaClient;

  static async open(client: KafkaClient, topic: string): Promise<TopicLog> {
    return new TopicLog(client, topic, await client.partitionCount(topic));
  }

  private constructor(client: KafkaClient, topic: string, partitionCount: number) {
    this.#client = client;
    this.name = topic;
    this.partitionCount = partitionCount;
  }

  placeOf(machine: MachineKey): TopicPlace {
    const key = Buffer.from(machine);
    return { key, partition: this.#client.partitionOf(key, this.partitionCount) };
  }

  bytesOf({ payload }: MachineEvent, { key }: TopicPlace): number {
    return payload.byteLength + key.byteLength + ENVELOPE_BYTES;
  }

  async append(partition: number, records: readonly PublishedRecord<TopicPlace>[]): Promise<number | Refusal> {
    return (await this.#client.produce(this.name, partition, encodeRecords(records))) ?? records.length;
  }
}
