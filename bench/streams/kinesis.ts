import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Kinesis } from '@aws-sdk/client-kinesis';
import { openDynamoTable } from '#adapters/aws/dynamo-table.ts';
import { openKinesis } from '#adapters/aws/kinesis-event-stream/client.ts';
import { kinesisEventStreamConfigSchema } from '#adapters/aws/kinesis-event-stream/config.ts';
import { KinesisEventStream } from '#adapters/aws/kinesis-event-stream/kinesis-event-stream.ts';
import { until } from '#core/contracts/until.ts';
import { Kinesalite } from '#test/peers/kinesalite.ts';
import { makeTable } from '#test/peers/moto-table.ts';
import { Moto } from '#test/peers/moto.ts';
import { throughPort, type Place, type StreamClient, type StreamPeer } from './stream-client.ts';

const REGION = 'eu-central-1';
const SHARDS = 4;
const REQUEST_RECORDS = 500;
const POLL_MS = 200;
const CHECKPOINT_MS = 1000;
/** What PutRecords took until 2025, and this peer takes. */
const REQUEST_BYTES = 5_242_880;

export const kinesisPeer: StreamPeer = {
  adapter: 'kinesis-event-stream',
  notes: `kinesalite, one JavaScript process, leases on moto; ${SHARDS} shards; bare: @aws-sdk/client-kinesis, a record an event, ${REQUEST_RECORDS} a PutRecords, as many requests side by side as there are publishers; GetRecords of each shard, its checkpoint to DynamoDB every second; both poll every ${POLL_MS} ms`,
  pacedPerS: 500,
  start: async () => {
    const [kinesalite, moto] = await Promise.all([Kinesalite.start(), Moto.start()]);
    const kinesis = await openSdk(kinesalite.endpoint);
    return {
      fresh: async () => {
        const name = `bench-${randomUUID()}`;
        await kinesis.createStream({ StreamName: name, ShardCount: SHARDS });
        const isActive = async (): Promise<boolean> =>
          (await kinesis.describeStreamSummary({ StreamName: name })).StreamDescriptionSummary?.StreamStatus === 'ACTIVE'; // prettier-ignore
        await until(isActive, 'the stream is there');
        await makeTable(moto, REGION, name);
        return { name, endpoint: kinesalite.endpoint, stateEndpoint: moto.endpoint };
      },
      [Symbol.asyncDispose]: async () => {
        kinesis.destroy();
        await kinesalite[Symbol.asyncDispose]();
        await moto[Symbol.asyncDispose]();
      },
    };
  },
  openAdapter: async (place) => {
    const { name, endpoint, stateEndpoint } = place as unknown as KinesisPlace;
    const config = kinesisEventStreamConfigSchema.parse({
      ...{ region: REGION, endpoint, stateEndpoint, streams: { metrics: name }, stateTable: name },
      ...{ pollMs: POLL_MS, checkpointIntervalMs: CHECKPOINT_MS, maxRequestBytes: REQUEST_BYTES },
    });
    const table = await openDynamoTable({ region: REGION, endpoint: stateEndpoint, table: name });
    return throughPort(new KinesisEventStream(config, { kinesis: await openKinesis(config), table }));
  },
  openBare,
};

interface KinesisPlace {
  readonly name: string;
  readonly endpoint: string;
  readonly stateEndpoint: string;
}

async function openSdk(endpoint: string): Promise<Kinesis> {
  const { Kinesis } = await import('@aws-sdk/client-kinesis');
  const { NodeHttpHandler } = await import('@smithy/node-http-handler');
  return new Kinesis({ region: REGION, endpoint, requestHandler: new NodeHttpHandler() });
}

async function openBare(place: Place): Promise<StreamClient> {
  const { name: StreamName, endpoint, stateEndpoint } = place as unknown as KinesisPlace;
  const kinesis = await openSdk(endpoint);
  const { DynamoDB } = await import('@aws-sdk/client-dynamodb');
  const dynamodb = new DynamoDB({ region: REGION, endpoint: stateEndpoint });
  const reading: Promise<void>[] = [];
  let isOpen = true;
  const readShard = async (ShardId: string, take: (payload: Uint8Array) => void): Promise<void> => {
    const oldest = { StreamName, ShardId, ShardIteratorType: 'TRIM_HORIZON' } as const;
    let { ShardIterator } = await kinesis.getShardIterator(oldest);
    let savedAtMs = performance.now();
    while (isOpen) {
      const { Records = [], NextShardIterator } = await kinesis.getRecords({ ShardIterator });
      ShardIterator = NextShardIterator;
      for (const { Data } of Records) take(Data!);
      if (Records.length === 0) await sleep(POLL_MS);
      else if (performance.now() - savedAtMs > CHECKPOINT_MS) {
        savedAtMs = performance.now();
        const Item = { pk: { S: ShardId }, sk: { S: 'checkpoint' }, at: { S: Records.at(-1)!.SequenceNumber! } };
        await dynamodb.putItem({ TableName: StreamName, Item });
      }
    }
  };
  return {
    declare: () => Promise.resolve(),
    publish: async (events) => {
      for (let from = 0; from < events.length; from += REQUEST_RECORDS) {
        const Records = events
          .slice(from, from + REQUEST_RECORDS)
          .map(({ key: PartitionKey, payload: Data }) => ({ Data, PartitionKey }));
        const { FailedRecordCount } = await kinesis.putRecords({ StreamName, Records });
        if (FailedRecordCount) throw new Error(`${FailedRecordCount} records were not taken`);
      }
    },
    consume: async (take) => {
      const { Shards = [] } = await kinesis.listShards({ StreamName });
      for (const { ShardId } of Shards) reading.push(readShard(ShardId!, take));
    },
    close: async () => {
      isOpen = false;
      await Promise.all(reading);
      kinesis.destroy();
      dynamodb.destroy();
    },
  };
}
