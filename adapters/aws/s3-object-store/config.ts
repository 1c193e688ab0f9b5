import { z } from 'zod';

/** Where objects are those of a bucket of S3, or of a store that speaks its protocol. Credentials come from the SDK's default chain alone. */
export const s3ObjectStoreConfigSchema = z.strictObject({
  bucket: z.string().min(3).max(63),
  region: z.string().min(1),
  /** Begin of all keys in the bucket, where it is not Tribo's alone; ends in `/`. */
  prefix: z
    .string()
    .regex(/^([A-Za-z0-9_.=+@-]+\/)*$/)
    .default(''),
  /** Of a store that speaks S3's protocol, such as MinIO. Absent: AWS's own. */
  endpoint: z.url().optional(),
  /** The bucket's name in the path instead of the host's name: most stores that are not AWS's want it so. */
  forcePathStyle: z.boolean().default(false),
  /** An object above this goes up in parts of it: at least S3's 5 MiB. */
  partBytes: z.int().min(5_242_880).max(104_857_600).default(8_388_608),
  /** How long one call may take. */
  timeoutMs: z.int().min(100).max(300_000).default(30_000),
});

export type S3ObjectStoreConfig = z.infer<typeof s3ObjectStoreConfigSchema>;
