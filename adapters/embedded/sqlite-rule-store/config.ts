import { z } from 'zod';

export const sqliteRuleStoreConfigSchema = z.object({
  /** The SQLite file; other stores may share it. */
  databasePath: z.string().min(1),
  /** How soon other processes' changes are noticed. */
  changePollMs: z.int().min(10).default(200),
  maxRulesPerTenant: z.int().min(1).default(10_000),
});

export type SqliteRuleStoreConfig = z.infer<typeof sqliteRuleStoreConfigSchema>;
