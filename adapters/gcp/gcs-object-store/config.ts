import { z } from 'zod';

/** Where objects are those of a bucket of Google's Cloud Storage. Credentials are the application's default ones alone. */
export const gcsObjectStoreConfigSchema = z.strictObject({
  bucket: z.string().min(3).max(63),
  /** Begin of all keys in the bucket, where it is not Tribo's alone; ends in `/`. */
  prefix: z
    .string()
    .regex(/^([A-Za-z0-9_.=+@-]+\/)*$/)
    .default(''),
  /** Of a server on this machine that stands in for the service, asked without credentials. Absent: Google's own. */
  emulatorEndpoint: z.url({ protocol: /^http$/, hostname: /^(127\.0\.0\.1|localhost)$/ }).optional(),
  /** An object above this goes up by a resumable upload: nothing of it is there before the last byte. */
  resumableAboveBytes: z.int().min(1).max(104_857_600).default(8_388_608),
  /** How long one call may take. */
  timeoutMs: z.int().min(100).max(300_000).default(30_000),
});

export type GcsObjectStoreConfig = z.infer<typeof gcsObjectStoreConfigSchema>;
