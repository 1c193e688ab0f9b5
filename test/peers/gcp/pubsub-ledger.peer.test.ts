import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from '@jest/globals';
import { STREAMS } from '#core/domain/event.ts';
import { killAndCount } from '#test/support/kill-and-count.ts';
import { Postgres } from '../postgres.ts';
import { Pstest } from '../pubsub.ts';

const PROJECT = 'tribo-test';
const PREFIX = 'akron-';

it('a platform on Pub/Sub, with its time series in PostgreSQL, has an exact ledger after a kill -9 of its store and of all of it', async () => {
  await using peer = await Pstest.start();
  await using postgres = await Postgres.start();
  const { PubSub } = await import('@google-cloud/pubsub');
  const pubsub = new PubSub({ projectId: PROJECT, apiEndpoint: peer.endpoint, emulatorMode: true });
  for (const stream of STREAMS) await pubsub.createTopic(PREFIX + stream);
  await pubsub.close();
  const connection = postgres.freshConnection();
  const ports = {
    eventStream: {
      ...{ adapter: 'pubsub-event-stream', projectId: PROJECT, emulatorEndpoint: peer.endpoint, topicPrefix: PREFIX },
      // The peer gives a lane's next event only once the one before is acknowledged: it is slow, and so is the load.
      ...{ ackDeadlineSeconds: 10, ackEveryMs: 10 },
    },
    timeSeriesStore: { adapter: 'postgres-time-series-store', ...connection },
    checkpointStore: { adapter: 'postgres-checkpoint-store', ...connection },
  };
  const folder = mkdtempSync(join(tmpdir(), 'tribo-ports-'));
  try {
    const portsFile = join(folder, 'ports.json');
    writeFileSync(portsFile, JSON.stringify(ports));
    await killAndCount(portsFile, connection, 20);
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 600_000);
