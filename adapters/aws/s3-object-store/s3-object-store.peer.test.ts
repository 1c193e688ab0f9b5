import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { S3 } from '@aws-sdk/client-s3';
import { objectStoreContract } from '#core/contracts/object-store.contract.ts';
import { expectAbsentPlace } from '#test/support/absent-place.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { Moto } from '#test/peers/moto.ts';
import { s3ObjectStoreConfigSchema } from './config.ts';
import { S3ObjectStore } from './s3-object-store.ts';

const BUCKET = 'tribo-objects';
const REGION = 'eu-central-1';
const MIB = 1_048_576;
let moto: Moto;
let s3: S3;

beforeAll(async () => {
  moto = await Moto.start();
  const { S3 } = await import('@aws-sdk/client-s3');
  s3 = new S3({ region: REGION, endpoint: moto.endpoint, forcePathStyle: true });
  await s3.createBucket({ Bucket: BUCKET, CreateBucketConfiguration: { LocationConstraint: REGION } });
}, 300_000);

afterAll(async () => {
  s3.destroy();
  await moto[Symbol.asyncDispose]();
});

async function makeHarness(given: { readonly bucket?: string; readonly timeoutMs?: number } = {}) {
  const place = { endpoint: moto.endpoint, forcePathStyle: true, region: REGION, bucket: BUCKET };
  const store = await S3ObjectStore.open(s3ObjectStoreConfigSchema.parse({ ...place, prefix: 'site-a/', ...given }));
  return {
    store,
    prefix: `tenant-a/${randomUUID()}/`,
    [Symbol.asyncDispose]: async () => store.close(),
  };
}

describeContract(objectStoreContract, 'S3 (moto)', makeHarness);

describe('objects in a bucket', () => {
  it('leave no upload behind that was not finished, also where one was there already', async () => {
    await using harness = await makeHarness();
    const { store, prefix } = harness;
    await store.put(`${prefix}large`, new Uint8Array(12 * MIB), { ifAbsent: true });
    await store.put(`${prefix}large`, new Uint8Array(12 * MIB), { ifAbsent: true });
    const { Uploads = [] } = await s3.listMultipartUploads({ Bucket: BUCKET });
    expect(Uploads).toEqual([]);
  });

  it('are not taken for absent where the bucket is', async () => {
    await using harness = await makeHarness({ bucket: 'nobodys-bucket' });
    await expectAbsentPlace(harness.store, 'bucket nobodys-bucket');
  });
});
