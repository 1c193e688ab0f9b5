import { afterAll, beforeAll } from '@jest/globals';
import { s3ObjectStoreConfigSchema } from '#adapters/aws/s3-object-store/config.ts';
import { S3ObjectStore } from '#adapters/aws/s3-object-store/s3-object-store.ts';
import { answered, HttpFaults } from '../http-faults.ts';
import { Moto } from '../moto.ts';
import { describeObjectsUnderFaults } from '../objects-under-faults.ts';

const BUCKET = 'tribo-faults';
const timeoutMs = 3000;
let moto: Moto;
let wire: HttpFaults;
let store: S3ObjectStore;

beforeAll(async () => {
  moto = await Moto.start();
  wire = await HttpFaults.start(moto.endpoint);
  const { S3 } = await import('@aws-sdk/client-s3');
  const s3 = new S3({ region: 'us-east-1', endpoint: moto.endpoint, forcePathStyle: true });
  await s3.createBucket({ Bucket: BUCKET });
  s3.destroy();
  const place = { endpoint: wire.endpoint, forcePathStyle: true, region: 'us-east-1', bucket: BUCKET, timeoutMs };
  store = await S3ObjectStore.open(s3ObjectStoreConfigSchema.parse(place));
}, 300_000);

afterAll(async () => {
  store.close();
  await wire[Symbol.asyncDispose]();
  await moto[Symbol.asyncDispose]();
});

// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
const s3Error = (status: number, code: string) =>
  answered(
    status,
    `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>by the test</Message></Error>`,
    {
      'content-type': 'application/xml',
    },
  );

describeObjectsUnderFaults(
  'S3',
  { timeoutMs, expiredToken: s3Error(400, 'ExpiredToken'), throttled: s3Error(503, 'SlowDown') },
  async () => ({ store, wire }),
);
