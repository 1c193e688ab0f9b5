import { BucketObjectStore } from '../../bucket-object-store.ts';
import { codeOfGcpError } from '../gcp-errors.ts';
import { BucketMissing, openGcs } from './client.ts';
import type { GcsObjectStoreConfig } from './config.ts';

/** Objects in a bucket of Cloud Storage: whole once `put` resolves, with a checksum that it verifies; above `resumableAboveBytes` by a resumable upload. */
export class GcsObjectStore extends BucketObjectStore {
  static async open(config: GcsObjectStoreConfig): Promise<GcsObjectStore> {
    const { bucket, prefix, timeoutMs } = config;
    return new GcsObjectStore({
      ...{ name: `bucket ${bucket}`, prefix, timeoutMs },
      codeOf: (error) => {
        if (error instanceof BucketMissing) return 'failed_precondition';
        const code = codeOfGcpError(error);
        // The only condition that is ever made is that the object be absent.
        return code === 'failed_precondition' ? 'already_exists' : code;
      },
      calls: await openGcs(config),
    });
  }
}
