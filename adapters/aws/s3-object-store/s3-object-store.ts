import { BucketObjectStore } from '../../bucket-object-store.ts';
import { codeOfAwsError, type AwsCodes } from '../aws-errors.ts';
import { openS3 } from './client.ts';
import type { S3ObjectStoreConfig } from './config.ts';

const CODES: AwsCodes = {
  NoSuchKey: 'not_found',
  NoSuchBucket: 'failed_precondition',
  PreconditionFailed: 'already_exists',
  // Another conditional write of the key is under way: S3 says to try again.
  ConditionalRequestConflict: 'unavailable',
  BadDigest: 'data_loss',
  EntityTooLarge: 'invalid_argument',
};

/** Objects in a bucket of S3: whole once `put` resolves, with a checksum that S3 verifies; above `partBytes` they go up in parts. */
export class S3ObjectStore extends BucketObjectStore {
  static async open(config: S3ObjectStoreConfig): Promise<S3ObjectStore> {
    const { bucket, prefix, timeoutMs } = config;
    const codeOf = (error: unknown) => codeOfAwsError(error, CODES);
    return new S3ObjectStore({ name: `bucket ${bucket}`, prefix, timeoutMs, codeOf, calls: await openS3(config) });
  }
}
