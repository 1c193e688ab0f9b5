import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SqliteCheckpointStore } from '#adapters/embedded/sqlite-checkpoint-store/sqlite-checkpoint-store.ts';
import { pubsubEventStreamConfigSchema } from '#adapters/gcp/pubsub-event-stream/config.ts';
import { PubsubEventStream } from '#adapters/gcp/pubsub-event-stream/pubsub-event-stream.ts';
import { systemClock } from '#core/clock.ts';
import { laneOf } from '#core/delivery/lanes.ts';
import { Pstest } from '#test/peers/pubsub.ts';
import { throughPort, type Place, type StreamClient, type StreamPeer } from './stream-client.ts';

const PROJECT = 'tribo-bench';
const LANES = 64;
const BATCH = { maxMessages: 1000, maxMilliseconds: 10 };
const MOST_EVENTS = 2500;
/** pstest hands out one event of an ordering key at a time, the next once it is acknowledged; Pub/Sub does not wait so. */
const ACK_EVERY_MS = 10;
/** Of the pull, as the adapter has: pstest hands a stream about one event each 10 ms, and so many more to several. */
const STREAMS = 1;

export const pubsubPeer: StreamPeer = {
  adapter: 'pubsub-event-stream',
  notes: `pstest, one Go process, which looks through all that waits at each delivery: ${MOST_EVENTS} events at most; ${LANES} ordering keys; bare: @google-cloud/pubsub, publishMessage with the same keys in batches of up to ${BATCH.maxMessages}, each message acknowledged within ${ACK_EVERY_MS} ms, as the next of its key waits for that here; pstest hands out about one event each 10 ms, which is what "consumed" shows of both`,
  pacedPerS: 200,
  mostEvents: MOST_EVENTS,
  start: async () => {
    const pstest = await Pstest.start();
    const state = mkdtempSync(join(tmpdir(), 'tribo-bench-'));
    const pubsub = await openSdk(pstest.endpoint);
    return {
      fresh: async () => {
        const topicPrefix = `b${randomUUID().slice(0, 8)}-`;
        await pubsub.createTopic(`${topicPrefix}metrics`);
        return { endpoint: pstest.endpoint, topicPrefix, state };
      },
      [Symbol.asyncDispose]: async () => {
        await pubsub.close();
        await pstest[Symbol.asyncDispose]();
        rmSync(state, { recursive: true });
      },
    };
  },
  openAdapter: async (place) => {
    const { endpoint, topicPrefix, state } = place as unknown as PubsubPlace;
    const config = pubsubEventStreamConfigSchema.parse({
      ...{ projectId: PROJECT, emulatorEndpoint: endpoint, topicPrefix, lanes: LANES, ackEveryMs: ACK_EVERY_MS },
    });
    const checkpoints = await SqliteCheckpointStore.open({ databasePath: join(state, topicPrefix) }, systemClock);
    const client = throughPort(await PubsubEventStream.open(config, { checkpoints }));
    return {
      ...client,
      close: async () => {
        await client.close();
        await checkpoints.close();
      },
    };
  },
  openBare,
};

interface PubsubPlace {
  readonly endpoint: string;
  readonly topicPrefix: string;
  /** A folder for what groups have settled. */
  readonly state: string;
}

async function openSdk(apiEndpoint: string) {
  const { PubSub } = await import('@google-cloud/pubsub');
  // Else the SDK looks for a metadata server of Google's, also for a server on this machine.
  process.env['METADATA_SERVER_DETECTION'] = 'none';
  return new PubSub({ projectId: PROJECT, apiEndpoint, emulatorMode: true });
}

async function openBare(place: Place): Promise<StreamClient> {
  const { endpoint, topicPrefix } = place as unknown as PubsubPlace;
  const pubsub = await openSdk(endpoint);
  const topic = pubsub.topic(`${topicPrefix}metrics`, { messageOrdering: true, batching: BATCH });
  const name = `${topicPrefix}bare`;
  // Made apart from the one that creates it, which would go back to the SDK's own options.
  const subscription = pubsub.subscription(name, {
    batching: { maxMilliseconds: ACK_EVERY_MS },
    streamingOptions: { maxStreams: STREAMS },
  });
  return {
    declare: async () => {
      await topic.createSubscription(name, { enableMessageOrdering: true });
    },
    publish: async (events) => {
      await Promise.all(
        events.map(({ key, payload: { buffer, byteOffset, byteLength } }) =>
          topic.publishMessage({
            data: Buffer.from(buffer, byteOffset, byteLength),
            orderingKey: String(laneOf(key, LANES)),
          }),
        ),
      );
    },
    consume: (take) => {
      subscription.on('message', (message) => {
        take(message.data);
        message.ack();
      });
      return Promise.resolve();
    },
    close: async () => {
      await subscription.close();
      await topic.flush();
      await pubsub.close();
    },
  };
}
