import type { BucketCalls } from '../../bucket-object-store.ts';
import { loadSdk } from '../../sdk.ts';
import { clientSettings } from '../aws-place.ts';
import type { S3ObjectStoreConfig } from './config.ts';

const PARTS_AT_ONCE = 4;
const ABORT_MS = 5_000;

/** The SDK is loaded here and nowhere else, so that a site without S3 never loads it. */
export async function openS3(config: S3ObjectStoreConfig): Promise<BucketCalls> {
  const [s3, { Upload }] = await loadSdk('AWS', () =>
    Promise.all([import('@aws-sdk/client-s3'), import('@aws-sdk/lib-storage')]),
  );
  const { S3Client, AbortMultipartUploadCommand, DeleteObjectCommand, GetObjectCommand, ListObjectsV2Command } = s3;
  const { bucket: Bucket, forcePathStyle, partBytes } = config;
  const client = new S3Client({ ...clientSettings(config), forcePathStyle });
  return {
    put: async (Key, Body, ifAbsent, signal) => {
      const upload = new Upload({
        client,
        params: { Bucket, Key, Body, ...(ifAbsent && { IfNoneMatch: '*' }) },
        partSize: partBytes,
        queueSize: PARTS_AT_ONCE,
      });
      const abort = (): void => void upload.abort();
      signal.addEventListener('abort', abort);
      try {
        await upload.done();
      } catch (error) {
        // The SDK leaves the parts where S3 refuses the whole, as it does for a key that is there.
        const { uploadId: UploadId } = upload;
        if (UploadId !== undefined) {
          const command = new AbortMultipartUploadCommand({ Bucket, Key, UploadId });
          await client.send(command, { abortSignal: AbortSignal.timeout(ABORT_MS) }).catch(() => undefined);
        }
        throw error;
      } finally {
        signal.removeEventListener('abort', abort);
      }
    },
    get: async (Key, abortSignal) => {
      const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }), { abortSignal });
      return (await Body?.transformToByteArray()) ?? new Uint8Array();
    },
    list: async ({ prefix, after, limit }, abortSignal) => {
      const command = new ListObjectsV2Command({
        ...{ Bucket, Prefix: prefix, MaxKeys: limit },
        ...(after !== undefined && { StartAfter: after }),
      });
      const { Contents = [], IsTruncated } = await client.send(command, { abortSignal });
      const objects = Contents.map(({ Key = '', Size = 0, LastModified }) => ({
        ...{ key: Key, bytes: Size, modifiedAtMs: LastModified?.getTime() ?? 0 },
      }));
      return { objects, isLast: IsTruncated !== true };
    },
    delete: async (Key, abortSignal) => {
      await client.send(new DeleteObjectCommand({ Bucket, Key }), { abortSignal });
    },
    close: () => client.destroy(),
  };
}
