import { z } from 'zod';
import { awsPlaceShape } from '../aws-place.ts';

/** Where secrets are SecureString parameters of Systems Manager's Parameter Store. */
export const ssmSecretStoreConfigSchema = z.strictObject({
  ...awsPlaceShape,
  /** Begin of all names in the account, such as `/tribo/akron/`; begins and ends in `/`. */
  prefix: z
    .string()
    .max(900)
    .regex(/^(\/[A-Za-z0-9_.-]+){1,14}\/$/)
    .refine((prefix) => !/^\/(aws|ssm)/i.test(prefix), {
      error: 'must not begin with /aws or /ssm, which AWS keeps for itself',
    }),
  /** The key of KMS that values are encrypted with. Absent: the account's own, `alias/aws/ssm`. */
  kmsKeyId: z.string().min(1).optional(),
  /** Standard parameters are free and hold 4 KiB, advanced ones are paid and hold 8 KiB; by default only what needs it is advanced. */
  tier: z.enum(['Standard', 'Advanced', 'Intelligent-Tiering']).default('Intelligent-Tiering'),
});

export type SsmSecretStoreConfig = z.infer<typeof ssmSecretStoreConfigSchema>;
