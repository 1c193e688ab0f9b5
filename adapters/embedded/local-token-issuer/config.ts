import { z } from 'zod';
import { tokenIssuerShape } from '#adapters/token-issuer-config.ts';

export const localTokenIssuerConfigSchema = z.object({
  /** The SQLite file in which issued tokens are listed. */
  databasePath: z.string().min(1),
  ...tokenIssuerShape,
});

export type LocalTokenIssuerConfig = z.infer<typeof localTokenIssuerConfigSchema>;
