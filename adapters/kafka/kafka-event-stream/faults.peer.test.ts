import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Admin } from '@platformatic/kafka';
import { acknowledgeInto } from '#core/contracts/acknowledge-into.ts';
import { sampleEvent } from '#core/contracts/sample-event.ts';
import { until } from '#core/contracts/until.ts';
import { retry } from '#core/delivery/retry.ts';
import type { MachineEvent, StampedEvent } from '#core/domain/event.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { isPortError } from '#core/errors.ts';
import { expectCountsGoOn } from '#test/peers/earlier-publisher.ts';
import { Kafka } from '#test/peers/kafka.ts';
import { checkpointsInFolder } from '#test/support/checkpoints-in-folder.ts';
import { kafkaEventStreamConfigSchema } from './config.ts';
import { KafkaEventStream } from './kafka-event-stream.ts';

const GROUP = 'store';
const SESSION_MS = 3000;
const FOR_EVER = { maxAttempts: Infinity, firstDelayMs: 50, longestDelayMs: 500 };
let kafka: Kafka;
let admin: Admin;

beforeAll(async () => {
  kafka = await Kafka.start();
  const { Admin } = await import('@platformatic/kafka');
  admin = new Admin({ clientId: 'test', bootstrapBrokers: [kafka.broker] });
}, 300_000);

afterAll(async () => {
  await admin.close();
  await kafka[Symbol.asyncDispose]();
});

async function makeSite({ partitions = 4, settings = {} } = {}) {
  const prefix = `t${randomUUID().slice(0, 8)}.`;
  const topic = `${prefix}metrics`;
  await kafka.createTopics([topic], { partitions, settings });
  const failures: unknown[] = [];
  const checkpoints = await checkpointsInFolder();
  const streams: KafkaEventStream[] = [];
  return {
    ...{ topic, groupId: `${topic}.${GROUP}`, failures, checkpoints: checkpoints.store },
    open: async (given: object = {}) => {
      const config = kafkaEventStreamConfigSchema.parse({
        ...{ brokers: [kafka.broker], tls: false, prefix, streams: ['metrics', 'alarms'] },
        ...{ sessionTimeoutMs: SESSION_MS, commitIntervalMs: 20, timeoutMs: 5000, ...given },
      });
      const stream = await KafkaEventStream.open(config, {
        checkpoints: checkpoints.store,
        onFailure: (error) => failures.push(error),
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

function events(count: number, { machines = 8, from = 0 } = {}): MachineEvent[] {
  return Array.from({ length: count }, (_, index) =>
    sampleEvent(`e-${from + index}`, { key: `north/akron/m${index % machines}` as MachineKey }),
  );
}

async function groupState(groupId: string): Promise<string> {
  return (await admin.describeGroups({ groups: [groupId] })).get(groupId)!.state;
}

/** Each machine's events in the order in which they first came. */
function firstSeen(seen: readonly MachineEvent[]): Record<string, string[]> {
  const byKey = Map.groupBy(seen, ({ key }) => key);
  return Object.fromEntries([...byKey].map(([key, own]) => [key, [...new Set(own.map(({ eventId }) => eventId))]]));
}

describe('a group of Kafka that changes', () => {
  it('waits for the batch that is out: nothing is lost, and nothing settled twice', async () => {
    await using site = await makeSite();
    const [first, second] = [await site.open(), await site.open()];
    await first.declareGroup('metrics', GROUP);
    const published = events(200);
    await first.publish('metrics', published);
    const settled: StampedEvent[] = [];
    const held = Promise.withResolvers<undefined>();
    let isHeld = false;
    await first.subscribe(
      'metrics',
      GROUP,
      async (batch) => {
        if (settled.length > 0 && !isHeld) {
          isHeld = true;
          await held.promise;
        }
        settled.push(...batch.events);
        await batch.ack();
      },
      { maxBatchEvents: 20 },
    );
    await until(() => isHeld);
    await second.subscribe('metrics', GROUP, acknowledgeInto(settled), { maxBatchEvents: 20 });
    await until(async () => /^preparing/i.test(await groupState(site.groupId)), 'the group changes').finally(() => {
      // Only now both members answer.
      held.resolve(undefined);
    });
    await until(() => settled.length >= published.length, 'all events');
    await until(async () => (await first.lag('metrics', GROUP)).events === 0, 'all committed');
    expect(settled).toHaveLength(published.length);
    expect(firstSeen(settled)).toEqual(firstSeen(published));
  });

  it('goes on without a handler that takes too long: it is told to stop, and what it acknowledges then comes to another', async () => {
    await using site = await makeSite({ partitions: 1 });
    const [slow, other] = [await site.open(), await site.open()];
    await slow.declareGroup('metrics', GROUP);
    const published = events(10);
    await slow.publish('metrics', published);
    const toldToStop = Promise.withResolvers<undefined>();
    let isStuck = false;
    const stuck = await slow.subscribe(
      'metrics',
      GROUP,
      async (batch, signal) => {
        isStuck = true;
        signal.addEventListener('abort', () => toldToStop.resolve(undefined), { once: true });
        await toldToStop.promise;
        await batch.ack();
      },
      { maxBatchEvents: 10 },
    );
    await until(() => isStuck);
    const received: StampedEvent[] = [];
    await other.subscribe('metrics', GROUP, acknowledgeInto(received), { maxBatchEvents: 10 });
    await toldToStop.promise;
    await stuck.close();
    await until(() => received.length >= published.length, 'the events come to the other');
    expect(firstSeen(received)).toEqual(firstSeen(published));
  });
});

describe('a broker of Kafka that goes and comes back', () => {
  it('loses nothing of what was published, and keeps each machine in order', async () => {
    await using site = await makeSite();
    const stream = await site.open();
    await stream.declareGroup('metrics', GROUP);
    const received: StampedEvent[] = [];
    await stream.subscribe('metrics', GROUP, acknowledgeInto(received), { maxBatchEvents: 50 });
    const published: MachineEvent[] = [];
    let isBack = false;
    const publishing = (async () => {
      for (let round = 0; round < 20 || !isBack; round++) {
        let left = events(40, { from: round * 40 });
        published.push(...left);
        while (left.length > 0) {
          const { failed } = await retry(() => stream.publish('metrics', left), FOR_EVER);
          left = failed.map(({ index }) => left[index]!);
        }
      }
    })();
    await until(() => received.length > 0);
    await kafka.restart();
    isBack = true;
    await publishing;
    await until(() => new Set(received.map(({ eventId }) => eventId)).size === published.length, 'all events', 45_000);
    expect(firstSeen(received)).toEqual(firstSeen(published));
  });

  it('is waited for no longer than a call may take', async () => {
    await using site = await makeSite();
    const stream = await site.open({ timeoutMs: 1000 });
    await stream.declareGroup('metrics', GROUP);
    await stream.publish('metrics', events(10));
    await kafka.stop();
    try {
      const failure: unknown = await stream.publish('metrics', events(10)).catch((error: unknown) => error);
      expect(isPortError(failure) && failure.code).toBe('unavailable');
      await expect(stream.declareGroup('metrics', 'late')).rejects.toMatchObject({
        code: expect.stringMatching(/^(unavailable|deadline_exceeded)$/),
      });
    } finally {
      await kafka.restart();
    }
    await retry(() => stream.publish('metrics', events(10)), FOR_EVER);
    // A broker that has just started may take longer than a call.
    const lag = await retry(() => stream.lag('metrics', GROUP), FOR_EVER);
    expect(lag.events).toBeGreaterThanOrEqual(20);
  });
});

describe('a topic of Kafka', () => {
  it('that does not exist is not found, and not made', async () => {
    await using site = await makeSite();
    const stream = await site.open();
    const attempts = [
      stream.publish('alarms', events(1)),
      stream.declareGroup('alarms', GROUP),
      stream.subscribe('alarms', GROUP, async () => undefined, { maxBatchEvents: 1 }),
    ];
    for (const attempt of attempts)
      await expect(attempt).rejects.toMatchObject({ code: 'not_found', message: expect.stringContaining('alarms') });
    expect(await admin.listTopics()).not.toContain(site.topic.replace('metrics', 'alarms'));
  });

  it('is made as the stream opens where its settings say so, as they say it, and left as it is where it is there', async () => {
    await using site = await makeSite();
    const topics = { partitions: { alarms: 3, metrics: 9 }, replicas: 1 };
    const opened = await Promise.all([1, 2].map(() => site.open({ topics, retentionMs: 7_200_000 })));
    await opened[0]!.declareGroup('alarms', GROUP);
    await opened[1]!.publish('alarms', events(3));
    expect((await opened[0]!.lag('alarms', GROUP)).events).toBe(3);
    const topic = site.topic.replace('metrics', 'alarms');
    const made = await admin.metadata({ topics: [topic, site.topic] });
    expect(made.topics.get(topic)!.partitionsCount).toBe(3);
    expect(made.topics.get(site.topic)!.partitionsCount).toBe(4);
    const { ConfigResourceTypes } = await import('@platformatic/kafka');
    const [settings] = await admin.describeConfigs({
      resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic }],
    });
    const said = Object.fromEntries(settings!.configs.map(({ name, value }) => [name, value]));
    expect(said).toMatchObject({
      ...{ 'retention.ms': '7200000', 'min.insync.replicas': '1', 'max.message.bytes': '1048588' },
      ...{ 'cleanup.policy': 'delete', 'message.timestamp.type': 'CreateTime' },
    });
  });

  it('that cannot be made says why as the stream opens', async () => {
    await using site = await makeSite();
    const topics = { partitions: { alarms: 1 }, replicas: 3 };
    await expect(site.open({ topics })).rejects.toMatchObject({
      message: expect.stringMatching(/make .*alarms.*INVALID_REPLICATION_FACTOR/),
    });
  });

  it('that refuses batches for certain, however often, has one epoch, and the account of it stays small', async () => {
    await using site = await makeSite({ partitions: 1, settings: { 'max.message.bytes': '3000' } });
    const stream = await site.open();
    await stream.declareGroup('metrics', GROUP);
    const published = events(60);
    for (let from = 0; from < published.length; from += 2) {
      const tooLarge = sampleEvent(`large-${from}`, { payload: new Uint8Array(5000) });
      await expect(stream.publish('metrics', [tooLarge])).rejects.toMatchObject({ code: 'invalid_argument' });
      expect(await stream.publish('metrics', published.slice(from, from + 2))).toEqual({ failed: [] });
    }
    const received = await collect(stream);
    await until(() => received.length >= published.length, 'all events');
    expect(received.map(({ eventId }) => eventId)).toEqual(published.map(({ eventId }) => eventId));
    expect(received.map(({ seq }) => seq)).toEqual(published.map((_, index) => index + 1));
    expect(new Set(received.map(({ epoch }) => epoch)).size).toBe(1);
    expect(await stream.acceptedItems('metrics')).toEqual(new Map([['north', published.length]]));
    await stream.close();
    const account = await site.checkpoints.load(`stream-accounts/kafka/${site.topic}/published`);
    const { parts } = JSON.parse(new TextDecoder().decode(account!.state)) as { readonly parts: object };
    expect(Object.values(parts)).toEqual([{ north: published.length }]);
  });

  it('whose record is of somebody else is read past that, which is reported', async () => {
    await using site = await makeSite({ partitions: 1 });
    const stream = await site.open();
    await stream.declareGroup('metrics', GROUP);
    await stream.publish('metrics', events(2));
    const { Producer } = await import('@platformatic/kafka');
    const producer = new Producer({ clientId: 'somebody', bootstrapBrokers: [kafka.broker] });
    await producer.send({ messages: [{ topic: site.topic, partition: 0, value: Buffer.from('hello') }], acks: -1 });
    await producer.close();
    await stream.publish('metrics', events(2, { from: 2 }));
    const received = await collect(stream);
    await until(() => received.length === 4);
    expect(site.failures).toEqual([expect.objectContaining({ code: 'data_loss' })]);
    await until(async () => (await stream.lag('metrics', GROUP)).events === 0);
  });

  it('that has events of an earlier version is read and counted on, each as it was written', async () => {
    await using site = await makeSite({ partitions: 1 });
    await expectCountsGoOn(await site.open(), { withKey: false }, async ({ key, values, totals }) => {
      const { Producer } = await import('@platformatic/kafka');
      const producer = new Producer({ clientId: 'earlier', bootstrapBrokers: [kafka.broker] });
      const place = { topic: site.topic, partition: 0, key: Buffer.from(key) };
      const headers = new Map([[Buffer.from(totals.name), Buffer.from(totals.value)]]);
      await producer.send({ messages: values.map((value) => ({ ...place, value, headers })), acks: -1 });
      await producer.close();
    });
    expect(site.failures).toEqual([]);
  });

  it('that let go of what a group had still to read says so, and goes on with what is kept', async () => {
    await using site = await makeSite({ partitions: 1 });
    const stream = await site.open();
    await stream.declareGroup('metrics', GROUP);
    await stream.publish('metrics', events(10));
    await admin.deleteRecords({ topics: [{ name: site.topic, partitions: [{ partition: 0, offset: 6n }] }] });
    const received = await collect(stream);
    await until(() => received.length === 4);
    expect(received.map(({ seq }) => seq)).toEqual([7, 8, 9, 10]);
    expect(site.failures).toEqual([expect.objectContaining({ code: 'data_loss' })]);
  });
});

/** What the group gets from now on. */
async function collect(stream: KafkaEventStream): Promise<readonly StampedEvent[]> {
  const received: StampedEvent[] = [];
  await stream.subscribe('metrics', GROUP, acknowledgeInto(received), { maxBatchEvents: 10 });
  return received;
}
