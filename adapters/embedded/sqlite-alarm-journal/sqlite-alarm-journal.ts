import { sql } from 'kysely';
import { SqliteFile } from '#adapters/sql/sqlite-file.ts';
import { planTransitions } from '#core/alerting/plan-transitions.ts';
import type { Clock } from '#core/clock.ts';
import type { Alarm, AlarmState, AlarmTransition, JournalEntry } from '#core/domain/alarm.ts';
import type { AlarmId, MachineKey, TenantId } from '#core/domain/ids.ts';
import { ALARM_PRIORITIES } from '#core/domain/rule.ts';
import { PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import type {
  AlarmJournal,
  AlarmOutbox,
  AlarmQuery,
  Announcements,
  DeadMessageQuery,
  EntryPage,
  EntryQuery,
  OpenCount,
  OutboxCount,
  OutboxMessage,
  OutboxQuery,
  RecordedTransition,
  RecordOptions,
} from '#core/ports/alarm-journal.ts';
import type { Announced, Announcement } from '#core/announcing/announcement.ts';
import { AnnouncedTable } from './announced-table.ts';
import type { SqliteAlarmJournalConfig } from './config.ts';
import { JournalStatements } from './journal-statements.ts';
import { OutboxTable } from './outbox-table.ts';
import { migrations, type AlarmSchema, type JournalRow } from './schema.ts';

/** The alarm journal, its alarms, its outbox and what else it tells of in one SQLite file, so that one transaction holds them together. */
export class SqliteAlarmJournal implements AlarmJournal, AlarmOutbox, Announcements, AsyncDisposable {
  readonly #file: SqliteFile<AlarmSchema>;
  readonly #outboxFile: SqliteFile<AlarmSchema>;
  readonly #clock: Clock;
  readonly #outbox: OutboxTable;
  readonly #announced: AnnouncedTable;
  #statements: JournalStatements | undefined;

  static async open(config: SqliteAlarmJournalConfig, clock: Clock): Promise<SqliteAlarmJournal> {
    const { databasePath: path, changePollMs } = config;
    const options = { path, component: 'alarm-journal', migrations, changePollMs };
    const file = await SqliteFile.open<AlarmSchema>(options);
    // That a message was told may be forgotten in a power cut: it is told at least once. So telling waits for no disk.
    const outboxFile = await SqliteFile.open<AlarmSchema>({ ...options, durability: 'relaxed' });
    return new SqliteAlarmJournal(file, outboxFile, clock);
  }

  private constructor(file: SqliteFile<AlarmSchema>, outboxFile: SqliteFile<AlarmSchema>, clock: Clock) {
    this.#file = file;
    this.#outboxFile = outboxFile;
    this.#clock = clock;
    this.#outbox = new OutboxTable(outboxFile);
    this.#announced = new AnnouncedTable(file);
  }

  async record(
    transitions: readonly AlarmTransition[],
    { signal, ...options }: CallOptions & RecordOptions = {},
  ): Promise<readonly RecordedTransition[]> {
    throwIfAborted(signal);
    if (transitions.length === 0) return [];
    const plan = await this.#file.exclusive('write', (database) => {
      const statements = (this.#statements ??= new JournalStatements(database));
      const planned = planTransitions(transitions, statements.knowledgeFor(transitions), {
        ...options,
        nowMs: this.#clock.nowMs(),
      });
      statements.write(planned);
      return planned;
    });
    if (plan.entries.length > 0) this.#file.changed();
    return plan.results;
  }

  async alarm(tenant: TenantId, id: AlarmId, { signal }: CallOptions = {}): Promise<Alarm | undefined> {
    throwIfAborted(signal);
    const row = await this.#file.kysely
      .selectFrom('alarm')
      .select('document')
      .where('id', '=', id)
      .where('tenant', '=', tenant)
      .executeTakeFirst();
    return row && toAlarm(row);
  }

  async list(query: AlarmQuery, { signal }: CallOptions = {}): Promise<readonly Alarm[]> {
    throwIfAborted(signal);
    requireLimit(query.limit, 1000);
    let select = this.#file.kysely
      .selectFrom('alarm')
      .select('document')
      .where('tenant', '=', query.tenant)
      .orderBy('raised_at_ms', 'desc')
      .orderBy('id')
      .limit(query.limit);
    select = query.states ? select.where('state', 'in', query.states) : select.where('state', '<>', 'normal');
    if (query.site !== undefined) select = select.where('site', '=', query.site);
    if (query.machine !== undefined) select = select.where('machine', '=', query.machine);
    if (query.priorities) select = select.where('priority', 'in', query.priorities);
    if (query.fromMs !== undefined) select = select.where('raised_at_ms', '>=', query.fromMs);
    if (query.toMs !== undefined) select = select.where('raised_at_ms', '<', query.toMs);
    const { after } = query;
    if (after) {
      select = select.where((row) =>
        row.or([
          row('raised_at_ms', '<', after.raisedAtMs),
          row.and([row('raised_at_ms', '=', after.raisedAtMs), row('id', '>', after.id)]),
        ]),
      );
    }
    return (await select.execute()).map(toAlarm);
  }

  async journal(
    alarmId: AlarmId,
    page: { readonly afterSequence: number; readonly limit: number },
    { signal }: CallOptions = {},
  ): Promise<readonly JournalEntry[]> {
    throwIfAborted(signal);
    requireLimit(page.limit, 10_000);
    const rows = await this.#file.kysely
      .selectFrom('journal_entry')
      .selectAll()
      .where('alarm_id', '=', alarmId)
      .where('sequence', '>', page.afterSequence)
      .orderBy('sequence')
      .limit(page.limit)
      .execute();
    return rows.map(toEntry);
  }

  async entries(query: EntryQuery, { signal }: CallOptions = {}): Promise<EntryPage> {
    throwIfAborted(signal);
    requireLimit(query.limit, 10_000);
    const after = query.after === undefined ? await this.#positionBefore(query) : Number(query.after);
    const rows = await this.#file.kysely
      .selectFrom('journal_entry')
      .selectAll()
      .where('tenant', '=', query.tenant)
      .where('position', '>', after)
      // Not by the index on times, which would sort all of the period for each page.
      .where(sql<boolean>`+recorded_at_ms >= ${query.fromMs} and +recorded_at_ms < ${query.toMs}`)
      .orderBy('position')
      .limit(query.limit)
      .execute();
    const last = rows.at(-1);
    return {
      entries: rows.map((row) => ({ ...toEntry(row), machine: row.machine as MachineKey })),
      ...(last && { last: String(last.position) }),
      ...(last && rows.length === query.limit && { next: String(last.position) }),
    };
  }

  /** Where the entries of the period begin, so that a long journal is not read from its beginning. */
  async #positionBefore({ tenant, fromMs, toMs }: EntryQuery): Promise<number> {
    const { first } = await this.#file.kysely
      .selectFrom('journal_entry')
      .select((row) => row.fn.min<number | null>('position').as('first'))
      .where('tenant', '=', tenant)
      .where('recorded_at_ms', '>=', fromMs)
      .where('recorded_at_ms', '<', toMs)
      .executeTakeFirstOrThrow();
    return first === null ? Number.MAX_SAFE_INTEGER : first - 1;
  }

  async openCounts(tenant: TenantId, { signal }: CallOptions = {}): Promise<ReadonlyMap<MachineKey, OpenCount>> {
    throwIfAborted(signal);
    const rows = await this.#file.kysely
      .selectFrom('alarm')
      .select((row) => ['machine', 'state', 'priority', 'active', row.fn.countAll<number>().as('count')])
      .where('tenant', '=', tenant)
      .where('state', '<>', 'normal')
      .groupBy(['machine', 'state', 'priority', 'active'])
      .execute();
    const counts = new Map<MachineKey, OpenCount>();
    for (const { machine, state, priority, active, count } of rows) {
      const before = counts.get(machine as MachineKey);
      const calls = state === 'unacknowledged' || state === 'rtn-unacknowledged';
      const worst = ALARM_PRIORITIES.findLast((each) => each === priority || each === before?.worstPriority);
      counts.set(machine as MachineKey, {
        open: (before?.open ?? 0) + count,
        active: (before?.active ?? 0) + active * count,
        unacknowledged: (before?.unacknowledged ?? 0) + (calls ? count : 0),
        worstPriority: worst ?? 'low',
      });
    }
    return counts;
  }

  async activeAlarms(
    page: { readonly after?: AlarmId; readonly limit: number },
    { signal }: CallOptions = {},
  ): Promise<readonly Alarm[]> {
    throwIfAborted(signal);
    const rows = await this.#file.kysely
      .selectFrom('alarm')
      .select('document')
      .where(sql<boolean>`active = 1`)
      .where('id', '>', page.after ?? '')
      .orderBy('id')
      .limit(page.limit)
      .execute();
    return rows.map(toAlarm);
  }

  async dueShelvings(nowMs: number, limit: number, { signal }: CallOptions = {}): Promise<readonly Alarm[]> {
    throwIfAborted(signal);
    const rows = await this.#file.kysely
      .selectFrom('alarm')
      .select('document')
      .where('shelved_until_ms', '<=', nowMs)
      .orderBy('shelved_until_ms')
      .limit(limit)
      .execute();
    return rows.map(toAlarm);
  }

  async pendingMessages(query: OutboxQuery, { signal }: CallOptions = {}): Promise<readonly OutboxMessage[]> {
    throwIfAborted(signal);
    return this.#outbox.pending(query);
  }

  async markDelivered(ids: readonly string[], { signal }: CallOptions = {}): Promise<void> {
    throwIfAborted(signal);
    await this.#outbox.delivered(ids);
  }

  async markFailed(
    id: string,
    failure: { readonly code: string; readonly detail: string; readonly dueAtMs?: number },
    { signal }: CallOptions = {},
  ): Promise<void> {
    throwIfAborted(signal);
    await this.#outbox.failed(id, failure, this.#clock.nowMs());
  }

  async deadMessages(query: DeadMessageQuery, { signal }: CallOptions = {}): Promise<readonly OutboxMessage[]> {
    throwIfAborted(signal);
    requireLimit(query.limit, 1000);
    return this.#outbox.dead(query);
  }

  async retryDead(id: string, { signal }: CallOptions = {}): Promise<void> {
    throwIfAborted(signal);
    await this.#outbox.retry(id, this.#clock.nowMs());
    this.#file.changed();
  }

  async outboxCounts({ signal }: CallOptions = {}): Promise<ReadonlyMap<string, OutboxCount>> {
    throwIfAborted(signal);
    return this.#outbox.counts();
  }

  async announce(
    announcements: readonly Announcement[],
    { notify = [], signal }: CallOptions & { readonly notify?: readonly string[] } = {},
  ): Promise<void> {
    throwIfAborted(signal);
    if (announcements.length === 0) return;
    if (await this.#announced.add(announcements, notify, this.#clock.nowMs())) this.#file.changed();
  }

  async announced(subject: string, { signal }: CallOptions = {}): Promise<Announcement | undefined> {
    throwIfAborted(signal);
    return this.#announced.one(subject);
  }

  async listAnnounced(
    { kind, after = '', limit }: { readonly kind: Announced['kind']; readonly after?: string; readonly limit: number },
    { signal }: CallOptions = {},
  ): Promise<readonly Announcement[]> {
    throwIfAborted(signal);
    requireLimit(limit, 10_000);
    return this.#announced.list(kind, after, limit);
  }

  async forgetAnnounced(subjects: readonly string[], { signal }: CallOptions = {}): Promise<void> {
    throwIfAborted(signal);
    await this.#announced.forget(subjects);
  }

  onChange(listener: () => void): () => void {
    return this.#file.onChange(listener);
  }

  async close(): Promise<void> {
    await this.#outboxFile.close();
    await this.#file.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function toAlarm({ document }: { readonly document: string }): Alarm {
  return JSON.parse(document) as Alarm;
}

function toEntry(row: JournalRow): JournalEntry {
  return {
    alarmId: row.alarm_id as AlarmId,
    sequence: row.sequence,
    transition: JSON.parse(row.transition) as AlarmTransition,
    stateBefore: row.state_before as AlarmState,
    stateAfter: row.state_after as AlarmState,
    recordedAtMs: row.recorded_at_ms,
  };
}

function requireLimit(limit: number, max: number): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > max) {
    throw new PortError('invalid_argument', `limit must be 1 to ${max}, got ${limit}`);
  }
}
