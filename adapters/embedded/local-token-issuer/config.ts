import { z } from 'zod';

export const localTokenIssuerConfigSchema = z.object({
  /** The SQLite file in which issued tokens are listed. */
  databasePath: z.string().min(1),
  /** The `aud` claim of the tokens. */
  audience: z.string().min(1).default('tribo'),
  /** A new signing key is made when the newest is older. */
  keyLifetimeMs: z
    .int()
    .positive()
    .default(90 * 86_400_000),
  /** A new key is published this long before it signs, so that verifiers know it by then. */
  publishLeadMs: z.int().min(0).default(3_600_000),
  /** The longest life of a token; a retired key is published for this long after its last signature. */
  maxTokenLifetimeMs: z
    .int()
    .positive()
    .default(366 * 86_400_000),
});

export type LocalTokenIssuerConfig = z.infer<typeof localTokenIssuerConfigSchema>;
