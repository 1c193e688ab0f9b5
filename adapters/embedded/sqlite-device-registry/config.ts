import { z } from 'zod';
import { reservedIdsSchema } from '#adapters/sql/reserved-device-ids.ts';

export const sqliteDeviceRegistryConfigSchema = z.object({
  /** The SQLite file; other registries may share it. */
  databasePath: z.string().min(1),
  /** How soon other processes' changes are noticed. */
  changePollMs: z.int().min(10).default(200),
  maxDevices: z.int().min(1).default(100_000),
  maxMachinesPerDevice: z.int().min(1).default(1000),
  reservedIds: reservedIdsSchema,
});

export type SqliteDeviceRegistryConfig = z.infer<typeof sqliteDeviceRegistryConfigSchema>;
