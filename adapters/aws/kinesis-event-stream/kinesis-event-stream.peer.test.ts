import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll } from '@jest/globals';
import type { Kinesis } from '@aws-sdk/client-kinesis';
import { eventStreamContract, type EventStreamHarness } from '#core/contracts/event-stream.contract.ts';
import type { StreamName } from '#core/domain/event.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { makeTable } from '#test/peers/moto-table.ts';
import { Moto } from '#test/peers/moto.ts';
import { openDynamoTable } from '../dynamo-table.ts';
import { openKinesis, type KinesisCalls } from './client.ts';
import { kinesisEventStreamConfigSchema, type KinesisEventStreamConfig } from './config.ts';
import { KinesisEventStream } from './kinesis-event-stream.ts';
import { decodeRecord } from './record-codec.ts';

const REGION = 'eu-central-1';
let moto: Moto;
let kinesis: Kinesis;

beforeAll(async () => {
  moto = await Moto.start();
  const { Kinesis } = await import('@aws-sdk/client-kinesis');
  const { NodeHttpHandler } = await import('@smithy/node-http-handler');
  kinesis = new Kinesis({ region: REGION, endpoint: moto.endpoint, requestHandler: new NodeHttpHandler() });
}, 300_000);

afterAll(async () => {
  kinesis.destroy();
  await moto[Symbol.asyncDispose]();
});

type Harness = EventStreamHarness & AsyncDisposable;

async function makeHarness(shards: number): Promise<Harness> {
  const name = `tribo-${randomUUID()}`;
  await kinesis.createStream({ StreamName: name, ShardCount: shards });
  await makeTable(moto, REGION, name);
  const config = kinesisEventStreamConfigSchema.parse({
    ...{ region: REGION, endpoint: moto.endpoint, streams: { metrics: name }, stateTable: name },
    // So many that each machine of a case has a lane, and with it records, of its own.
    lanes: 499,
    ...{ pollMs: 10, leaseMs: 1500, checkpointIntervalMs: 100 },
    // Moto has the limit that was Kinesis's until 2025.
    maxRequestBytes: 5_242_880,
  });
  const faults: Faults = { next: new Set() };
  const clients: KinesisEventStream[] = [];
  const open = async () => {
    const table = await openDynamoTable({ region: REGION, endpoint: moto.endpoint, table: name });
    const client = new KinesisEventStream(config, { kinesis: withFaults(await openKinesis(config), faults), table });
    clients.push(client);
    return client;
  };
  return {
    stream: await open(),
    streamName: 'metrics',
    missingStreamName: 'no-such-stream' as StreamName,
    suffix: 'a1',
    patienceMs: 20_000,
    reopen: open,
    killConsumerMidBatch: (group) => killConsumerMidBatch(config, group),
    failNextPublish: (indexes) => {
      faults.next = new Set(indexes.map((index) => `e-${index}`));
    },
    [Symbol.asyncDispose]: async () => {
      for (const client of clients) await client.close();
      await kinesis.deleteStream({ StreamName: name });
    },
  };
}

interface Faults {
  /** Ids of events whose records the next request does not take. */
  next: ReadonlySet<string>;
}

/** Throttles single records as Kinesis does, which moto cannot. */
function withFaults(calls: KinesisCalls, faults: Faults): KinesisCalls {
  return {
    ...calls,
    put: async (stream, records, signal) => {
      const failing = faults.next;
      faults.next = new Set();
      const isFailing = records.map(({ data }) =>
        decodeRecord(data, 'test').some(({ eventId }) => failing.has(eventId)),
      );
      const taken = records.filter((_, index) => !isFailing[index]);
      const results = taken.length > 0 ? [...(await calls.put(stream, taken, signal))] : [];
      return isFailing.map((fails) =>
        fails ? { errorCode: 'ProvisionedThroughputExceededException' } : results.shift()!,
      );
    },
  };
}

async function killConsumerMidBatch(config: KinesisEventStreamConfig, group: string): Promise<readonly string[]> {
  const program = join(import.meta.dirname, 'processes', 'consumer.ts');
  const child = spawn(process.execPath, [program, JSON.stringify(config), group], {
    stdio: ['ignore', 'pipe', 'inherit'],
    // Jest's own, with the credentials.
    env: { ...process.env },
  });
  const exited = once(child, 'exit');
  const first = await Promise.race([once(child.stdout, 'data'), exited.then(() => undefined)]);
  if (!first) throw new Error('the consumer ended by itself');
  const [line] = first as [Buffer];
  child.kill('SIGKILL');
  await exited;
  return JSON.parse(line.toString()) as string[];
}

describeContract(eventStreamContract, 'Kinesis, one shard (moto)', () => makeHarness(1));
describeContract(eventStreamContract, 'Kinesis, three shards (moto)', () => makeHarness(3));
