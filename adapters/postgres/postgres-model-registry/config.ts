import { z } from 'zod';
import { postgresConnectionShape } from '../connection-config.ts';

export const postgresModelRegistryConfigSchema = z.strictObject({
  ...postgresConnectionShape,
  maxVersionsPerModel: z.int().min(1).default(1000),
});

export type PostgresModelRegistryConfig = z.infer<typeof postgresModelRegistryConfigSchema>;
