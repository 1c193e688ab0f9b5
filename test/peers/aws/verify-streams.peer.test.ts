import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Kinesis } from '@aws-sdk/client-kinesis';
import { eventStreamContract, measuredStreamContract } from '#core/contracts/event-stream.contract.ts';
import { newRun, VERIFICATION_MARK } from '#core/contracts/verification.ts';
import { until } from '#core/contracts/until.ts';
import { answered, HttpFaults } from '../http-faults.ts';
import { makeTable } from '../moto-table.ts';
import { Moto } from '../moto.ts';
import { ModelServer } from '../model-server.ts';
import { SagemakerRuntime } from '../sagemaker-runtime.ts';
import { startVerify, verifySite } from '../verify-site.ts';

const TIMEOUT_MS = 180_000;
const REGION = 'eu-central-1';
const STREAM = 'akron-metrics';
const TABLE = 'akron-state';

let moto: Moto;
let kinesis: Kinesis;
beforeAll(async () => {
  moto = await Moto.start();
  const { NodeHttpHandler } = await import('@smithy/node-http-handler');
  const { Kinesis } = await import('@aws-sdk/client-kinesis');
  kinesis = new Kinesis({ region: REGION, endpoint: moto.endpoint, requestHandler: new NodeHttpHandler() });
  await kinesis.createStream({ StreamName: STREAM, ShardCount: 2 });
  await makeTable(moto, REGION, TABLE);
}, 300_000);
afterAll(async () => {
  kinesis.destroy();
  await moto[Symbol.asyncDispose]();
});

/** Names of all that there are. */
async function tables(): Promise<readonly string[]> {
  const { DynamoDB } = await import('@aws-sdk/client-dynamodb');
  const dynamodb = new DynamoDB(place());
  try {
    return (await dynamodb.listTables({})).TableNames ?? [];
  } finally {
    dynamodb.destroy();
  }
}

const place = () => ({ region: REGION, endpoint: moto.endpoint });
const streamOf = (given: object = {}) => ({
  eventStream: {
    adapter: 'kinesis-event-stream',
    ...place(),
    streams: { metrics: STREAM },
    stateTable: TABLE,
    ...given,
  },
});

describe('tribo verify of Kinesis', () => {
  it(
    'has a record without events taken and given back, and runs the contract of checkpoints in its table',
    async () => {
      const { code, ports } = await verifySite(streamOf());
      expect({ code, ports }).toMatchObject({ code: 0, ports: [{ ok: true, passed: 10, failed: [], problems: [] }] });
      expect(ports[0]!.leftOut).toHaveLength(1);
    },
    TIMEOUT_MS,
  );

  it(
    'runs the contract of streams on one of its own with --provision, and leaves neither that nor its table, also not of a run of two days ago',
    async () => {
      const earlier = `${VERIFICATION_MARK}-${newRun(Date.now() - 2 * 86_400_000)}`;
      await kinesis.createStream({ StreamName: earlier, ShardCount: 1 });
      await makeTable(moto, REGION, earlier);
      const quick = { pollMs: 10, leaseMs: 1_500, checkpointIntervalMs: 100, accountEveryMs: 100 };
      const { code, ports } = await verifySite(streamOf({ ...quick, maxRequestBytes: 5_242_880 }), ['--provision']);
      const cases = eventStreamContract.cases.length + measuredStreamContract.cases.length;
      expect({ code, ports }).toMatchObject({
        code: 0,
        ports: [{ ok: true, passed: 10 + cases - 2, failed: [], problems: [], removedOfEarlier: 2 }],
      });
      expect(ports[0]!.leftOut.map(({ reason }) => reason)).toEqual(Array(2).fill(expect.stringContaining('to fail')));
      expect((await kinesis.listStreams({})).StreamNames).toEqual([STREAM]);
      expect(await tables()).toEqual([TABLE]);
    },
    2 * TIMEOUT_MS,
  );

  it(
    'with --provision removes a stream on Ctrl-C that is only being made; --clean removes what a kill left, with --provision as well',
    async () => {
      await using wire = await HttpFaults.start(moto.endpoint);
      let isMade = false;
      wire.fault = async (request, pass) => {
        const isOwn = request.body.includes(VERIFICATION_MARK);
        const target = String(request.headers['x-amz-target']);
        if (isMade || !isOwn || !/DescribeStreamSummary|DeleteStream/.test(target)) return pass();
        if (target.endsWith('DeleteStream')) return answered(400, '{"__type":"ResourceInUseException"}')(request, pass);
        return answered(200, '{"StreamDescriptionSummary":{"StreamStatus":"CREATING"}}')(request, pass);
      };
      const site = streamOf({ endpoint: wire.endpoint });
      const ownStreams = async () => (await kinesis.listStreams({})).StreamNames!.filter((name) => name !== STREAM);
      const ownTables = async () => (await tables()).filter((name) => name !== TABLE);
      const isBegun = async () => (await ownStreams()).length === 1 && (await ownTables()).length === 1;

      const interrupted = startVerify(site, ['--provision']);
      await until(isBegun, 'the stream and its table are being made');
      process.kill(interrupted.pid, 'SIGINT');
      setTimeout(() => (isMade = true), 3_000);
      expect(await interrupted.ended).toMatchObject({
        code: 130,
        stdout: expect.not.stringContaining('may still be there'),
      });
      expect([await ownStreams(), await ownTables()]).toEqual([[], []]);

      const killed = startVerify(site, ['--provision']);
      await until(isBegun, 'the stream and its table are there');
      process.kill(killed.pid, 'SIGKILL');
      await killed.ended;
      const cleaned = async (...flags: string[]) => {
        const { code, stdout } = await startVerify(site, ['--json', '--clean', ...flags]).ended;
        return { code, removed: (JSON.parse(stdout) as { removed: number }[]).map(({ removed }) => removed) };
      };
      expect(await cleaned('--provision')).toEqual({ code: 0, removed: [2] });
      expect([await ownStreams(), await ownTables()]).toEqual([[], []]);
    },
    2 * TIMEOUT_MS,
  );

  it.each([
    ['is not there', { streams: { metrics: 'nobodys' } }, /not_found: .*nobodys[^]*-> deploy what it names/],
    [
      'keeps events too short',
      { retentionMs: 172_800_000 },
      /akron-metrics keeps events for 24 h, and the site reckons with 48 h/,
    ],
  ])(
    'fails where a stream %s, and says what to do',
    async (_what, change, says) => {
      const { code, stdout } = await startVerify(streamOf(change)).ended;
      expect({ code, stdout }).toEqual({ code: 70, stdout: expect.stringMatching(says) });
    },
    TIMEOUT_MS,
  );
});

describe('tribo verify of the gateway of IoT Core', () => {
  it(
    'reads the stream of the rules, and has a command taken',
    async () => {
      const deviceGateway = {
        ...{ adapter: 'iot-core-device-gateway', ...place(), dataEndpoint: moto.endpoint },
        ...{ deviceStream: STREAM, stateTable: TABLE },
      };
      const deviceRegistry = {
        ...{ adapter: 'iot-core-device-registry', ...place(), thingType: 'tribo-device' },
        ...{ policies: ['tribo-device-0'], changesThing: 'tribo-changes' },
      };
      const { code, ports } = await verifySite({ deviceGateway, deviceRegistry }, ['--port', 'deviceGateway']);
      expect({ code, ports }).toMatchObject({ code: 0, ports: [{ ok: true, passed: 10, failed: [], problems: [] }] });
      expect(ports[0]!.leftOut).toHaveLength(2);
    },
    TIMEOUT_MS,
  );
});

describe('tribo verify of models in SageMaker', () => {
  it(
    'has one model score, and lists the versions of the site',
    async () => {
      await using container = await ModelServer.start();
      await using sagemaker = await SagemakerRuntime.start(container, { region: REGION, endpointName: 'akron' });
      const modelInference = {
        ...{
          adapter: 'sagemaker-model-inference',
          region: REGION,
          endpoint: sagemaker.wire.url,
          endpointName: 'akron',
        },
      };
      const image = '123456789012.dkr.ecr.eu-central-1.amazonaws.com/tribo-model-server:1';
      const modelRegistry = { adapter: 'sagemaker-model-registry', ...place(), groupPrefix: 'tribo-akron', image };
      const { code, ports } = await verifySite({ modelInference, modelRegistry });
      expect({ code, ports }).toMatchObject({
        code: 0,
        ports: expect.arrayContaining([
          expect.objectContaining({ port: 'modelInference', ok: true, passed: 6, failed: [] }),
          expect.objectContaining({ port: 'modelRegistry', ok: true, passed: 1, failed: [] }),
        ]),
      });
    },
    TIMEOUT_MS,
  );
});
