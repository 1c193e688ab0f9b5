import { sql, type Selectable } from 'kysely';
import { planTransitions } from '#core/alerting/plan-transitions.ts';
import type { Clock } from '#core/clock.ts';
import type { Alarm, AlarmState, AlarmTransition, JournalEntry } from '#core/domain/alarm.ts';
import type { AlarmId, MachineKey, TenantId } from '#core/domain/ids.ts';
import { ALARM_PRIORITIES } from '#core/domain/rule.ts';
import { PortError, type CallOptions } from '#core/errors.ts';
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
import type { Movable, MovablePort } from '#core/moving/movable.ts';
import { abortable } from './abortable.ts';
import { AlarmRecording } from './alarm-recording.ts';
import { alarmTables, JOURNAL_LOCK, movedAlarmTables, type AlarmSchema, type JournalRow } from './alarm-tables.ts';
import { AnnouncedTable } from './announced-table.ts';
import { MovableTables } from './movable-tables.ts';
import { OutboxTable } from './outbox-table.ts';
import type { SqlDatabase } from './sql-database.ts';

/** The alarm journal, its alarms, its outbox and what else it tells of in one database, so that one transaction holds them together. */
export class SqlAlarmJournal implements AlarmJournal, AlarmOutbox, Announcements, MovablePort, AsyncDisposable {
  readonly movable: Movable;
  readonly #database: SqlDatabase<AlarmSchema>;
  readonly #relaxed: SqlDatabase<AlarmSchema>;
  readonly #clock: Clock;
  readonly #recording = new AlarmRecording();
  readonly #outbox: OutboxTable;
  readonly #announced: AnnouncedTable;

  /** `relaxed` is the same tables where a commit does not wait for the disk. */
  constructor(database: SqlDatabase<AlarmSchema>, relaxed: SqlDatabase<AlarmSchema>, clock: Clock) {
    this.#database = database;
    this.#relaxed = relaxed;
    this.#clock = clock;
    this.movable = new MovableTables(database, alarmTables, movedAlarmTables);
    this.#outbox = new OutboxTable(database, relaxed);
    this.#announced = new AnnouncedTable(database);
  }

  async record(
    transitions: readonly AlarmTransition[],
    { signal, ...options }: CallOptions & RecordOptions = {},
  ): Promise<readonly RecordedTransition[]> {
    return abortable(signal, async () => {
      if (transitions.length === 0) return [];
      const { results } = await this.#database.write(
        JOURNAL_LOCK,
        async (db) => {
          const knowledge = await this.#recording.knowledgeFor(db, transitions);
          const plan = planTransitions(transitions, knowledge, { ...options, nowMs: this.#clock.nowMs() });
          await this.#recording.write(db, plan);
          return plan;
        },
        ({ entries }) => entries.length > 0,
      );
      return results;
    });
  }

  async alarm(tenant: TenantId, id: AlarmId, { signal }: CallOptions = {}): Promise<Alarm | undefined> {
    return abortable(signal, async () => {
      const row = await this.#database.kysely
        .selectFrom('alarm')
        .select('document')
        .where('id', '=', id)
        .where('tenant', '=', tenant)
        .executeTakeFirst();
      return row && toAlarm(row);
    });
  }

  async list(query: AlarmQuery, { signal }: CallOptions = {}): Promise<readonly Alarm[]> {
    return abortable(signal, async () => {
      requireLimit(query.limit, 1000);
      if (query.states?.length === 0 || query.priorities?.length === 0) return [];
      let select = this.#database.kysely
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
        const raisedAtMs = Math.floor(after.raisedAtMs);
        select = select.where((row) =>
          row.or([
            row('raised_at_ms', '<', raisedAtMs),
            row.and([row('raised_at_ms', '=', raisedAtMs), row('id', '>', after.id)]),
          ]),
        );
      }
      return (await select.execute()).map(toAlarm);
    });
  }

  async journal(
    alarmId: AlarmId,
    page: { readonly afterSequence: number; readonly limit: number },
    { signal }: CallOptions = {},
  ): Promise<readonly JournalEntry[]> {
    return abortable(signal, async () => {
      requireLimit(page.limit, 10_000);
      const rows = await this.#database.kysely
        .selectFrom('journal_entry')
        .selectAll()
        .where('alarm_id', '=', alarmId)
        .where('sequence', '>', page.afterSequence)
        .orderBy('sequence')
        .limit(page.limit)
        .execute();
      return rows.map(toEntry);
    });
  }

  async entries(query: EntryQuery, { signal }: CallOptions = {}): Promise<EntryPage> {
    return abortable(signal, async () => {
      requireLimit(query.limit, 10_000);
      const after = query.after === undefined ? await this.#positionBefore(query) : Number(query.after);
      const rows = await this.#database.kysely
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
    });
  }

  /** Where the entries of the period begin, so that a long journal is not read from its beginning. */
  async #positionBefore({ tenant, fromMs, toMs }: EntryQuery): Promise<number> {
    const { first } = await this.#database.kysely
      .selectFrom('journal_entry')
      .select((row) => row.fn.min<number | null>('position').as('first'))
      .where('tenant', '=', tenant)
      .where('recorded_at_ms', '>=', fromMs)
      .where('recorded_at_ms', '<', toMs)
      .executeTakeFirstOrThrow();
    return first === null ? Number.MAX_SAFE_INTEGER : first - 1;
  }

  async openCounts(tenant: TenantId, { signal }: CallOptions = {}): Promise<ReadonlyMap<MachineKey, OpenCount>> {
    return abortable(signal, async () => {
      const rows = await this.#database.kysely
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
    });
  }

  async activeAlarms(
    page: { readonly after?: AlarmId; readonly limit: number },
    { signal }: CallOptions = {},
  ): Promise<readonly Alarm[]> {
    return abortable(signal, async () => {
      const rows = await this.#database.kysely
        .selectFrom('alarm')
        .select('document')
        .where(sql<boolean>`active = 1`)
        .where('id', '>', page.after ?? '')
        .orderBy('id')
        .limit(page.limit)
        .execute();
      return rows.map(toAlarm);
    });
  }

  async dueShelvings(nowMs: number, limit: number, { signal }: CallOptions = {}): Promise<readonly Alarm[]> {
    return abortable(signal, async () => {
      const rows = await this.#database.kysely
        .selectFrom('alarm')
        .select('document')
        .where('shelved_until_ms', '<=', nowMs)
        .orderBy('shelved_until_ms')
        .limit(limit)
        .execute();
      return rows.map(toAlarm);
    });
  }

  async pendingMessages(query: OutboxQuery, { signal }: CallOptions = {}): Promise<readonly OutboxMessage[]> {
    return abortable(signal, async () => {
      return this.#outbox.pending(query);
    });
  }

  async markDelivered(ids: readonly string[], { signal }: CallOptions = {}): Promise<void> {
    return abortable(signal, async () => {
      await this.#outbox.delivered(ids);
    });
  }

  async markFailed(
    id: string,
    failure: { readonly code: string; readonly detail: string; readonly dueAtMs?: number },
    { signal }: CallOptions = {},
  ): Promise<void> {
    return abortable(signal, async () => {
      await this.#outbox.failed(id, failure, this.#clock.nowMs());
    });
  }

  async deadMessages(query: DeadMessageQuery, { signal }: CallOptions = {}): Promise<readonly OutboxMessage[]> {
    return abortable(signal, async () => {
      requireLimit(query.limit, 1000);
      return this.#outbox.dead(query);
    });
  }

  async retryDead(id: string, { signal }: CallOptions = {}): Promise<void> {
    return abortable(signal, async () => {
      await this.#outbox.retry(id, this.#clock.nowMs());
    });
  }

  async outboxCounts({ signal }: CallOptions = {}): Promise<ReadonlyMap<string, OutboxCount>> {
    return abortable(signal, async () => {
      return this.#outbox.counts();
    });
  }

  async announce(
    announcements: readonly Announcement[],
    { notify = [], signal }: CallOptions & { readonly notify?: readonly string[] } = {},
  ): Promise<void> {
    return abortable(signal, async () => {
      if (announcements.length === 0) return;
      await this.#announced.add(announcements, notify, this.#clock.nowMs());
    });
  }

  async announced(subject: string, { signal }: CallOptions = {}): Promise<Announcement | undefined> {
    return abortable(signal, async () => {
      return this.#announced.one(subject);
    });
  }

  async listAnnounced(
    { kind, after = '', limit }: { readonly kind: Announced['kind']; readonly after?: string; readonly limit: number },
    { signal }: CallOptions = {},
  ): Promise<readonly Announcement[]> {
    return abortable(signal, async () => {
      requireLimit(limit, 10_000);
      return this.#announced.list(kind, after, limit);
    });
  }

  async forgetAnnounced(subjects: readonly string[], { signal }: CallOptions = {}): Promise<void> {
    return abortable(signal, async () => {
      await this.#announced.forget(subjects);
    });
  }

  onChange(listener: () => void): () => void {
    return this.#database.onChange(listener);
  }

  async close(): Promise<void> {
    await this.#relaxed.close();
    await this.#database.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function toAlarm({ document }: { readonly document: string }): Alarm {
  return JSON.parse(document) as Alarm;
}

function toEntry(row: Selectable<JournalRow>): JournalEntry {
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
