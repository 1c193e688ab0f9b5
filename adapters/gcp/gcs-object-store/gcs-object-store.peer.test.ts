import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Bucket } from '@google-cloud/storage';
import { objectStoreContract } from '#core/contracts/object-store.contract.ts';
import { expectAbsentPlace } from '#test/support/absent-place.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { FakeGcs } from '#test/peers/fake-gcs.ts';
import { gcsObjectStoreConfigSchema } from './config.ts';
import { GcsObjectStore } from './gcs-object-store.ts';

const BUCKET = 'tribo-objects';
const MIB = 1_048_576;
let gcs: FakeGcs;
let bucket: Bucket;

// The peer is built from its source, once.
beforeAll(async () => {
  gcs = await FakeGcs.start();
  const { Storage } = await import('@google-cloud/storage');
  bucket = new Storage({ apiEndpoint: gcs.endpoint, projectId: 'tribo' }).bucket(BUCKET);
  await bucket.create();
}, 900_000);

afterAll(async () => gcs[Symbol.asyncDispose]());

async function makeHarness(given: { readonly bucket?: string } = {}) {
  const place = { emulatorEndpoint: gcs.endpoint, bucket: BUCKET, resumableAboveBytes: MIB };
  const store = await GcsObjectStore.open(gcsObjectStoreConfigSchema.parse({ ...place, prefix: 'site-a/', ...given }));
  return {
    store,
    prefix: `tenant-a/${randomUUID()}/`,
    [Symbol.asyncDispose]: async () => store.close(),
  };
}

describeContract(objectStoreContract, 'Cloud Storage (fake-gcs-server)', makeHarness);

describe('objects in a bucket', () => {
  it('are not there when a resumable upload is given up', async () => {
    await using harness = await makeHarness();
    const { store, prefix } = harness;
    const caller = new AbortController();
    const attempt = store.put(`${prefix}given-up`, new Uint8Array(64 * MIB), { signal: caller.signal });
    setTimeout(() => caller.abort(), 20);
    await expect(attempt).rejects.toMatchObject({ code: 'cancelled' });
    expect(await store.get(`${prefix}given-up`)).toBeUndefined();
    expect(await store.list({ prefix, limit: 10 })).toEqual([]);
  });

  it.each([0, 1, 262_144])('come with a checksum that the service keeps, of %d bytes', async (length) => {
    await using harness = await makeHarness();
    const { store, prefix } = harness;
    const { CRC32C } = await import('@google-cloud/storage');
    const bytes = Buffer.alloc(length, 7);
    await store.put(`${prefix}sum`, bytes);
    const [metadata] = await bucket.file(`site-a/${prefix}sum`).getMetadata();
    const checksum = new CRC32C();
    checksum.update(bytes);
    expect(metadata.crc32c).toBe(checksum.toString());
  });

  it('are not taken for absent where the bucket is', async () => {
    await using harness = await makeHarness({ bucket: 'nobodys-bucket' });
    await expectAbsentPlace(harness.store, 'bucket nobodys-bucket');
  });
});
