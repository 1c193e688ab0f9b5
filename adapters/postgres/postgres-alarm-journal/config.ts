import { z } from 'zod';
import { postgresConnectionShape } from '../connection-config.ts';

export const postgresAlarmJournalConfigSchema = z.strictObject(postgresConnectionShape);

export type PostgresAlarmJournalConfig = z.infer<typeof postgresAlarmJournalConfigSchema>;
