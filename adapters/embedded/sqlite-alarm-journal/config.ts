import { z } from 'zod';

export const sqliteAlarmJournalConfigSchema = z.object({
  /** The SQLite file; several processes may open it. */
  databasePath: z.string().min(1),
  /** How soon other processes' entries are noticed. */
  changePollMs: z.int().min(10).default(200),
});

export type SqliteAlarmJournalConfig = z.infer<typeof sqliteAlarmJournalConfigSchema>;
