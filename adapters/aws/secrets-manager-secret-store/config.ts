import { z } from 'zod';
import { awsPlaceShape } from '../aws-place.ts';

/** Where secrets are those of AWS Secrets Manager. */
export const secretsManagerSecretStoreConfigSchema = z.strictObject({
  ...awsPlaceShape,
  /** Begin of all names in the account, such as `tribo/akron/`; ends in `/`. */
  prefix: z.string().regex(/^([A-Za-z0-9_.-]+\/)+$/),
  /** The key of KMS that new secrets are encrypted with. Absent: the account's own for Secrets Manager. */
  kmsKeyId: z.string().min(1).optional(),
  /** For so many days a deleted secret can be restored by an operator, or by a put; 0: not at all. */
  recoveryDays: z.union([z.literal(0), z.int().min(7).max(30)]).default(7),
});

export type SecretsManagerSecretStoreConfig = z.infer<typeof secretsManagerSecretStoreConfigSchema>;
