import type { Kysely, Transaction } from 'kysely';
import { PortError } from '#core/errors.ts';
import type { ColumnTypes } from './sql-database.ts';

/** One step forward of a component's tables. Never edited once released: a later step corrects it. */
export interface Migration {
  /** Dense, from 1. */
  readonly version: number;
  /** The same step for SQLite and PostgreSQL: SQL that both know, with `types` where their columns differ. */
  up(db: Kysely<unknown>, types: ColumnTypes): Promise<void>;
}

export interface MigrationPlan<Schema> {
  readonly kysely: Kysely<Schema>;
  readonly component: string;
  readonly migrations: readonly Migration[];
  readonly types: ColumnTypes;
  /** Makes other migrations of this database wait for the end of the transaction. */
  readonly lock: (db: Transaction<SchemaVersionTable>) => Promise<void>;
}

interface SchemaVersionTable {
  tribo_schema: { component: string; version: number };
}

/**
 * Brings a component's tables to the newest version, in one transaction and under a lock, so that processes that start together do it
 * once. Several components may share a database: each has its own version.
 *
 * @throws PortError failed_precondition when the database was written by a newer release: going back is by restoring a backup.
 */
export async function migrate<Schema>({
  kysely,
  component,
  migrations,
  types,
  lock,
}: MigrationPlan<Schema>): Promise<void> {
  migrations.forEach((migration, index) => {
    if (migration.version !== index + 1) throw new RangeError(`${component}: migration ${index + 1} is missing`);
  });
  await (kysely as unknown as Kysely<SchemaVersionTable>).transaction().execute(async (db) => {
    await lock(db);
    await db.schema
      .createTable('tribo_schema')
      .ifNotExists()
      .addColumn('component', 'text', (column) => column.primaryKey())
      .addColumn('version', 'integer', (column) => column.notNull())
      .execute();
    const row = await db
      .selectFrom('tribo_schema')
      .select('version')
      .where('component', '=', component)
      .executeTakeFirst();
    const current = row?.version ?? 0;
    if (current > migrations.length) {
      throw new PortError(
        'failed_precondition',
        `the ${component} tables have version ${current}, this release knows ${migrations.length}; start the newer release or restore a backup`,
      );
    }
    if (current === migrations.length) return;
    for (const migration of migrations.slice(current)) await migration.up(db as unknown as Kysely<unknown>, types);
    await db
      .insertInto('tribo_schema')
      .values({ component, version: migrations.length })
      .onConflict((conflict) => conflict.column('component').doUpdateSet({ version: migrations.length }))
      .execute();
  });
}
