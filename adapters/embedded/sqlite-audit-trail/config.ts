import { z } from 'zod';

export const sqliteAuditTrailConfigSchema = z.object({
  /** The SQLite file; other stores may share it. */
  databasePath: z.string().min(1),
  /** Of all tenants; the oldest above it are forgotten. */
  maxEntries: z.int().min(1).default(1_000_000),
});

export type SqliteAuditTrailConfig = z.infer<typeof sqliteAuditTrailConfigSchema>;
