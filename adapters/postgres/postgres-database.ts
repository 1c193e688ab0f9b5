import { Kysely, PostgresDialect, sql, type Transaction } from 'kysely';
import { PortError } from '#core/errors.ts';
import { migrate, type Migration } from '../sql/migrate.ts';
import type { ColumnTypes, SqlDatabase } from '../sql/sql-database.ts';
import type { PasswordProvider } from './client.ts';
import type { PostgresConnection } from './connection-config.ts';
import { kyselyPool } from './kysely-pool.ts';
import { PostgresServer } from './postgres-server.ts';

const types: ColumnTypes = {
  text: sql`text collate "C"`,
  bytes: sql`bytea`,
  rowId: sql`bigint generated always as identity primary key`,
  lastingRowId: sql`bigint generated always as identity primary key`,
};

export interface PostgresDatabaseOptions {
  readonly connection: PostgresConnection;
  /** Whose tables these are; several components share a schema. */
  readonly component: string;
  readonly migrations: readonly Migration[];
  readonly password?: PasswordProvider;
  /** `relaxed`: what {@link PostgresDatabase.write} commits may be forgotten, last first, where the server dies soon after; it waits for no disk. */
  readonly durability?: 'full' | 'relaxed';
}

/** One component's tables in a schema of a PostgreSQL database, over the connections that the process's adapters share. */
export class PostgresDatabase<Schema> implements SqlDatabase<Schema> {
  readonly #kysely: Kysely<Schema>;
  readonly #server: PostgresServer;
  readonly #topic: string;
  readonly #isRelaxed: boolean;
  #closing: Promise<void> | undefined;

  /** @throws PortError failed_precondition (newer tables, no such database), permission_denied, unavailable. */
  static async open<Schema>(options: PostgresDatabaseOptions): Promise<PostgresDatabase<Schema>> {
    const { component, migrations, durability } = options;
    const server = await PostgresServer.use(options.connection, options.password);
    const database = new PostgresDatabase<Schema>(server, component, durability === 'relaxed');
    try {
      await migrate({
        ...{ kysely: database.kysely, component, migrations, types },
        lock: async (db) => {
          await lockUntilCommit(db, 'migration');
          await makeSchema(db, server.connection.schema);
        },
      });
    } catch (error) {
      await database.close();
      throw error;
    }
    return database;
  }

  private constructor(server: PostgresServer, component: string, isRelaxed: boolean) {
    this.#server = server;
    this.#isRelaxed = isRelaxed;
    this.#topic = `${server.connection.schema}.${component}`;
    this.#kysely = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: kyselyPool(server.pool) }) });
  }

  /** @throws PortError failed_precondition once it was closed. */
  get kysely(): Kysely<Schema> {
    if (this.#closing) throw new PortError('failed_precondition', 'the database is closed');
    return this.#kysely;
  }

  async write<Result>(
    lock: string,
    work: (db: Transaction<Schema>) => Promise<Result>,
    hasChanged: (result: Result) => boolean = () => true,
  ): Promise<Result> {
    const { changes } = this.#server;
    const { result, isChanged } = await this.kysely.transaction().execute(async (db) => {
      await lockUntilCommit(db, `${this.#topic} ${lock}`);
      if (this.#isRelaxed) await sql`set local synchronous_commit = off`.execute(db);
      const result = await work(db);
      const isChanged = hasChanged(result);
      const [channel, payload] = changes.notice(this.#topic);
      if (isChanged) await sql`select pg_notify(${channel}, ${payload})`.execute(db);
      return { result, isChanged };
    });
    if (isChanged) changes.tell(this.#topic);
    return result;
  }

  onChange(listener: () => void): () => void {
    return this.#server.changes.on(this.#topic, listener);
  }

  close(): Promise<void> {
    this.#closing ??= this.#server.release();
    return this.#closing;
  }
}

/**
 * Of the transactions with this name one goes on at a time. The lock is the server's, and is given back after the commit can be seen; what follows
 * it in the transaction (read committed) sees what the one before wrote. Two names that fall on one number only wait for each other.
 */
async function lockUntilCommit<Schema>(db: Transaction<Schema>, name: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${name}, 0))`.execute(db);
}

/** Asked first, because `create schema if not exists` needs the right to make schemas even where there is one. */
async function makeSchema<Schema>(db: Transaction<Schema>, schema: string): Promise<void> {
  const { rows } = await sql`select 1 from pg_namespace where nspname = ${schema}`.execute(db);
  if (rows.length === 0) await sql`create schema ${sql.id(schema)}`.execute(db);
}
