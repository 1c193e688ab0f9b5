import { sql, type Transaction } from 'kysely';
import type { MachineKey } from '#core/domain/ids.ts';
import type { Announced, Announcement } from '#core/announcing/announcement.ts';
import { JOURNAL_LOCK, type AlarmSchema, type AnnouncedRow } from './alarm-tables.ts';
import type { SqlDatabase } from './sql-database.ts';

/** Ids of messages that tell of announcements begin so, and those of alarms do not: a machine's key has no colon. */
const PREFIX = 'announced:';
const AFTER_PREFIX = 'announced;';
/** Announcements among the newest so many messages are kept, delivered or not. */
const MAX_MESSAGES = 100_000;

/** What was told besides alarms, with the outbox rows that tell it. */
export class AnnouncedTable {
  readonly #database: SqlDatabase<AlarmSchema>;

  constructor(database: SqlDatabase<AlarmSchema>) {
    this.#database = database;
  }

  async add(announcements: readonly Announcement[], notify: readonly string[], nowMs: number): Promise<void> {
    const add = async (db: Transaction<AlarmSchema>): Promise<boolean> => {
      let isNew = false;
      for (const { id, subject, machine, notice } of announcements) {
        const text = JSON.stringify(notice);
        const { numAffectedRows = 0n } = await sql`insert into announced (subject, kind, id, machine, notice)
          values (${subject}, ${notice.kind}, ${id}, ${machine}, ${text})
          on conflict (subject) do update set id = excluded.id, machine = excluded.machine, notice = excluded.notice
          where announced.id <> excluded.id`.execute(db);
        if (numAffectedRows === 0n) continue;
        isNew = true;
        for (const name of notify) {
          await sql`insert into outbox (id, destination, machine, attempts, due_at_ms, created_at_ms, notice)
            values (${`${PREFIX}${id}:${name}`}, ${name}, ${machine}, 0, ${nowMs}, ${nowMs}, ${text})
            on conflict (id) do nothing`.execute(db);
        }
      }
      if (isNew) {
        await sql`delete from outbox where id > ${PREFIX} and id < ${AFTER_PREFIX}
          and position <= (select max(position) from outbox) - ${MAX_MESSAGES}`.execute(db);
      }
      return isNew;
    };
    await this.#database.write(JOURNAL_LOCK, add, (isNew) => isNew);
  }

  async one(subject: string): Promise<Announcement | undefined> {
    const row = await this.#database.kysely
      .selectFrom('announced')
      .selectAll()
      .where('subject', '=', subject)
      .executeTakeFirst();
    return row && toAnnouncement(row);
  }

  async list(kind: Announced['kind'], after: string, limit: number): Promise<readonly Announcement[]> {
    const rows = await this.#database.kysely
      .selectFrom('announced')
      .selectAll()
      .where('kind', '=', kind)
      .where('subject', '>', after)
      .orderBy('subject')
      .limit(limit)
      .execute();
    return rows.map(toAnnouncement);
  }

  async forget(subjects: readonly string[]): Promise<void> {
    if (subjects.length === 0) return;
    await this.#database.kysely.deleteFrom('announced').where('subject', 'in', subjects).execute();
  }
}

function toAnnouncement({ id, subject, machine, notice }: AnnouncedRow): Announcement {
  return { id, subject, machine: machine as MachineKey, notice: JSON.parse(notice) as Announced };
}
