import { SqlAlarmJournal } from '#adapters/sql/alarm-journal.ts';
import { alarmTables, type AlarmSchema } from '#adapters/sql/alarm-tables.ts';
import { SqliteFile } from '#adapters/sql/sqlite-file.ts';
import type { Clock } from '#core/clock.ts';
import type { SqliteAlarmJournalConfig } from './config.ts';

/** The alarm journal in one SQLite file that several processes may open. */
export class SqliteAlarmJournal extends SqlAlarmJournal {
  static async open(config: SqliteAlarmJournalConfig, clock: Clock): Promise<SqliteAlarmJournal> {
    const { databasePath: path, changePollMs } = config;
    const options = { path, ...alarmTables, changePollMs };
    const file = await SqliteFile.open<AlarmSchema>(options);
    const relaxed = await SqliteFile.open<AlarmSchema>({ ...options, durability: 'relaxed' });
    return new SqliteAlarmJournal(file, relaxed, clock);
  }
}
