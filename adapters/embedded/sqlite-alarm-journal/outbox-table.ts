import { sql } from 'kysely';
import type { SqliteFile } from '#adapters/sql/sqlite-file.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';
import type {
  AlarmNotice,
  DeadMessageQuery,
  OutboxCount,
  OutboxMessage,
  OutboxQuery,
} from '#core/ports/alarm-journal.ts';
import type { AlarmSchema, OutboxRow } from './schema.ts';

/** Later than any time there is. */
const NEVER_MS = Number.MAX_SAFE_INTEGER;

/** Reads and settles the outbox rows that recording wrote. */
export class OutboxTable {
  readonly #file: SqliteFile<AlarmSchema>;

  constructor(file: SqliteFile<AlarmSchema>) {
    this.#file = file;
  }

  async pending({
    destination,
    nowMs,
    longestDelayMs = Infinity,
    limit,
  }: OutboxQuery): Promise<readonly OutboxMessage[]> {
    const rows = await this.#file.kysely
      .selectFrom('outbox')
      .selectAll()
      .where('destination', '=', destination)
      .where('dead_at_ms', 'is', null)
      .where((row) =>
        row.or([row('due_at_ms', '<=', nowMs), row('due_at_ms', '>', Math.min(nowMs + longestDelayMs, NEVER_MS))]),
      )
      .orderBy('position')
      .limit(limit)
      .execute();
    return rows.map(toMessage);
  }

  async delivered(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    await this.#file.kysely.deleteFrom('outbox').where('id', 'in', ids).execute();
  }

  async failed(
    id: string,
    failure: { readonly code: string; readonly detail: string; readonly dueAtMs?: number },
    nowMs: number,
  ): Promise<void> {
    await this.#file.kysely
      .updateTable('outbox')
      .set((row) => ({
        attempts: row('attempts', '+', 1),
        error_code: failure.code,
        error_detail: failure.detail.slice(0, 500),
        due_at_ms: failure.dueAtMs ?? nowMs,
        dead_at_ms: failure.dueAtMs === undefined ? nowMs : null,
      }))
      .where('id', '=', id)
      .execute();
  }

  async dead({ tenant, after, limit }: DeadMessageQuery): Promise<readonly OutboxMessage[]> {
    let select = this.#file.kysely
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
    const { numUpdatedRows } = await this.#file.kysely
      .updateTable('outbox')
      .set({ dead_at_ms: null, attempts: 0, due_at_ms: nowMs })
      .where('id', '=', id)
      .where('dead_at_ms', 'is not', null)
      .executeTakeFirst();
    if (numUpdatedRows === 0n) throw new PortError('not_found', `there is no dead message ${id}`);
  }

  async counts(): Promise<ReadonlyMap<string, OutboxCount>> {
    const rows = await this.#file.kysely
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
}

function toMessage(row: OutboxRow): OutboxMessage {
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
