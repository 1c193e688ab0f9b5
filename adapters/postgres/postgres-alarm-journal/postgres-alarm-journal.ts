import { SqlAlarmJournal } from '#adapters/sql/alarm-journal.ts';
import { alarmTables, type AlarmSchema } from '#adapters/sql/alarm-tables.ts';
import type { Clock } from '#core/clock.ts';
import { PostgresDatabase } from '../postgres-database.ts';
import type { PostgresAlarmJournalConfig } from './config.ts';

/** The alarm journal in PostgreSQL. */
export class PostgresAlarmJournal extends SqlAlarmJournal {
  static async open(connection: PostgresAlarmJournalConfig, clock: Clock): Promise<PostgresAlarmJournal> {
    const options = { connection, ...alarmTables };
    const database = await PostgresDatabase.open<AlarmSchema>(options);
    const relaxed = await PostgresDatabase.open<AlarmSchema>({ ...options, durability: 'relaxed' });
    return new PostgresAlarmJournal(database, relaxed, clock);
  }
}
