import { randomUUID } from 'node:crypto';
import { kafkaEventStreamConfigSchema } from '#adapters/kafka/kafka-event-stream/config.ts';
import { KafkaEventStream } from '#adapters/kafka/kafka-event-stream/kafka-event-stream.ts';
import { laneOf } from '#core/delivery/lanes.ts';
import type { MachineEvent } from '#core/domain/event.ts';
import { Kafka } from '#test/peers/kafka.ts';
import { checkpointsInFolder } from '#test/support/checkpoints-in-folder.ts';
import { gathering, throughPort, type Place, type StreamClient, type StreamPeer } from './stream-client.ts';

const PARTITIONS = 4;
/** What the adapter puts into its requests when much waits. */
const REQUEST_EVENTS = 5000;

export const kafkaPeer: StreamPeer = {
  adapter: 'kafka-event-stream',
  notes: `one broker, ${PARTITIONS} partitions; bare: @platformatic/kafka, idempotent, acks=all, by a producer for each partition, up to ${REQUEST_EVENTS} events a send; its message stream with offsets committed every 500 ms`,
  pacedPerS: 5000,
  start: async () => {
    const kafka = await Kafka.start();
    return {
      fresh: async () => {
        const prefix = `b${randomUUID().slice(0, 8)}.`;
        await kafka.createTopics([`${prefix}metrics`], { partitions: PARTITIONS });
        return { brokers: [kafka.broker], prefix };
      },
      [Symbol.asyncDispose]: () => kafka[Symbol.asyncDispose](),
    };
  },
  openAdapter: async (place) => {
    const checkpoints = await checkpointsInFolder();
    const config = kafkaEventStreamConfigSchema.parse({ ...place, tls: false, streams: ['metrics'] });
    const client = throughPort(await KafkaEventStream.open(config, { checkpoints: checkpoints.store }));
    return {
      ...client,
      close: async () => {
        await client.close();
        await checkpoints[Symbol.asyncDispose]();
      },
    };
  },
  openBare,
};

async function openBare(place: Place): Promise<StreamClient> {
  const { brokers, prefix } = place as { readonly brokers: string[]; readonly prefix: string };
  const { Consumer, Producer } = await import('@platformatic/kafka');
  const [topic, base] = [`${prefix}metrics`, { clientId: 'bare', bootstrapBrokers: brokers }];
  const producers = Array.from({ length: PARTITIONS }, () => new Producer({ ...base, idempotent: true, acks: -1 }));
  const consumer = new Consumer({ ...base, groupId: `${prefix}bare` });
  // As many requests side by side as the adapter has.
  const sends = producers.map((producer, partition) =>
    gathering<MachineEvent>(REQUEST_EVENTS, async (events) => {
      const messages = events.map(({ key, payload: { buffer, byteOffset, byteLength } }) => ({
        ...{ topic, partition, key: Buffer.from(key), value: Buffer.from(buffer, byteOffset, byteLength) },
      }));
      await producer.send({ messages });
    }),
  );
  return {
    declare: () => Promise.resolve(),
    publish: async (events) => {
      const byPartition = Map.groupBy(events, ({ key }) => laneOf(key, PARTITIONS));
      await Promise.all([...byPartition].map(([partition, own]) => sends[partition]!(own)));
    },
    consume: async (take) => {
      const from = { mode: 'committed', fallbackMode: 'earliest', autocommit: 500 } as const;
      const messages = await consumer.consume({ topics: [topic], ...from });
      messages.on('data', ({ value }) => take(value));
    },
    close: async () => {
      await Promise.all(producers.map((each) => each.close()));
      await consumer.close(true);
    },
  };
}
