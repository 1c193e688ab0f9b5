import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from '@jest/globals';
import type { PubSub } from '@google-cloud/pubsub';
import { systemClock } from '#core/clock.ts';
import {
  eventStreamContract,
  measuredStreamContract,
  type MeasuredStreamHarness,
} from '#core/contracts/event-stream.contract.ts';
import type { StreamName } from '#core/domain/event.ts';
import { SqliteCheckpointStore } from '#adapters/embedded/sqlite-checkpoint-store/sqlite-checkpoint-store.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { firstLineOf } from '#test/support/first-line-of.ts';
import { Pstest } from '#test/peers/pubsub.ts';
import { openPubsub, type PubsubCalls } from './client.ts';
import { pubsubEventStreamConfigSchema } from './config.ts';
import { PubsubEventStream } from './pubsub-event-stream.ts';

const PROJECT = 'tribo-test';
let peer: Pstest;
let pubsub: PubSub;

// The peer is built from its source, once.
beforeAll(async () => {
  peer = await Pstest.start();
  const { PubSub } = await import('@google-cloud/pubsub');
  pubsub = new PubSub({ projectId: PROJECT, apiEndpoint: peer.endpoint, emulatorMode: true });
}, 600_000);

afterAll(async () => {
  await pubsub.close();
  await peer[Symbol.asyncDispose]();
});

async function makeHarness(): Promise<MeasuredStreamHarness & AsyncDisposable> {
  const id = randomUUID().slice(0, 8);
  const directory = mkdtempSync(join(tmpdir(), 'tribo-pubsub-'));
  const settings = {
    ...{ projectId: PROJECT, emulatorEndpoint: peer.endpoint, topicPrefix: `t${id}-` },
    // So many that two machines of a case hardly meet in one.
    ...{ lanes: 4096, ackDeadlineSeconds: 10, accountEveryMs: 100, ackEveryMs: 20 },
  };
  await pubsub.createTopic(`t${id}-metrics`);
  const checkpoints = await SqliteCheckpointStore.open({ databasePath: join(directory, 'checkpoints') }, systemClock);
  const clients: PubsubEventStream[] = [];
  let failing: readonly number[] = [];
  const open = async () => {
    const config = pubsubEventStreamConfigSchema.parse({ ...settings, source: `source-${clients.length}` });
    const calls = await openPubsub(config);
    const faulty: PubsubCalls = {
      ...calls,
      publish: async (topic, orderingKey, messages, signal) => {
        const named = messages.map(({ attributes }) => Number(attributes['eventId']?.slice(2)));
        if (!named.some((index) => failing.includes(index))) return calls.publish(topic, orderingKey, messages, signal);
        failing = failing.filter((index) => !named.includes(index));
        throw Object.assign(new Error('quota exceeded'), { code: 8 });
      },
    };
    const client = new PubsubEventStream(config, faulty, { checkpoints });
    clients.push(client);
    return client;
  };
  return {
    stream: await open(),
    streamName: 'metrics',
    missingStreamName: 'no-such-stream' as StreamName,
    suffix: id,
    patienceMs: 60_000,
    reopen: open,
    killConsumerMidBatch: async (group) => JSON.parse(await runAndKill('consumer', settings, group)) as string[],
    killPublisher: async (events) => Number(await runAndKill('publisher', settings, JSON.stringify(events))),
    failNextPublish: (indexes) => void (failing = indexes),
    [Symbol.asyncDispose]: async () => {
      for (const client of clients) await client.close();
      await checkpoints.close();
      rmSync(directory, { recursive: true });
    },
  };
}

function runAndKill(kind: 'consumer' | 'publisher', config: object, arg: string): Promise<string> {
  return firstLineOf(join(import.meta.dirname, 'processes', `${kind}.ts`), [JSON.stringify(config), arg]);
}

describeContract(eventStreamContract, 'Pub/Sub (pstest)', makeHarness);
describeContract(measuredStreamContract, 'Pub/Sub (pstest)', makeHarness);
