import { z } from 'zod';
import { inClearOnThisHostAlone, postgresConnectionShape } from '../connection-config.ts';

export const postgresAuditTrailConfigSchema = z
  .strictObject({
    ...postgresConnectionShape,
    /** Of all tenants; the oldest above it are forgotten. */
    maxEntries: z.int().min(1).default(1_000_000),
  })
  .refine(...inClearOnThisHostAlone);

export type PostgresAuditTrailConfig = z.infer<typeof postgresAuditTrailConfigSchema>;
