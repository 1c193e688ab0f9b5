import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { kafkaEventStreamConfigSchema } from '#adapters/kafka/kafka-event-stream/config.ts';
import { KafkaEventStream } from '#adapters/kafka/kafka-event-stream/kafka-event-stream.ts';
import { acknowledgeInto } from '#core/contracts/acknowledge-into.ts';
import { sampleEvent } from '#core/contracts/sample-event.ts';
import { until } from '#core/contracts/until.ts';
import type { StampedEvent } from '#core/domain/event.ts';
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

afterEach(() => {
  wire.received = undefined;
});

afterAll(async () => {
  await wire[Symbol.asyncDispose]();
  await kafka[Symbol.asyncDispose]();
});

async function makeSite({ partitions = 3 } = {}) {
  const prefix = `t${randomUUID().slice(0, 8)}.`;
  await kafka.createTopics([`${prefix}metrics`], { partitions });
  const checkpoints = await checkpointsInFolder();
  const streams: KafkaEventStream[] = [];
  return {
    topic: `${prefix}metrics`,
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

/** Of https://kafka.apache.org/protocol.html#protocol_error_codes. */
const [NOT_LEADER_OR_FOLLOWER, NOT_ENOUGH_REPLICAS] = [6, 19] as const;

/** Has the next answers to what is written to the topic's first partition tell these errors, whatever became of it. Returns how many are left. */
function answerWritesWith(topic: string, codes: readonly number[]): () => number {
  const left = [...codes];
  // https://kafka.apache.org/protocol.html#The_Messages_Produce: after the size, the id and the tags of the answer one topic with one partition.
  const answer = Buffer.concat([
    Buffer.from([0, 2, topic.length + 1]),
    Buffer.from(topic),
    Buffer.from([2, 0, 0, 0, 0]),
  ]);
  const at = 8;
  wire.received = (chunk) => {
    const isOfWrite = chunk.subarray(at, at + answer.length).equals(answer);
    const code = isOfWrite ? left.shift() : undefined;
    if (code === undefined) return chunk;
    const changed = Buffer.from(chunk);
    changed.writeInt16BE(code, at + answer.length);
    return changed;
  };
  return () => left.length;
}

describe('Kafka whose leader wrote a batch and then told of another leader, which could not write', () => {
  it('has the number of that batch for no other event', async () => {
    await using site = await makeSite({ partitions: 1 });
    const stream = await site.open();
    await stream.declareGroup('metrics', 'store');
    const [first, second, third] = ['e-1', 'e-2', 'e-3'].map((id) => sampleEvent(id));
    await stream.publish('metrics', [first!]);
    const left = answerWritesWith(site.topic, [NOT_LEADER_OR_FOLLOWER, ...Array<number>(3).fill(NOT_ENOUGH_REPLICAS)]);
    await expect(stream.publish('metrics', [second!])).rejects.toMatchObject({ code: 'unavailable' });
    expect(left()).toBe(0);
    await stream.publish('metrics', [third!]);
    const received: StampedEvent[] = [];
    await stream.subscribe('metrics', 'store', acknowledgeInto(received), { maxBatchEvents: 10 });
    await until(() => received.length === 3, 'all that was written');
    expect(received.map(({ eventId, seq }) => [eventId, seq])).toEqual([
      ['e-1', 1],
      ['e-2', 2],
      ['e-3', 1],
    ]);
    expect(new Set(received.map(({ epoch }) => epoch)).size).toBe(2);
  });
});
