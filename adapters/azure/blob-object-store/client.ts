import { createHash, randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import type { BlockBlobClient } from '@azure/storage-blob';
import type { BucketCalls } from '../../bucket-object-store.ts';
import { openContainerOf } from '../blob-place.ts';
import type { BlobObjectStoreConfig } from './config.ts';
import { Markers } from './markers.ts';

const BLOCKS_AT_ONCE = 4;
const PAGE = 1000;

/** What came down is not what went up. */
export class ChecksumMismatch extends Error {}

export async function openContainer(config: BlobObjectStoreConfig): Promise<BucketCalls> {
  const container = await openContainerOf(config, config.container);
  const markers = new Markers();
  return {
    put: async (key, bytes, ifAbsent, abortSignal) => {
      const blob = container.getBlockBlobClient(key);
      const blobContentMD5 = md5(bytes);
      const whole = {
        abortSignal,
        blobHTTPHeaders: { blobContentType: 'application/octet-stream', blobContentMD5 },
        ...(ifAbsent && { conditions: { ifNoneMatch: '*' } }),
      };
      if (bytes.byteLength <= config.blockBytes) {
        await blob.upload(bytes, bytes.byteLength, { ...whole, transactionalContentMD5: blobContentMD5 });
        return;
      }
      // Blocks that could not become the blob would lie there for a week.
      if (ifAbsent && (await blob.exists({ abortSignal })))
        throw Object.assign(new Error('the blob is there'), { code: 'BlobAlreadyExists' });
      await blob.commitBlockList(await stageBlocks(blob, bytes, config.blockBytes, abortSignal), whole);
    },
    get: async (key, abortSignal) => {
      const { readableStreamBody, contentMD5 } = await container.getBlockBlobClient(key).download(0, undefined, {
        ...{ abortSignal, maxRetryRequests: 0 },
      });
      const bytes = readableStreamBody ? await buffer(readableStreamBody) : new Uint8Array();
      if (contentMD5 && Buffer.compare(contentMD5, md5(bytes)) !== 0)
        throw new ChecksumMismatch(`its MD5 is not the one it was put with`);
      return bytes;
    },
    list: async ({ prefix, after, limit }, abortSignal) => {
      const marker = after === undefined ? undefined : markers.at(prefix, after);
      // Without the marker of the place, it is sought from the begin.
      const maxPageSize = after === undefined || marker !== undefined ? limit : PAGE;
      const pages = container
        .listBlobsFlat({ prefix, abortSignal })
        .byPage({ maxPageSize, ...(marker !== undefined && { continuationToken: marker }) });
      const objects = [];
      for await (const { segment, continuationToken } of pages) {
        for (const { name: key, properties } of segment.blobItems)
          if (after === undefined || key > after)
            objects.push({
              ...{ key, bytes: properties.contentLength ?? 0, modifiedAtMs: properties.lastModified.getTime() },
            });
        if (!continuationToken) return { objects: objects.slice(0, limit), isLast: objects.length <= limit };
        if (objects.length === limit) markers.keep(prefix, objects.at(-1)!.key, continuationToken);
        if (objects.length >= limit) break;
      }
      return { objects: objects.slice(0, limit), isLast: false };
    },
    delete: async (key, abortSignal) => {
      await container.getBlockBlobClient(key).delete({ abortSignal });
    },
    close: () => undefined,
  };
}

/** Sends the blocks, some at once, and returns their ids in order; of one that fails the others are cancelled. */
async function stageBlocks(
  blob: BlockBlobClient,
  bytes: Uint8Array,
  blockBytes: number,
  signal: AbortSignal,
): Promise<string[]> {
  const upload = randomBytes(16);
  const ids = Array.from({ length: Math.ceil(bytes.byteLength / blockBytes) }, (_, block) =>
    Buffer.concat([upload, Buffer.from([block >> 8, block & 255])]).toString('base64'),
  );
  const failure = new AbortController();
  const abortSignal = AbortSignal.any([signal, failure.signal]);
  const waiting = ids.entries();
  const send = async (): Promise<void> => {
    for (const [block, id] of waiting) {
      const part = bytes.subarray(block * blockBytes, (block + 1) * blockBytes);
      await blob.stageBlock(id, part, part.byteLength, { abortSignal, transactionalContentMD5: md5(part) });
    }
  };
  await Promise.all(
    Array.from({ length: BLOCKS_AT_ONCE }, () => send().catch((error: unknown) => failure.abort(error))),
  );
  failure.signal.throwIfAborted();
  return ids;
}

function md5(bytes: Uint8Array): Uint8Array {
  return createHash('md5').update(bytes).digest();
}
