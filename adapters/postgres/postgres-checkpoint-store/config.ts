import { z } from 'zod';
import { postgresConnectionShape } from '../connection-config.ts';

export const postgresCheckpointStoreConfigSchema = z.strictObject(postgresConnectionShape);

export type PostgresCheckpointStoreConfig = z.infer<typeof postgresCheckpointStoreConfigSchema>;
