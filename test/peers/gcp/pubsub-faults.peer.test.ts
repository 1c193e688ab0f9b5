import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from '@jest/globals';
import { SqliteCheckpointStore } from '#adapters/embedded/sqlite-checkpoint-store/sqlite-checkpoint-store.ts';
import { pubsubEventStreamConfigSchema } from '#adapters/gcp/pubsub-event-stream/config.ts';
import { PubsubEventStream } from '#adapters/gcp/pubsub-event-stream/pubsub-event-stream.ts';
import { systemClock } from '#core/clock.ts';
import { Pstest } from '../pubsub.ts';
import { expectAllInOrderOver, WIRE_FAULTS } from '../stream-under-faults.ts';
import { TcpFaults } from '../tcp-faults.ts';

const PROJECT = 'tribo-test';
let peer: Pstest;
let wire: TcpFaults;

// The peer is built from its source, once.
beforeAll(async () => {
  peer = await Pstest.start();
  wire = await TcpFaults.start({ port: Number(peer.endpoint.split(':')[1]) });
}, 600_000);

afterAll(async () => {
  await wire[Symbol.asyncDispose]();
  await peer[Symbol.asyncDispose]();
});

async function makeSite() {
  const topicPrefix = `t${randomUUID().slice(0, 8)}-`;
  const directory = mkdtempSync(join(tmpdir(), 'tribo-pubsub-'));
  const checkpoints = await SqliteCheckpointStore.open({ databasePath: join(directory, 'checkpoints') }, systemClock);
  const { PubSub } = await import('@google-cloud/pubsub');
  const pubsub = new PubSub({ projectId: PROJECT, apiEndpoint: peer.endpoint, emulatorMode: true });
  await pubsub.createTopic(`${topicPrefix}metrics`);
  await pubsub.close();
  const streams: PubsubEventStream[] = [];
  return {
    open: async () => {
      const config = pubsubEventStreamConfigSchema.parse({
        ...{ projectId: PROJECT, emulatorEndpoint: `127.0.0.1:${wire.port}`, topicPrefix },
        ...{ lanes: 64, ackDeadlineSeconds: 10, accountEveryMs: 100, ackEveryMs: 20, timeoutMs: 2000 },
        source: `source-${streams.length}`,
      });
      const stream = await PubsubEventStream.open(config, { checkpoints, onFailure: () => undefined });
      streams.push(stream);
      return stream;
    },
    [Symbol.asyncDispose]: async () => {
      for (const stream of streams) await stream.close();
      await checkpoints.close();
      rmSync(directory, { recursive: true });
    },
  };
}

describe('Pub/Sub behind a bad network', () => {
  it.each(WIRE_FAULTS)('that %s: nothing is lost, and each machine comes in order', async (_what, fault) => {
    await using site = await makeSite();
    await expectAllInOrderOver(() => fault(wire), site.open);
  });
});
