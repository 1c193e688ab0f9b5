import { z } from 'zod';

/** Where objects are the blobs of a container of Azure Blob Storage. Credentials come from DefaultAzureCredential alone: a managed identity in production. */
export const blobObjectStoreConfigSchema = z
  .strictObject({
    /** Of the storage account, such as `https://akronplant.blob.core.windows.net`. */
    accountUrl: z.url({ protocol: /^https$/ }).optional(),
    /** Instead of it, for the development emulator alone: its connection string, which must name an endpoint on this machine. */
    emulatorConnectionString: z
      .string()
      .regex(/(^|;)BlobEndpoint=http:\/\/(127\.0\.0\.1|localhost)[:/]/, {
        error: 'must name a BlobEndpoint on this machine: a key of an Azure account is no setting',
      })
      .optional(),
    container: z.string().regex(/^[a-z0-9](-?[a-z0-9]){2,62}$/),
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
  .refine((config) => (config.accountUrl === undefined) !== (config.emulatorConnectionString === undefined), {
    error: 'give accountUrl (or, for the development emulator, emulatorConnectionString), and not both',
    path: ['accountUrl'],
  });

export type BlobObjectStoreConfig = z.infer<typeof blobObjectStoreConfigSchema>;
