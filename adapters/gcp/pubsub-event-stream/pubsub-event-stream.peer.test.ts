import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { PubSub } from '@google-cloud/pubsub';
import { systemClock } from '#core/clock.ts';
import {
  eventStreamContract,
  measuredStreamContract,
  type MeasuredStreamHarness,
} from '#core/contracts/event-stream.contract.ts';
import { sampleEvent } from '#core/contracts/sample-event.ts';
import { until } from '#core/contracts/until.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { SqliteCheckpointStore } from '#adapters/embedded/sqlite-checkpoint-store/sqlite-checkpoint-store.ts';
import { checkpointsInFolder } from '#test/support/checkpoints-in-folder.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { Pstest } from '#test/peers/pubsub.ts';
import { openPubsub, type PubsubCalls } from './client.ts';
import { pubsubEventStreamConfigSchema } from './config.ts';
import { ownStreamHarness } from '../../own-stream.ts';
import { suffixOfOwnLanes } from '../own-pubsub.ts';
import { PubsubEventStream } from './pubsub-event-stream.ts';

const PROJECT = 'tribo-test';
const LANES = 4096;
/** The shortest that there is. */
const LEASE_S = 10;
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
  const id = suffixOfOwnLanes();
  const directory = mkdtempSync(join(tmpdir(), 'tribo-pubsub-'));
  const settings = {
    ...{ projectId: PROJECT, emulatorEndpoint: peer.endpoint, topicPrefix: `t${id}-` },
    ...{ lanes: LANES, ackDeadlineSeconds: LEASE_S, accountEveryMs: 100, ackEveryMs: 20 },
  };
  await pubsub.createTopic(`t${id}-metrics`);
  const checkpoints = await SqliteCheckpointStore.open({ databasePath: join(directory, 'checkpoints') }, systemClock);
  let clients = 0;
  let failing: readonly number[] = [];
  const open = async () => {
    const config = pubsubEventStreamConfigSchema.parse({ ...settings, source: `source-${++clients}` });
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
    return new PubsubEventStream(config, faulty, { checkpoints });
  };
  return ownStreamHarness(
    {
      settings,
      processes: join(import.meta.dirname, 'processes'),
      ...{ suffix: id, open },
      remove: async () => {
        await checkpoints.close();
        rmSync(directory, { recursive: true });
      },
    },
    { failNextPublish: (indexes) => void (failing = indexes), patienceMs: 60_000 },
  );
}

describeContract(eventStreamContract, 'Pub/Sub (pstest)', makeHarness);
describeContract(measuredStreamContract, 'Pub/Sub (pstest)', makeHarness);

it('leaves an event to a handler that takes longer than its lease, and gives it to nobody else of the group', async () => {
  await using site = await makeHarness();
  const { stream, streamName, suffix } = site;
  const streams = [stream, await site.reopen()];
  const event = sampleEvent('slow', { key: `north-${suffix}/akron/m0` as MachineKey });
  await stream.declareGroup(streamName, 'store');
  const seen: string[][] = streams.map(() => []);
  const settled = Promise.withResolvers<undefined>();
  const subscriptions = await Promise.all(
    streams.map((each, at) =>
      each.subscribe(
        streamName,
        'store',
        async (batch) => {
          seen[at]!.push(...batch.events.map(({ eventId }) => eventId));
          await sleep(1.5 * LEASE_S * 1000);
          await batch.ack();
          settled.resolve(undefined);
        },
        { maxBatchEvents: 1 },
      ),
    ),
  );
  await stream.publish(streamName, [event]);
  await settled.promise;
  await until(async () => (await stream.lag(streamName, 'store')).events === 0);
  expect(seen.flat()).toEqual(['slow']);
  for (const subscription of subscriptions) await subscription.close();
});

describe('an event that kills whoever takes it', () => {
  it('is moved to the dead-letter topic, and what is behind it goes on', async () => {
    const id = randomUUID().slice(0, 8);
    const deadLetterTopic = `t${id}-dead`;
    await pubsub.createTopic(`t${id}-metrics`);
    const [dead] = await (await pubsub.createTopic(deadLetterTopic))[0].createSubscription(`t${id}-dead-read`);
    const moved: string[] = [];
    dead.on('message', (message) => {
      moved.push(message.attributes['eventId']!);
      message.ack();
    });
    const config = pubsubEventStreamConfigSchema.parse({
      ...{ projectId: PROJECT, emulatorEndpoint: peer.endpoint, topicPrefix: `t${id}-`, source: 'source' },
      ...{ ackDeadlineSeconds: LEASE_S, ackEveryMs: 20, deadLetterTopic, maxDeliveryAttempts: 5 },
    });
    await using checkpoints = await checkpointsInFolder();
    const stream = new PubsubEventStream(config, await openPubsub(config), { checkpoints: checkpoints.store });
    await stream.declareGroup('metrics', 'store');
    await stream.publish('metrics', [sampleEvent('poison'), sampleEvent('next')]);
    const taken: string[] = [];
    for (let attempt = 0; moved.length === 0 && attempt < 10; attempt++) {
      const reached = Promise.withResolvers<undefined>();
      const died = new AbortController();
      // As a process that ends while it works: it acknowledges nothing, and what it had goes back.
      const subscription = await stream.subscribe(
        'metrics',
        'store',
        async (batch) => {
          const ids = batch.events.map(({ eventId }) => eventId);
          taken.push(...ids);
          if (!ids.includes('poison')) return batch.ack();
          reached.resolve(undefined);
          await new Promise((resolve) => died.signal.addEventListener('abort', resolve));
        },
        { maxBatchEvents: 1 },
      );
      await Promise.race([reached.promise, until(() => moved.length > 0, 'moved', 30_000)]);
      died.abort();
      await subscription.close();
    }
    await until(() => moved.length > 0);
    expect(moved).toEqual(['poison']);
    expect(taken.filter((each) => each === 'poison').length).toBeLessThanOrEqual(5);
    const rest = await stream.subscribe(
      'metrics',
      'store',
      async (batch) => {
        taken.push(...batch.events.map(({ eventId }) => eventId));
        await batch.ack();
      },
      { maxBatchEvents: 1 },
    );
    await until(() => taken.includes('next'));
    await rest.close();
    await stream.close();
    await dead.close();
  });
});
