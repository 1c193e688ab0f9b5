import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, it } from '@jest/globals';
import { kafkaEventStreamConfigSchema } from '#adapters/kafka/kafka-event-stream/config.ts';
import { KafkaEventStream } from '#adapters/kafka/kafka-event-stream/kafka-event-stream.ts';
import { checkpointsInFolder } from '#test/support/checkpoints-in-folder.ts';
import { Kafka } from '../kafka.ts';
import { freePort } from '../peer-process.ts';
import { expectAllInOrderOver, WIRE_FAULTS } from '../stream-under-faults.ts';
import { TcpFaults } from '../tcp-faults.ts';

let kafka: Kafka;
let wire: TcpFaults;

beforeAll(async () => {
  const advertisedPort = await freePort();
  kafka = await Kafka.start({ advertisedPort });
  wire = await TcpFaults.start({ port: Number(kafka.broker.split(':')[1]) }, advertisedPort);
}, 300_000);

afterAll(async () => {
  await wire[Symbol.asyncDispose]();
  await kafka[Symbol.asyncDispose]();
});

async function makeSite() {
  const prefix = `t${randomUUID().slice(0, 8)}.`;
  await kafka.createTopics([`${prefix}metrics`], { partitions: 3 });
  const checkpoints = await checkpointsInFolder();
  const streams: KafkaEventStream[] = [];
  return {
    open: async () => {
      const config = kafkaEventStreamConfigSchema.parse({
        ...{ brokers: [`127.0.0.1:${wire.port}`], tls: false, prefix, streams: ['metrics'] },
        ...{ sessionTimeoutMs: 3000, commitIntervalMs: 20, timeoutMs: 2000 },
      });
      const stream = await KafkaEventStream.open(config, {
        checkpoints: checkpoints.store,
        onFailure: () => undefined,
      });
      streams.push(stream);
      return stream;
    },
    [Symbol.asyncDispose]: async () => {
      for (const stream of streams) await stream.close();
      await checkpoints[Symbol.asyncDispose]();
    },
  };
}

describe('Kafka behind a bad network', () => {
  it.each(WIRE_FAULTS)('that %s: nothing is lost, and each machine comes in order', async (_what, fault) => {
    await using site = await makeSite();
    await expectAllInOrderOver(() => fault(wire), site.open);
  });
});
