import { z } from 'zod';
import { inClearOnThisHostAlone, postgresConnectionShape } from '../connection-config.ts';

export const postgresModelRegistryConfigSchema = z
  .strictObject({
    ...postgresConnectionShape,
    maxVersionsPerModel: z.int().min(1).default(1000),
  })
  .refine(...inClearOnThisHostAlone);

export type PostgresModelRegistryConfig = z.infer<typeof postgresModelRegistryConfigSchema>;
