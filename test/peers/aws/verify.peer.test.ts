import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { S3 } from '@aws-sdk/client-s3';
import { newRun, VERIFICATION_MARK } from '#core/contracts/verification.ts';
import { until } from '#core/contracts/until.ts';
import { makeIotSite } from '../moto-iot.ts';
import { makeTable } from '../moto-table.ts';
import { Moto } from '../moto.ts';
import { startVerify, verifySite } from '../verify-site.ts';

const TIMEOUT_MS = 180_000;
const BUCKET = 'tribo-verified';
const REGION = 'eu-central-1';
const OWN = 'plant/waveforms/1';
const TABLE = 'tribo-verified';
const OWN_THING = 'gauge-1';

let moto: Moto;
let s3: S3;
let iotSite: Awaited<ReturnType<typeof makeIotSite>>;

beforeAll(async () => {
  moto = await Moto.start();
  const { S3 } = await import('@aws-sdk/client-s3');
  s3 = new S3({ region: REGION, endpoint: moto.endpoint, forcePathStyle: true });
  await s3.createBucket({ Bucket: BUCKET, CreateBucketConfiguration: { LocationConstraint: REGION } });
  await put(OWN);
  await makeTable(moto, REGION, TABLE);
  iotSite = await makeIotSite(moto, REGION);
  await iotSite.iot.createThing({ thingName: OWN_THING, thingTypeName: iotSite.settings.thingType });
}, 300_000);

afterAll(async () => {
  s3.destroy();
  iotSite.iot.destroy();
  await moto[Symbol.asyncDispose]();
});

function siteWith(objectStore: object = {}) {
  const place = { bucket: BUCKET, prefix: 'plant/', forcePathStyle: true, ...objectStore };
  return {
    aws: { region: REGION, endpoint: moto.endpoint },
    objectStore: { adapter: 's3-object-store', ...place },
  };
}

async function keys(): Promise<readonly string[]> {
  const { Contents = [] } = await s3.listObjectsV2({ Bucket: BUCKET });
  return Contents.map(({ Key = '' }) => Key);
}

/** The items of the table, and the names of secrets and parameters. */
async function otherThings(): Promise<readonly string[]> {
  const [{ DynamoDB }, { SecretsManager }, { SSM }] = await Promise.all([
    import('@aws-sdk/client-dynamodb'),
    import('@aws-sdk/client-secrets-manager'),
    import('@aws-sdk/client-ssm'),
  ]);
  const place = { region: REGION, endpoint: moto.endpoint };
  const [dynamodb, secrets, parameters] = [new DynamoDB(place), new SecretsManager(place), new SSM(place)];
  const [{ Items = [] }, { SecretList = [] }, { Parameters = [] }] = await Promise.all([
    dynamodb.scan({ TableName: TABLE }),
    secrets.listSecrets(),
    parameters.describeParameters(),
  ]);
  for (const client of [dynamodb, secrets, parameters]) client.destroy();
  return [
    ...Items.map(({ pk }) => pk?.S ?? ''),
    ...SecretList.map(({ Name = '' }) => Name),
    ...Parameters.map(({ Name = '' }) => Name),
  ];
}

function registryWith(change: object = {}) {
  return { deviceRegistry: { adapter: 'iot-core-device-registry', ...iotSite.settings, ...change } };
}

async function devices() {
  const [{ things = [] }, { certificates = [] }] = await Promise.all([
    iotSite.iot.listThings({}),
    iotSite.iot.listCertificates({}),
  ]);
  return { things: things.map(({ thingName = '' }) => thingName), certificates: certificates.length };
}

const put = (Key: string) => s3.putObject({ Bucket: BUCKET, Key, Body: 'x' });
const left = async () => (await keys()).some((key) => key.startsWith(`plant/${VERIFICATION_MARK}/`));

describe('tribo verify of a site on AWS', () => {
  it(
    'runs the contract of S3 beside what is there, and leaves nothing, also of a run of two days ago',
    async () => {
      const earlier = newRun(Date.now() - 2 * 86_400_000);
      await put(`plant/${VERIFICATION_MARK}/${earlier}/1/key`);
      const { code, ok, ports } = await verifySite(siteWith());
      expect(ports).toEqual([expect.objectContaining({ port: 'objectStore', failed: [], leftOut: [], notRun: 0 })]);
      expect(ports[0]).toMatchObject({ ok: true, passed: 11, removedOfEarlier: 1 });
      expect({ code, ok }).toEqual({ code: 0, ok: true });
      expect(await keys()).toEqual([OWN]);
    },
    TIMEOUT_MS,
  );

  it(
    'runs the contracts of DynamoDB, Secrets Manager and Parameter Store, and leaves nothing',
    async () => {
      const aws = { region: REGION, endpoint: moto.endpoint };
      const checkpointStore = { adapter: 'dynamodb-checkpoint-store', table: TABLE };
      const manager = { adapter: 'secrets-manager-secret-store', prefix: 'tribo/akron/', recoveryDays: 0 };
      const { code, ports } = await verifySite({ aws, checkpointStore, secretStore: manager });
      expect({ code, ports }).toMatchObject({ code: 0, ports: [{ passed: 9 }, { passed: 8 }] });
      const parameters = { adapter: 'ssm-secret-store', prefix: '/tribo/akron/' };
      const second = await verifySite({ aws, secretStore: parameters });
      expect(second).toMatchObject({ code: 0, ports: [{ passed: 9, failed: [], leftOut: [] }] });
      expect(await otherThings()).toEqual([]);
    },
    TIMEOUT_MS,
  );

  it(
    'fails where the table is not there, and says which and what to do',
    async () => {
      const checkpointStore = { adapter: 'dynamodb-checkpoint-store', region: REGION, endpoint: moto.endpoint };
      const { code, stdout } = await startVerify({ checkpointStore: { ...checkpointStore, table: 'nobodys' } }).ended;
      expect(code).toBe(70);
      expect(stdout).toMatch(/failed_precondition: .*table nobodys[^]*-> deploy what it names, or correct the section/);
    },
    TIMEOUT_MS,
  );

  it(
    'fails where the bucket is not there, and says which and what to do',
    async () => {
      const { code, stdout } = await startVerify(siteWith({ bucket: 'nobodys-bucket' })).ended;
      expect(code).toBe(70);
      expect(stdout).toContain('FAIL objectStore, s3-object-store');
      expect(stdout).toMatch(
        /failed_precondition: .*nobodys-bucket[^]*-> deploy what it names, or correct the section/,
      );
    },
    TIMEOUT_MS,
  );

  it(
    'removes what it made when it is interrupted, and after a kill by --clean',
    async () => {
      const interrupted = startVerify(siteWith());
      await until(left, 'it has made something', 60_000);
      process.kill(interrupted.pid, 'SIGINT');
      expect((await interrupted.ended).code).toBe(130);
      expect(await keys()).toEqual([OWN]);

      const killed = startVerify(siteWith());
      await until(left, 'it has made something', 60_000);
      process.kill(killed.pid, 'SIGKILL');
      await killed.ended;
      expect(await left()).toBe(true);
      const { code, stdout } = await startVerify(siteWith(), ['--clean']).ended;
      expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^objectStore: .* removed\n$/) });
      expect(await keys()).toEqual([OWN]);
    },
    TIMEOUT_MS,
  );
});

describe('tribo verify of devices in IoT Core', () => {
  const nothingElse = { things: [OWN_THING], certificates: 0 };
  const made = async () => (await devices()).things.length > 2;

  it(
    "runs the contract beside the site's things, and removes what it made when it is interrupted, and after a kill by --clean",
    async () => {
      const interrupted = startVerify(registryWith());
      await until(made, 'it has made a device', 60_000);
      process.kill(interrupted.pid, 'SIGINT');
      expect((await interrupted.ended).code).toBe(130);
      expect(await devices()).toEqual(nothingElse);

      const killed = startVerify(registryWith());
      await until(made, 'it has made a device', 60_000);
      process.kill(killed.pid, 'SIGKILL');
      await killed.ended;
      expect((await startVerify(registryWith(), ['--clean']).ended).code).toBe(0);
      // A kill may leave a certificate that was not attached to a thing yet.
      const cleaned = await devices();
      expect(cleaned.things).toEqual([OWN_THING]);

      const { code, ports } = await verifySite(registryWith());
      expect({ code, ports }).toMatchObject({
        code: 0,
        ports: [{ ok: true, passed: 13, failed: [], problems: [], leftOut: [], notRun: 0 }],
      });
      expect(await devices()).toEqual(cleaned);
    },
    TIMEOUT_MS,
  );

  it.each([
    ['a policy', { policies: ['nobodys-policy'] }, /failed_precondition: issue a certificate/],
    ['the type of its things', { thingType: 'nobodys-type' }, /not_found: add device/],
  ])(
    'fails where %s is not there, says what to do, and leaves nothing',
    async (_what, change, says) => {
      const before = await devices();
      const { code, stdout } = await startVerify(registryWith(change)).ended;
      expect({ code, stdout }).toEqual({ code: 70, stdout: expect.stringMatching(says) });
      expect(stdout).toContain('-> deploy what it names, or correct the section of the port');
      expect(await devices()).toEqual(before);
    },
    TIMEOUT_MS,
  );
});
