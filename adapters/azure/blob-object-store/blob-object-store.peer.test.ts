import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ContainerClient } from '@azure/storage-blob';
import { objectStoreContract } from '#core/contracts/object-store.contract.ts';
import { expectAbsentPlace } from '#test/support/absent-place.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { Azurite } from '#test/peers/azurite.ts';
import { blobObjectStoreConfigSchema } from './config.ts';
import { BlobObjectStore } from './blob-object-store.ts';

const CONTAINER = 'tribo-objects';
const MIB = 1_048_576;
let azurite: Azurite;
let container: ContainerClient;

beforeAll(async () => {
  azurite = await Azurite.start();
  const { ContainerClient } = await import('@azure/storage-blob');
  container = new ContainerClient(azurite.connectionString, CONTAINER);
  await container.create();
}, 300_000);

afterAll(async () => azurite[Symbol.asyncDispose]());

async function makeHarness(given: { readonly container?: string } = {}) {
  const place = { emulatorConnectionString: azurite.connectionString, container: CONTAINER, blockBytes: MIB };
  const store = await BlobObjectStore.open(
    blobObjectStoreConfigSchema.parse({ ...place, prefix: 'site-a/', ...given }),
  );
  return {
    store,
    prefix: `tenant-a/${randomUUID()}/`,
    [Symbol.asyncDispose]: async () => store.close(),
  };
}

describeContract(objectStoreContract, 'Blob Storage (Azurite)', makeHarness);

describe('blobs of a container', () => {
  it('leave no block behind that belongs to none, also where one was there already', async () => {
    await using harness = await makeHarness();
    const { store, prefix } = harness;
    await store.put(`${prefix}large`, new Uint8Array(6 * MIB), { ifAbsent: true });
    await store.put(`${prefix}large`, new Uint8Array(6 * MIB), { ifAbsent: true });
    const { uncommittedBlocks } = await container.getBlockBlobClient(`site-a/${prefix}large`).getBlockList('all');
    expect(uncommittedBlocks ?? []).toEqual([]);
  });

  it('are not there when an upload in blocks is given up, and are what is put later', async () => {
    await using harness = await makeHarness();
    const { store, prefix } = harness;
    const key = `${prefix}given-up`;
    const caller = new AbortController();
    const blob = container.getBlockBlobClient(`site-a/${key}`);
    const attempt = store.put(key, new Uint8Array(64 * MIB), { signal: caller.signal });
    const isUnderWay = async () =>
      ((await blob.getBlockList('all').catch(() => undefined))?.uncommittedBlocks ?? []).length > 0;
    while (!(await isUnderWay())) await new Promise((resolve) => setTimeout(resolve, 5));
    caller.abort();
    await expect(attempt).rejects.toMatchObject({ code: 'cancelled' });
    expect(await store.get(key)).toBeUndefined();
    expect(await store.list({ prefix, limit: 10 })).toEqual([]);
    await store.put(key, new Uint8Array([1]));
    expect(await store.get(key)).toEqual(Buffer.from([1]));
  });

  it('of many large ones with ifAbsent at once one is created', async () => {
    await using harness = await makeHarness();
    const { store, prefix } = harness;
    const puts = Array.from({ length: 5 }, (_, at) =>
      store.put(`${prefix}race`, new Uint8Array(2 * MIB).fill(at), { ifAbsent: true }),
    );
    const created = (await Promise.all(puts)).map((each) => each.created);
    expect(created.filter(Boolean)).toHaveLength(1);
    expect(new Set(await store.get(`${prefix}race`))).toEqual(new Set([created.indexOf(true)]));
  });

  it('are refused where they are not what was put', async () => {
    await using harness = await makeHarness();
    const { store, prefix } = harness;
    await store.put(`${prefix}torn`, new Uint8Array([1, 2, 3]));
    await container
      .getBlockBlobClient(`site-a/${prefix}torn`)
      .setHTTPHeaders({ blobContentMD5: new Uint8Array(16).fill(7) });
    await expect(store.get(`${prefix}torn`)).rejects.toMatchObject({ code: 'data_loss' });
  });

  it('are not taken for absent where the container is', async () => {
    await using harness = await makeHarness({ container: 'nobodys-container' });
    await expectAbsentPlace(harness.store, 'container nobodys-container');
  });
});

describe('a refused signature', () => {
  it('is permission_denied, not absence', async () => {
    const key = Buffer.alloc(32, 1).toString('base64');
    const emulatorConnectionString = azurite.connectionString.replace(/AccountKey=[^;]+/, `AccountKey=${key}`);
    const store = await BlobObjectStore.open(
      blobObjectStoreConfigSchema.parse({ emulatorConnectionString, container: CONTAINER }),
    );
    await expect(store.get('x')).rejects.toMatchObject({ code: 'permission_denied' });
  });
});
