import { sql, type Generated } from 'kysely';
import type { TenantId } from '#core/domain/ids.ts';
import { PortError, type CallOptions } from '#core/errors.ts';
import {
  MAX_AUDIT_SUMMARY,
  type AuditAttempt,
  type AuditEntry,
  type AuditQuery,
  type AuditResult,
  type AuditTrail,
} from '#core/ports/audit-trail.ts';
import type { Movable, MovablePort } from '#core/moving/movable.ts';
import { abortable } from './abortable.ts';
import type { Migration } from './migrate.ts';
import { MovableTables, type MovedTable } from './movable-tables.ts';
import type { SqlDatabase } from './sql-database.ts';

interface EntryRow {
  id: Generated<number>;
  tenant: string;
  at_ms: number;
  actor: string;
  action: string;
  target: string;
  before_json: string | null;
  /** Null until it is known. */
  outcome: AuditResult['outcome'] | null;
  reason: string | null;
  after_json: string | null;
}

export interface AuditSchema {
  audit_entry: EntryRow;
}

const migrations: readonly Migration[] = [
  {
    version: 1,
    up: async (db, { text, lastingRowId }) => {
      await sql`create table audit_entry (
        id ${lastingRowId}, tenant ${text} not null, at_ms bigint not null, actor ${text} not null,
        action ${text} not null, target ${text} not null, before_json ${text}, outcome ${text}, reason ${text},
        after_json ${text})`.execute(db);
      await sql`create index audit_entry_of_tenant on audit_entry (tenant, id)`.execute(db);
    },
  },
];

export const auditTables = { component: 'audit-trail', migrations } as const;

const MOVED: readonly MovedTable[] = [
  {
    name: 'audit_entry',
    columns: ['tenant', 'at_ms', 'actor', 'action', 'target', 'before_json', 'outcome', 'reason', 'after_json'],
    // Numbered anew, in the same order.
    order: ['id'],
  },
];

/** Entries in a database that several processes may open. */
export class SqlAuditTrail implements AuditTrail, MovablePort, AsyncDisposable {
  readonly movable: Movable;
  readonly #database: SqlDatabase<AuditSchema>;
  readonly #maxEntries: number;

  constructor(database: SqlDatabase<AuditSchema>, maxEntries: number) {
    this.#database = database;
    this.movable = new MovableTables(database, auditTables, MOVED);
    this.#maxEntries = maxEntries;
  }

  async begin(attempt: AuditAttempt, { signal }: CallOptions = {}): Promise<number> {
    return abortable(signal, async () => {
      const { tenant, atMs, actor, action, target, before } = attempt;
      requireShort(before);
      const { id } = await this.#database.kysely
        .insertInto('audit_entry')
        .values({ tenant, at_ms: atMs, actor, action, target, before_json: before ?? null })
        .returning('id')
        .executeTakeFirstOrThrow();
      return id;
    });
  }

  async finish(id: number, { outcome, reason, after }: AuditResult, { signal }: CallOptions = {}): Promise<void> {
    return abortable(signal, async () => {
      requireShort(after);
      const { numUpdatedRows } = await this.#database.kysely
        .updateTable('audit_entry')
        .set({ outcome, reason: reason ?? null, after_json: after ?? null })
        .where('id', '=', id)
        .where('outcome', 'is', null)
        .executeTakeFirst();
      if (numUpdatedRows > 0n) return;
      const found = await this.#database.kysely
        .selectFrom('audit_entry')
        .select('id')
        .where('id', '=', id)
        .executeTakeFirst();
      throw found
        ? new PortError('failed_precondition', `the outcome of audit entry ${id} is known already`)
        : new PortError('not_found', `there is no audit entry ${id}`);
    });
  }

  async list(query: AuditQuery, { signal }: CallOptions = {}): Promise<readonly AuditEntry[]> {
    return abortable(signal, async () => {
      const { tenant, actor, action, target, fromMs, toMs, before, limit } = query;
      let select = this.#database.kysely
        .selectFrom('audit_entry')
        .selectAll()
        .where('tenant', '=', tenant)
        .orderBy('id', 'desc')
        .limit(limit);
      if (actor !== undefined) select = select.where('actor', '=', actor);
      if (action !== undefined) select = select.where('action', '=', action);
      if (target !== undefined) select = select.where('target', '=', target);
      if (fromMs !== undefined) select = select.where('at_ms', '>=', fromMs);
      if (toMs !== undefined) select = select.where('at_ms', '<', toMs);
      if (before !== undefined) select = select.where('id', '<', before);
      return (await select.execute()).map(toEntry);
    });
  }

  async forget(beforeMs: number, { signal }: CallOptions = {}): Promise<number> {
    return abortable(signal, async () => {
      const { numDeletedRows } = await this.#database.kysely
        .deleteFrom('audit_entry')
        .where((row) =>
          row.or([
            row('at_ms', '<', beforeMs),
            row(
              'id',
              '<=',
              row.selectFrom('audit_entry').select('id').orderBy('id', 'desc').limit(1).offset(this.#maxEntries),
            ),
          ]),
        )
        .executeTakeFirst();
      return Number(numDeletedRows);
    });
  }

  async close(): Promise<void> {
    await this.#database.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function requireShort(summary: string | undefined): void {
  if (summary === undefined || summary.length <= MAX_AUDIT_SUMMARY) return;
  const detail = `a summary is at most ${MAX_AUDIT_SUMMARY} characters, got ${summary.length}: give its digest`;
  throw new PortError('invalid_argument', detail);
}

function toEntry(row: Omit<EntryRow, 'id'> & { readonly id: number }): AuditEntry {
  return {
    id: row.id,
    tenant: row.tenant as TenantId,
    atMs: row.at_ms,
    actor: row.actor,
    action: row.action,
    target: row.target,
    ...(row.before_json !== null && { before: row.before_json }),
    ...(row.outcome !== null && { outcome: row.outcome }),
    ...(row.reason !== null && { reason: row.reason }),
    ...(row.after_json !== null && { after: row.after_json }),
  };
}
