import { FAMILIES } from '#adapters/providers.ts';
import { STREAMS } from '#core/domain/event.ts';
import { Kafka } from '../kafka.ts';
import { makeTable } from '../moto-table.ts';
import { Moto } from '../moto.ts';
import { Postgres } from '../postgres.ts';

const REGION = 'eu-central-1';
const BUCKET = 'tribo-site';
const STATE_TABLE = 'tribo-streams';
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

/** What `provider: aws` selects: Kinesis with a table of DynamoDB, S3, Secrets Manager, PostgreSQL. */
export async function awsSite(): Promise<Site> {
  await using started = new AsyncDisposableStack();
  const [postgres, moto] = await Promise.all([
    Postgres.start().then((peer) => started.use(peer)),
    Moto.start().then((peer) => started.use(peer)),
  ]);
  await makeBucket(moto);
  await makeTable(moto, REGION, STATE_TABLE);
  await makeStreams(moto);
  const peers = started.move();
  return {
    ports: {
      provider: 'aws',
      aws: { region: REGION, endpoint: moto.endpoint, prefix: 'akron/' },
      postgres: postgres.freshConnection(),
      objectStore: bucketOf(moto),
      eventStream: {
        streams: Object.fromEntries(STREAMS.map((stream) => [stream, streamName(stream)])),
        ...{ stateTable: STATE_TABLE, lanes: 4 },
        // The peer answers all requests by one process, and has the limit that was Kinesis's until 2025.
        ...{ pollMs: 500, leaseMs: 6000, maxRequestBytes: 5_242_880 },
      },
    },
    [Symbol.asyncDispose]: () => peers.disposeAsync(),
  };
}

function inPostgres(): Readonly<Record<string, string>> {
  return Object.fromEntries(FAMILIES['postgres']!.map(({ port }) => [port, 'postgres']));
}

function streamName(stream: string): string {
  return `akron-${stream}`;
}

async function makeStreams({ endpoint }: Moto): Promise<void> {
  const { Kinesis } = await import('@aws-sdk/client-kinesis');
  const { NodeHttpHandler } = await import('@smithy/node-http-handler');
  const kinesis = new Kinesis({ region: REGION, endpoint, requestHandler: new NodeHttpHandler() });
  for (const stream of STREAMS) await kinesis.createStream({ StreamName: streamName(stream), ShardCount: 1 });
  kinesis.destroy();
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
