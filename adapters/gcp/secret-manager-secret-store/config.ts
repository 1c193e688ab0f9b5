import { z } from 'zod';

/** Where secrets are those of Google's Secret Manager. Credentials are the application's default ones alone. */
export const secretManagerSecretStoreConfigSchema = z.strictObject({
  projectId: z.string().min(6).max(30),
  /** Begin of all names in the project, such as `tribo-akron-`. */
  prefix: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,100}$/)
    .default('tribo-'),
  /** Where new secrets are kept, such as `europe-west3`. Absent: wherever Google chooses. */
  locations: z.array(z.string().min(1)).min(1).max(10).optional(),
  /** So many versions of a secret stay readable; older ones are destroyed. At least two, as a reader may be behind by one for some minutes. */
  keepVersions: z.int().min(2).max(50).default(2),
  /** How long one call may take. */
  timeoutMs: z.int().min(100).max(300_000).default(30_000),
});

export type SecretManagerSecretStoreConfig = z.infer<typeof secretManagerSecretStoreConfigSchema>;
