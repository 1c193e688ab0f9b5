import { sql, type Selectable, type Transaction } from 'kysely';
import type { MachineKey } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';
import type {
  AlarmNotice,
  DeadMessageQuery,
  OutboxCount,
  OutboxMessage,
  OutboxQuery,
} from '#core/ports/alarm-journal.ts';
import { JOURNAL_LOCK, type AlarmSchema, type OutboxRow } from './alarm-tables.ts';
import { chunks } from './chunks.ts';
import { CompiledOnce } from './compiled-once.ts';
import type { SqlDatabase } from './sql-database.ts';

/** Later than any time there is. */
const NEVER_MS = Number.MAX_SAFE_INTEGER;

/** Reads and settles the outbox rows that recording wrote. */
export class OutboxTable {
  readonly #database: SqlDatabase<AlarmSchema>;
  readonly #relaxed: SqlDatabase<AlarmSchema>;
  readonly #statements = new CompiledOnce<AlarmSchema>();

  /**
   * `relaxed` is the same tables where a commit does not wait for the disk: that a message was told may be forgotten in a power cut, as it is
   * told at least once.
   */
  constructor(database: SqlDatabase<AlarmSchema>, relaxed: SqlDatabase<AlarmSchema>) {
    this.#database = database;
    this.#relaxed = relaxed;
  }

  async pending({
    destination,
    nowMs,
    longestDelayMs = Infinity,
    limit,
  }: OutboxQuery): Promise<readonly OutboxMessage[]> {
    const latestMs = Math.floor(Math.min(nowMs + longestDelayMs, NEVER_MS));
    const rows = await this.#relaxed.kysely
      .selectFrom('outbox')
      .selectAll()
      .where('destination', '=', destination)
      .where('dead_at_ms', 'is', null)
      .where((row) => row.or([row('due_at_ms', '<=', Math.floor(nowMs)), row('due_at_ms', '>', latestMs)]))
      .orderBy('position')
      .limit(limit)
      .execute();
    return rows.map(toMessage);
  }

  async delivered(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    await this.#settle(async (db) => {
      for (const some of chunks(ids)) {
        const shape = { name: 'delivered', rows: some.length, parameters: [...some] };
        await this.#statements.execute(db, shape, () => db.deleteFrom('outbox').where('id', 'in', some));
      }
    });
  }

  async failed(
    id: string,
    failure: { readonly code: string; readonly detail: string; readonly dueAtMs?: number },
    nowMs: number,
  ): Promise<void> {
    await this.#settle((db) =>
      db
        .updateTable('outbox')
        .set((row) => ({
          attempts: row('attempts', '+', 1),
          error_code: failure.code,
          error_detail: failure.detail.slice(0, 500).replaceAll('\0', '\uFFFD'),
          due_at_ms: Math.ceil(failure.dueAtMs ?? nowMs),
          dead_at_ms: failure.dueAtMs === undefined ? nowMs : null,
        }))
        .where('id', '=', id)
        .execute(),
    );
  }

  async dead({ tenant, after, limit }: DeadMessageQuery): Promise<readonly OutboxMessage[]> {
    let select = this.#relaxed.kysely
      .selectFrom('outbox')
      .selectAll()
      .where('dead_at_ms', 'is not', null)
      .orderBy('created_at_ms', 'desc')
      .orderBy('id', 'desc')
      .limit(limit);
    // A machine's key begins with its tenant, and names hold no slash: "0" is the character after it.
    if (tenant !== undefined) select = select.where('machine', '>', `${tenant}/`).where('machine', '<', `${tenant}0`);
    if (after) {
      select = select.where((row) =>
        row.or([
          row('created_at_ms', '<', after.createdAtMs),
          row.and([row('created_at_ms', '=', after.createdAtMs), row('id', '<', after.id)]),
        ]),
      );
    }
    return (await select.execute()).map(toMessage);
  }

  async retry(id: string, nowMs: number): Promise<void> {
    const { numUpdatedRows } = await this.#database.write(
      JOURNAL_LOCK,
      (db) =>
        db
          .updateTable('outbox')
          .set({ dead_at_ms: null, attempts: 0, due_at_ms: nowMs })
          .where('id', '=', id)
          .where('dead_at_ms', 'is not', null)
          .executeTakeFirst(),
      ({ numUpdatedRows }) => numUpdatedRows > 0n,
    );
    if (numUpdatedRows === 0n) throw new PortError('not_found', `there is no dead message ${id}`);
  }

  async counts(): Promise<ReadonlyMap<string, OutboxCount>> {
    const rows = await this.#relaxed.kysely
      .selectFrom('outbox')
      .select((row) => [
        'destination',
        row.fn.countAll<number>().as('all'),
        row.fn.count<number>('dead_at_ms').as('dead'),
        sql<number | null>`min(case when dead_at_ms is null then created_at_ms end)`.as('oldest'),
      ])
      .groupBy('destination')
      .execute();
    return new Map(
      rows.map(({ destination, all, dead, oldest }) => [
        destination,
        { pending: all - dead, dead, ...(oldest === null ? {} : { oldestPendingMs: oldest }) },
      ]),
    );
  }

  #settle(work: (db: Transaction<AlarmSchema>) => Promise<unknown>): Promise<unknown> {
    return this.#relaxed.write(JOURNAL_LOCK, work, () => false);
  }
}

function toMessage(row: Selectable<OutboxRow>): OutboxMessage {
  return {
    id: row.id,
    destination: row.destination,
    machine: row.machine as MachineKey,
    attempts: row.attempts,
    dueAtMs: row.due_at_ms,
    createdAtMs: row.created_at_ms,
    notice: JSON.parse(row.notice) as AlarmNotice,
    ...(row.error_code === null ? {} : { lastError: { code: row.error_code, detail: row.error_detail ?? '' } }),
  };
}
