import { BucketObjectStore } from '../../bucket-object-store.ts';
import { codeOfAzureError, type AzureCodes } from '../azure-errors.ts';
import { ChecksumMismatch, openContainer } from './client.ts';
import type { BlobObjectStoreConfig } from './config.ts';

const CODES: AzureCodes = {
  BlobNotFound: 'not_found',
  ContainerNotFound: 'failed_precondition',
  ContainerBeingDeleted: 'failed_precondition',
  AccountBeingCreated: 'unavailable',
  BlobAlreadyExists: 'already_exists',
  ConditionNotMet: 'already_exists',
  // Another upload of the key, whose blocks replaced these.
  InvalidBlockList: 'unavailable',
  Md5Mismatch: 'data_loss',
  RequestBodyTooLarge: 'invalid_argument',
};

/** Objects as the blobs of a container: whole once `put` resolves, with a checksum that Azure verifies; above `blockBytes` they go up in blocks. */
export class BlobObjectStore extends BucketObjectStore {
  static async open(config: BlobObjectStoreConfig): Promise<BlobObjectStore> {
    const { container, prefix, timeoutMs } = config;
    return new BlobObjectStore({
      ...{ name: `container ${container}`, prefix, timeoutMs },
      codeOf: (error) => (error instanceof ChecksumMismatch ? 'data_loss' : codeOfAzureError(error, CODES)),
      calls: await openContainer(config),
    });
  }
}
