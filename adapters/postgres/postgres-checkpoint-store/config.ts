import { z } from 'zod';
import { inClearOnThisHostAlone, postgresConnectionShape } from '../connection-config.ts';

export const postgresCheckpointStoreConfigSchema = z
  .strictObject(postgresConnectionShape)
  .refine(...inClearOnThisHostAlone);

export type PostgresCheckpointStoreConfig = z.infer<typeof postgresCheckpointStoreConfigSchema>;
