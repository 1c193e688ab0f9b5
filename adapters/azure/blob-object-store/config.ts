import { z } from 'zod';
import { BLOB_PLACE_ERROR, blobPlaceShape, containerName, isOneBlobPlace } from '../blob-place.ts';

/** Where objects are the blobs of a container of Azure Blob Storage. Credentials come from DefaultAzureCredential alone: a managed identity in production. */
export const blobObjectStoreConfigSchema = z
  .strictObject({
    ...blobPlaceShape,
    container: containerName,
    /** Begin of all keys in the container, where it is not Tribo's alone; ends in `/`. */
    prefix: z
      .string()
      .regex(/^([A-Za-z0-9_.=+@-]+\/)*$/)
      .default(''),
    /** An object above this goes up in blocks of it, at most 50,000; below, in one request. */
    blockBytes: z.int().min(1_048_576).max(268_435_456).default(67_108_864),
    /** How long one call may take. */
    timeoutMs: z.int().min(100).max(300_000).default(30_000),
  })
  .refine(isOneBlobPlace, BLOB_PLACE_ERROR);

export type BlobObjectStoreConfig = z.infer<typeof blobObjectStoreConfigSchema>;
