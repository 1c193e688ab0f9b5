import { z } from 'zod';
import { inClearOnThisHostAlone, postgresConnectionShape } from '../connection-config.ts';

export const postgresAlarmJournalConfigSchema = z
  .strictObject(postgresConnectionShape)
  .refine(...inClearOnThisHostAlone);

export type PostgresAlarmJournalConfig = z.infer<typeof postgresAlarmJournalConfigSchema>;
