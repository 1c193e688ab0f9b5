import { z } from 'zod';
import { reservedIdsSchema } from '#adapters/sql/reserved-device-ids.ts';
import { inClearOnThisHostAlone, postgresConnectionShape } from '../connection-config.ts';

export const postgresDeviceRegistryConfigSchema = z
  .strictObject({
    ...postgresConnectionShape,
    maxDevices: z.int().min(1).default(100_000),
    maxMachinesPerDevice: z.int().min(1).default(1000),
    reservedIds: reservedIdsSchema,
  })
  .refine(...inClearOnThisHostAlone);

export type PostgresDeviceRegistryConfig = z.infer<typeof postgresDeviceRegistryConfigSchema>;
