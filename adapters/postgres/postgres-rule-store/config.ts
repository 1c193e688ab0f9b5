import { z } from 'zod';
import { inClearOnThisHostAlone, postgresConnectionShape } from '../connection-config.ts';

export const postgresRuleStoreConfigSchema = z
  .strictObject({
    ...postgresConnectionShape,
    maxRulesPerTenant: z.int().min(1).default(10_000),
  })
  .refine(...inClearOnThisHostAlone);

export type PostgresRuleStoreConfig = z.infer<typeof postgresRuleStoreConfigSchema>;
