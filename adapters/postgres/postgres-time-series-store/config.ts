import { z } from 'zod';
import { inClearOnThisHostAlone, postgresConnectionShape } from '../connection-config.ts';

export const postgresTimeSeriesStoreConfigSchema = z
  .strictObject({
    ...postgresConnectionShape,
    /** Readings wait at most so long for their rollups; reads count them from the rows until then. */
    rollUpAfterMs: z.int().min(0).max(600_000).default(5_000),
  })
  .refine(...inClearOnThisHostAlone);

export type PostgresTimeSeriesStoreConfig = z.infer<typeof postgresTimeSeriesStoreConfigSchema>;
