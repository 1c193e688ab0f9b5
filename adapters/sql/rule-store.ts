import { sql, type Transaction } from 'kysely';
import type { Clock } from '#core/clock.ts';
import type { RuleId, TenantId } from '#core/domain/ids.ts';
import { parseRule, type Rule, type VersionedRule } from '#core/domain/rule.ts';
import { PortError, type CallOptions } from '#core/errors.ts';
import type { RuleHistoryEntry, RuleListQuery, RuleStore } from '#core/ports/rule-store.ts';
import type { Movable, MovablePort } from '#core/moving/movable.ts';
import { abortable } from './abortable.ts';
import type { Migration } from './migrate.ts';
import { MovableTables, type MovedTable } from './movable-tables.ts';
import type { SqlDatabase } from './sql-database.ts';

export interface RuleSchema {
  /** The newest version of each rule, deleted ones included. */
  rule: { tenant: string; id: string; version: number; deleted: number };
  rule_version: {
    tenant: string;
    id: string;
    version: number;
    at_ms: number;
    by_whom: string;
    /** Null where the rule was deleted. */
    document: string | null;
  };
}

const migrations: readonly Migration[] = [
  {
    version: 1,
    up: async (db, { text }) => {
      await sql`create table rule (
        tenant ${text} not null, id ${text} not null, version integer not null, deleted integer not null,
        primary key (tenant, id))`.execute(db);
      await sql`create table rule_version (
        tenant ${text} not null, id ${text} not null, version integer not null, at_ms bigint not null,
        by_whom ${text} not null, document ${text}, primary key (tenant, id, version))`.execute(db);
    },
  },
];

export const ruleTables = { component: 'rule-store', migrations } as const;

const MOVED: readonly MovedTable[] = [
  { name: 'rule', columns: ['tenant', 'id', 'version', 'deleted'], order: ['tenant', 'id'] },
  {
    name: 'rule_version',
    columns: ['tenant', 'id', 'version', 'at_ms', 'by_whom', 'document'],
    order: ['tenant', 'id', 'version'],
  },
];

type Change = { readonly by: string; readonly expectedVersion?: number };

/** Rules and their whole history in a database that several processes may open. */
export class SqlRuleStore implements RuleStore, MovablePort, AsyncDisposable {
  readonly movable: Movable;
  readonly #database: SqlDatabase<RuleSchema>;
  readonly #clock: Clock;
  readonly #maxRulesPerTenant: number;

  constructor(database: SqlDatabase<RuleSchema>, clock: Clock, maxRulesPerTenant: number) {
    this.#database = database;
    this.movable = new MovableTables(database, ruleTables, MOVED);
    this.#clock = clock;
    this.#maxRulesPerTenant = maxRulesPerTenant;
  }

  async list({ tenant, after, limit }: RuleListQuery, { signal }: CallOptions = {}): Promise<readonly VersionedRule[]> {
    return abortable(signal, async () => {
      let select = this.#current().orderBy('rule.tenant').orderBy('rule.id').limit(limit);
      if (tenant !== undefined) select = select.where('rule.tenant', '=', tenant);
      if (after) {
        select = select.where((row) =>
          row.or([
            row('rule.tenant', '>', after.tenant),
            row.and([row('rule.tenant', '=', after.tenant), row('rule.id', '>', after.id)]),
          ]),
        );
      }
      return (await select.execute()).map(toVersionedRule);
    });
  }

  async get(tenant: TenantId, id: RuleId, { signal }: CallOptions = {}): Promise<VersionedRule | undefined> {
    return abortable(signal, async () => {
      const row = await this.#current().where('rule.tenant', '=', tenant).where('rule.id', '=', id).executeTakeFirst();
      return row && toVersionedRule(row);
    });
  }

  async put(tenant: TenantId, rule: Rule, change: Change, { signal }: CallOptions = {}): Promise<VersionedRule> {
    return abortable(signal, async () => {
      const parsed = parseRule(rule);
      if (!parsed.ok) {
        const { pointer, detail } = parsed.problems[0] ?? { pointer: '', detail: 'it is no rule' };
        throw new PortError('invalid_argument', `${pointer || 'the rule'}: ${detail}`);
      }
      return this.#database.write(tenant, async (db) => {
        const { version, deleted } = await this.#requireVersion(db, tenant, rule.id, change.expectedVersion);
        if (deleted) await this.#requireRoom(db, tenant);
        return this.#append(db, tenant, rule.id, version + 1, change.by, parsed.rule);
      });
    });
  }

  async delete(tenant: TenantId, id: RuleId, change: Change, { signal }: CallOptions = {}): Promise<void> {
    return abortable(signal, async () => {
      await this.#database.write(tenant, async (db) => {
        const { version, deleted } = await this.#requireVersion(db, tenant, id, change.expectedVersion);
        if (deleted) throw new PortError('not_found', `there is no rule ${id}`);
        await this.#append(db, tenant, id, version + 1, change.by, undefined);
      });
    });
  }

  async history(
    tenant: TenantId,
    id: RuleId,
    { before, limit }: { readonly before?: number; readonly limit: number },
    { signal }: CallOptions = {},
  ): Promise<readonly RuleHistoryEntry[]> {
    return abortable(signal, async () => {
      let select = this.#database.kysely
        .selectFrom('rule_version')
        .selectAll()
        .where('tenant', '=', tenant)
        .where('id', '=', id)
        .orderBy('version', 'desc')
        .limit(limit);
      if (before !== undefined) select = select.where('version', '<', before);
      return (await select.execute()).map(({ version, at_ms, by_whom, document }) => ({
        version,
        atMs: at_ms,
        by: by_whom,
        ...(document === null ? {} : { rule: JSON.parse(document) as Rule }),
      }));
    });
  }

  onChange(listener: () => void): () => void {
    return this.#database.onChange(listener);
  }

  async close(): Promise<void> {
    await this.#database.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #current() {
    return this.#database.kysely
      .selectFrom('rule')
      .innerJoin('rule_version', (join) =>
        join
          .onRef('rule_version.tenant', '=', 'rule.tenant')
          .onRef('rule_version.id', '=', 'rule.id')
          .onRef('rule_version.version', '=', 'rule.version'),
      )
      .select(['rule.tenant', 'rule.version', 'at_ms', 'by_whom', 'document'])
      .where('rule.deleted', '=', 0);
  }

  async #requireVersion(db: Transaction<RuleSchema>, tenant: TenantId, id: string, expected: number | undefined) {
    const row = await db
      .selectFrom('rule')
      .select(['version', 'deleted'])
      .where('tenant', '=', tenant)
      .where('id', '=', id)
      .executeTakeFirst();
    const deleted = !row || row.deleted === 1;
    const present = deleted ? 0 : row.version;
    if (expected !== undefined && expected !== present) {
      throw new PortError('failed_precondition', `rule ${id} has version ${present}, not ${expected}; read it again`);
    }
    return { version: row?.version ?? 0, deleted };
  }

  async #requireRoom(db: Transaction<RuleSchema>, tenant: TenantId): Promise<void> {
    const { count } = await db
      .selectFrom('rule')
      .select((row) => row.fn.countAll<number>().as('count'))
      .where('tenant', '=', tenant)
      .where('deleted', '=', 0)
      .executeTakeFirstOrThrow();
    if (count >= this.#maxRulesPerTenant) {
      throw new PortError('resource_exhausted', `there are ${this.#maxRulesPerTenant} rules already`);
    }
  }

  async #append<Content extends Rule | undefined>(
    db: Transaction<RuleSchema>,
    tenant: TenantId,
    id: string,
    version: number,
    by: string,
    rule: Content,
  ) {
    const deleted = rule ? 0 : 1;
    const updatedAtMs = this.#clock.nowMs();
    await db
      .insertInto('rule')
      .values({ tenant, id, version, deleted })
      .onConflict((conflict) => conflict.columns(['tenant', 'id']).doUpdateSet({ version, deleted }))
      .execute();
    const document = rule ? JSON.stringify(rule) : null;
    await db
      .insertInto('rule_version')
      .values({ tenant, id, version, at_ms: updatedAtMs, by_whom: by, document })
      .execute();
    return { tenant, rule, version, updatedAtMs, updatedBy: by };
  }
}

interface CurrentRow {
  readonly tenant: string;
  readonly version: number;
  readonly at_ms: number;
  readonly by_whom: string;
  readonly document: string | null;
}

function toVersionedRule({ tenant, version, at_ms, by_whom, document }: CurrentRow): VersionedRule {
  if (document === null) throw new PortError('data_loss', `a rule of ${tenant} is current and has no content`);
  return {
    tenant: tenant as TenantId,
    rule: JSON.parse(document) as Rule,
    version,
    updatedAtMs: at_ms,
    updatedBy: by_whom,
  };
}
