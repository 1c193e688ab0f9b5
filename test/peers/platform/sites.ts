import { STREAMS } from '#core/domain/event.ts';
import { Kafka } from '../kafka.ts';
import { Moto } from '../moto.ts';
import { Postgres } from '../postgres.ts';

const REGION = 'eu-central-1';
const BUCKET = 'tribo-site';
const PARTITIONS = 4;

/** What a platform runs on: the peers of its provider's services, and the file that chooses their adapters. */
export interface Site extends AsyncDisposable {
  /** Content of the ports file; undefined where there is none. */
  readonly ports: object | undefined;
}

/** The platform of a laptop. */
export async function embeddedSite(): Promise<Site> {
  return { ports: undefined, [Symbol.asyncDispose]: async () => undefined };
}

/** What every cloud can run: Kafka, PostgreSQL, and a store that speaks S3's protocol. */
export async function kafkaSite(): Promise<Site> {
  await using started = new AsyncDisposableStack();
  const [kafka, postgres, moto] = await Promise.all([
    Kafka.start().then((peer) => started.use(peer)),
    Postgres.start().then((peer) => started.use(peer)),
    Moto.start().then((peer) => started.use(peer)),
  ]);
  await kafka.createTopics(
    STREAMS.map((stream) => `tribo.${stream}`),
    { partitions: PARTITIONS },
  );
  await makeBucket(moto);
  const peers = started.move();
  return {
    ports: {
      kafka: { brokers: [kafka.broker], tls: false, sessionTimeoutMs: 3000 },
      postgres: postgres.freshConnection(),
      eventStream: 'kafka',
      objectStore: { adapter: 'aws', ...bucketOf(moto) },
      ...inPostgres(),
    },
    [Symbol.asyncDispose]: () => peers.disposeAsync(),
  };
}

function inPostgres(): Readonly<Record<string, string>> {
  const ports = ['timeSeriesStore', 'checkpointStore', 'machineRegistry', 'deviceRegistry', 'ruleStore', 'auditTrail'];
  return Object.fromEntries([...ports, 'modelRegistry'].map((port) => [port, 'postgres']));
}

async function makeBucket({ endpoint }: Moto): Promise<void> {
  const { S3 } = await import('@aws-sdk/client-s3');
  const s3 = new S3({ region: REGION, endpoint, forcePathStyle: true });
  await s3.createBucket({ Bucket: BUCKET, CreateBucketConfiguration: { LocationConstraint: REGION } });
  s3.destroy();
}

function bucketOf({ endpoint }: Moto): object {
  return { bucket: BUCKET, region: REGION, endpoint, forcePathStyle: true };
}
