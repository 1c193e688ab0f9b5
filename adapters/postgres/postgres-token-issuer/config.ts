import { z } from 'zod';
import { tokenIssuerShape } from '#adapters/token-issuer-config.ts';
import { inClearOnThisHostAlone, postgresConnectionShape } from '../connection-config.ts';

export const postgresTokenIssuerConfigSchema = z
  .strictObject({ ...postgresConnectionShape, ...tokenIssuerShape })
  .refine(...inClearOnThisHostAlone);

export type PostgresTokenIssuerConfig = z.infer<typeof postgresTokenIssuerConfigSchema>;
