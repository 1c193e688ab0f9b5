import { once, type EventEmitter } from 'node:events';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { BucketCalls } from '../../bucket-object-store.ts';
import { loadSdk } from '../../sdk.ts';
import { codeOfGcpError } from '../gcp-errors.ts';
import { waitFor } from '../../wait-for.ts';
import type { GcsObjectStoreConfig } from './config.ts';

const ENDS_AFTER_MS = 5000;

/** Google answers 404 for an absent bucket as for an absent object. */
export class BucketMissing extends Error {}

/** The SDK is loaded here and nowhere else, so that a site without Cloud Storage never loads it. */
export async function openGcs(config: GcsObjectStoreConfig): Promise<BucketCalls> {
  const { Storage, CRC32C } = await loadSdk('Google Cloud', () => import('@google-cloud/storage'));
  const { bucket: name, emulatorEndpoint, resumableAboveBytes, timeoutMs } = config;
  const storage = new Storage({
    ...(emulatorEndpoint !== undefined && { apiEndpoint: emulatorEndpoint, projectId: 'tribo' }),
    // After whoever asked: a request whose answer nobody waits for ends, too.
    timeout: timeoutMs + ENDS_AFTER_MS,
    // Retries are core/delivery's.
    retryOptions: { autoRetry: false, maxRetries: 0 },
  });
  const bucket = storage.bucket(name);
  let isBucketSeen = false;

  /** Makes of a 404 that of the bucket, where it is that. */
  const ofBucket = async <Result>(call: Promise<Result>): Promise<Result> => {
    try {
      const result = await call;
      isBucketSeen = true;
      return result;
    } catch (error) {
      if (codeOfGcpError(error) !== 'not_found') throw error;
      throw new BucketMissing(`there is no bucket ${name}`, { cause: error });
    }
  };
  /** An object that is absent from a bucket nobody has seen may be so because the bucket is. */
  const ofObject = async <Result>(call: Promise<Result>, signal: AbortSignal): Promise<Result> => {
    try {
      return await call;
    } catch (error) {
      if (!isBucketSeen && codeOfGcpError(error) === 'not_found')
        await ofBucket(waitFor(bucket.getFiles({ maxResults: 1, autoPaginate: false }), signal));
      throw error;
    }
  };

  return {
    put: async (key, bytes, ifAbsent, signal) => {
      const checksum = new CRC32C();
      checksum.update(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
      const upload = bucket.file(key).createWriteStream({
        resumable: bytes.byteLength > resumableAboveBytes,
        // Verified by the service before the object is there; the SDK's own check would delete it afterwards.
        metadata: { contentType: 'application/octet-stream', crc32c: checksum.toString() },
        validation: false,
        ...(ifAbsent && { preconditionOpts: { ifGenerationMatch: 0 } }),
      });
      let session: string | undefined;
      upload.once('uri', (uri: string) => (session = uri));
      try {
        const finished = once(upload, 'finish', { signal });
        upload.end(bytes);
        await ofBucket(finished.catch(throwAsError));
      } catch (error) {
        upload.destroy();
        // Who knows the session may cancel it; one that is not cancelled ends by itself after a week.
        if (session !== undefined)
          await fetch(session, { method: 'DELETE', signal: AbortSignal.timeout(5_000) }).catch(() => undefined);
        throw error;
      }
    },
    get: (key, signal) => {
      const download = bucket.file(key).createReadStream({ decompress: false, validation: 'crc32c' });
      return ofObject(readAll(download, signal), signal);
    },
    list: async ({ prefix, after, limit }, signal) => {
      // Google's offset is the first to list, ours the last before it.
      const query = { prefix, maxResults: limit + (after === undefined ? 0 : 1), autoPaginate: false };
      const [files, next] = await ofBucket(
        waitFor(bucket.getFiles({ ...query, ...(after !== undefined && { startOffset: after }) }), signal),
      );
      const objects = files
        .filter((file) => file.name !== after)
        .map(({ name: key, metadata: { size = 0, updated = 0 } }) => ({
          ...{ key, bytes: Number(size), modifiedAtMs: new Date(updated).getTime() },
        }));
      // Its type does not say so: of the last page it is null.
      const isLast = (next as object | null) === null && objects.length <= limit;
      return { objects: objects.slice(0, limit), isLast };
    },
    delete: async (key, signal) => {
      await ofObject(waitFor(bucket.file(key).delete(), signal), signal);
    },
    close: () => undefined,
  };
}

/** A download that is given up before its answer is ended when that comes: where the SDK finds it ended, it throws to nobody. */
async function readAll(download: Readable, signal: AbortSignal): Promise<Buffer> {
  const seen = { answer: false };
  download.once('response', (response: EventEmitter) => {
    seen.answer = true;
    // The SDK itself puts one listener more on it than Node takes for a leak.
    response.setMaxListeners(20);
  });
  try {
    return await waitFor(buffer(download), signal);
  } catch (error) {
    if (seen.answer) download.destroy();
    else download.once('response', () => setImmediate(() => download.destroy()));
    throw error;
  }
}

/** Of a resumable upload the SDK's error is a plain object. */
function throwAsError(error: unknown): never {
  if (error instanceof Error || typeof error !== 'object' || error === null) throw error;
  throw Object.assign(new Error('message' in error ? String(error.message) : 'unknown'), error);
}
