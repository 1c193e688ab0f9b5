import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { S3 } from '@aws-sdk/client-s3';
import { objectStoreContract } from '#core/contracts/object-store.contract.ts';
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
  it('go up in parts above the size of one, whole or not at all, also with ifAbsent', async () => {
    await using harness = await makeHarness();
    const { store, prefix } = harness;
    const large = Uint8Array.from({ length: 12 * MIB }, (_, at) => (at * 7919) % 251);
    expect(await store.put(`${prefix}large`, large, { ifAbsent: true })).toEqual({ created: true });
    expect(Buffer.compare((await store.get(`${prefix}large`))!, large)).toBe(0);
    expect(await store.put(`${prefix}large`, new Uint8Array(12 * MIB), { ifAbsent: true })).toEqual({ created: false });
    expect(Buffer.compare((await store.get(`${prefix}large`))!, large)).toBe(0);
    const { Uploads = [] } = await s3.listMultipartUploads({ Bucket: BUCKET });
    expect(Uploads).toEqual([]);
  });

  it('are listed over more than one page of S3', async () => {
    await using harness = await makeHarness();
    const { store, prefix } = harness;
    const keys = Array.from({ length: 1203 }, (_, at) => `${prefix}${String(at).padStart(4, '0')}`);
    for (let from = 0; from < keys.length; from += 50)
      await Promise.all(keys.slice(from, from + 50).map((key) => store.put(key, new Uint8Array(1))));
    const listed = await store.list({ prefix, limit: 5000 });
    expect(listed.map(({ key }) => key)).toEqual(keys);
    expect((await store.list({ prefix, after: keys[100]!, limit: 1101 })).map(({ key }) => key)).toEqual(
      keys.slice(101, 1202),
    );
  }, 60_000);

  it('are not taken for absent where the bucket is', async () => {
    await using harness = await makeHarness({ bucket: 'nobodys-bucket' });
    const { store, prefix } = harness;
    await expect(store.get(`${prefix}x`)).rejects.toMatchObject({
      code: 'failed_precondition',
      message: expect.stringMatching(/^get tenant-a\/.*\/x of bucket nobodys-bucket: NoSuchBucket/),
    });
    await expect(store.put(`${prefix}x`, new Uint8Array(1))).rejects.toMatchObject({
      code: 'failed_precondition',
    });
  });
});
