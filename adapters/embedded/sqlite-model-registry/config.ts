import { z } from 'zod';

export const sqliteModelRegistryConfigSchema = z.object({
  /** The SQLite file; other registries may share it. */
  databasePath: z.string().min(1),
  /** How soon other processes' changes are noticed. */
  changePollMs: z.int().min(10).default(200),
  maxVersionsPerModel: z.int().min(1).default(1000),
});

export type SqliteModelRegistryConfig = z.infer<typeof sqliteModelRegistryConfigSchema>;
