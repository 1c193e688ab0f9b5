import { STREAMS } from '#core/domain/event.ts';
import { FakeGcs } from '../fake-gcs.ts';
import { Mosquitto } from '../mosquitto.ts';
import { Postgres } from '../postgres.ts';
import { Pstest } from '../pubsub.ts';
import { mosquittoGateway } from './mosquitto-gateway.ts';
import { siteOn, type Site } from './site.ts';

const PROJECT = 'tribo-test';
const BUCKET = 'tribo-site';
const TOPIC_PREFIX = 'akron-';

/** The peers of a site on Google Cloud but its PostgreSQL. */
export interface GooglePeers {
  readonly pubsub: Pstest;
  readonly gcs: FakeGcs;
  readonly broker: Mosquitto;
}

/** What `provider: gcp` selects: Pub/Sub, Cloud Storage, PostgreSQL. Secrets are embedded, as Secret Manager is at Google alone. */
export function googleSite(): Promise<Site> {
  const starting = [Pstest.start(), FakeGcs.start(), Mosquitto.start(), Postgres.start()] as const;
  return siteOn(starting, async ([pubsub, gcs, broker, postgres]) => {
    const { ports, ...rest } = await googleSettings({ pubsub, gcs, broker });
    return { ...rest, ports: { ...ports, postgres: postgres.freshConnection() } };
  });
}

/** Makes on the peers what a site on Google Cloud has; returns its settings but those of PostgreSQL. */
export async function googleSettings({ pubsub, gcs, broker }: GooglePeers) {
  await makeTopics(pubsub);
  const { Storage } = await import('@google-cloud/storage');
  await new Storage({ apiEndpoint: gcs.endpoint, projectId: PROJECT }).bucket(BUCKET).create();
  return {
    gateway: mosquittoGateway(broker),
    ports: {
      provider: 'gcp',
      deviceGateway: { adapter: 'mqtt', ...broker.gatewaySettings('tribo-gateway-1') },
      eventStream: streamSettings(pubsub),
      objectStore: { bucket: BUCKET, emulatorEndpoint: gcs.endpoint },
      secretStore: 'embedded',
    },
    // The peer gives a lane's next event only once the one before is acknowledged.
    pace: { atOnce: 2, everyMs: 1000 },
  };
}

/** Of its streams, once their topics were made. */
export function streamSettings({ endpoint }: Pstest) {
  return {
    ...{ projectId: PROJECT, emulatorEndpoint: endpoint, topicPrefix: TOPIC_PREFIX },
    ...{ ackDeadlineSeconds: 10, ackEveryMs: 10 },
  };
}

/** Those of the platform's streams. */
export async function makeTopics({ endpoint }: Pstest): Promise<void> {
  const { PubSub } = await import('@google-cloud/pubsub');
  const pubsub = new PubSub({ projectId: PROJECT, apiEndpoint: endpoint, emulatorMode: true });
  for (const stream of STREAMS) await pubsub.createTopic(TOPIC_PREFIX + stream);
  await pubsub.close();
}
