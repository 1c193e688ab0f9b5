import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Kinesis } from '@aws-sdk/client-kinesis';
import { kinesisEventStreamConfigSchema } from '#adapters/aws/kinesis-event-stream/config.ts';
import { KinesisEventStream } from '#adapters/aws/kinesis-event-stream/kinesis-event-stream.ts';
import { until } from '#core/contracts/until.ts';
import { HttpFaults } from '../http-faults.ts';
import { makeTable } from '../moto-table.ts';
import { Moto } from '../moto.ts';
import { expectAllInOrder } from '../stream-under-faults.ts';
import { anyFault, awsError, inTurn, throttleSome } from './aws-faults.ts';

const REGION = 'eu-central-1';
const TIMEOUT_MS = 500;
let moto: Moto;
let wire: HttpFaults;
let sdk: Kinesis;

beforeAll(async () => {
  moto = await Moto.start();
  wire = await HttpFaults.start(moto.endpoint);
  const { Kinesis } = await import('@aws-sdk/client-kinesis');
  const { NodeHttpHandler } = await import('@smithy/node-http-handler');
  sdk = new Kinesis({ region: REGION, endpoint: moto.endpoint, requestHandler: new NodeHttpHandler() });
}, 300_000);

afterAll(async () => {
  sdk.destroy();
  await wire[Symbol.asyncDispose]();
  await moto[Symbol.asyncDispose]();
});

async function makeSite() {
  const name = `tribo-${randomUUID()}`;
  await sdk.createStream({ StreamName: name, ShardCount: 2 });
  await until(async () => {
    const { StreamDescriptionSummary } = await sdk.describeStreamSummary({ StreamName: name });
    return StreamDescriptionSummary?.StreamStatus === 'ACTIVE';
  }, 'the stream is there');
  await makeTable(moto, REGION, name);
  const streams: KinesisEventStream[] = [];
  return {
    open: async () => {
      const settings = { region: REGION, endpoint: wire.endpoint, streams: { metrics: name }, stateTable: name };
      const times = { pollMs: 20, leaseMs: 6000, checkpointIntervalMs: 100, timeoutMs: TIMEOUT_MS };
      const stream = await KinesisEventStream.open(
        kinesisEventStreamConfigSchema.parse({ ...settings, ...times, lanes: 4, maxRequestBytes: 5_242_880 }),
      );
      streams.push(stream);
      return stream;
    },
    [Symbol.asyncDispose]: async () => {
      wire.fault = (_request, pass) => pass();
      for (const stream of streams) await stream.close();
      await sdk.deleteStream({ StreamName: name });
    },
  };
}

const ANY = anyFault(TIMEOUT_MS + 100);

describe('Kinesis behind a bad network', () => {
  it('throttles some records of a request: none is lost, and none overtakes another of its machine', async () => {
    await using site = await makeSite();
    wire.fault = inTurn((operation) => (operation === 'PutRecords' ? [throttleSome] : []));
    const [publisher, consumer] = [await site.open(), await site.open()];
    await expectAllInOrder({ publisher, consumers: [consumer], streamName: 'metrics', publishesAMachine: 6 });
  });

  it('fails, throttles, cuts and answers late, for records and leases alike: nothing is lost, each machine in order', async () => {
    await using site = await makeSite();
    wire.fault = inTurn((operation) => (operation === 'PutRecords' ? [...ANY, throttleSome] : ANY));
    const [publisher, ...consumers] = [await site.open(), await site.open(), await site.open()];
    await expectAllInOrder({ publisher, consumers, streamName: 'metrics', publishesAMachine: 6 });
  });

  it('lets nobody in while a token has expired, and all goes on with the next', async () => {
    await using site = await makeSite();
    const [publisher, consumer] = [await site.open(), await site.open()];
    let refused = 0;
    await expectAllInOrder({
      ...{ publisher, consumers: [consumer], streamName: 'metrics', publishesAMachine: 6 },
      meanwhile: (published) => {
        if (published !== 60) return;
        const expired = awsError(400, 'ExpiredTokenException');
        wire.fault = (request, pass) => (++refused > 20 ? pass() : expired(request, pass));
      },
    });
    expect(refused).toBeGreaterThan(20);
    wire.fault = awsError(400, 'ExpiredTokenException');
    await expect(publisher.publish('metrics', [])).resolves.toEqual({ failed: [] });
    await expect(publisher.declareGroup('metrics', 'other')).rejects.toMatchObject({ code: 'permission_denied' });
  });
});
