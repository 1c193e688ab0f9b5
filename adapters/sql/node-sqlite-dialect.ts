import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CompiledQuery,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type DatabaseConnection,
  type DatabaseIntrospector,
  type Dialect,
  type DialectAdapter,
  type Driver,
  type Kysely,
  type QueryCompiler,
  type QueryResult,
  type TransactionSettings,
} from 'kysely';
import { sqlitePortError } from './sqlite-errors.ts';

/** Statements kept prepared, by their SQL; the oldest is forgotten beyond it. */
const MAX_PREPARED = 200;
const BUSY_RETRY_MS = 2;

/**
 * Kysely over Node's own SQLite: one connection, whose mutex is Kysely's. A transaction that may write begins IMMEDIATE, because a
 * deferred one that reads first cannot wait for another process's write: it fails at once. Errors come out as PortError.
 *
 * The wait for another connection's write is asynchronous: SQLite's own busy handler would block the event loop, and with it a
 * transaction of this very process that holds the lock. Give the database a `timeout` of a few milliseconds at most.
 */
export class NodeSqliteDialect implements Dialect {
  readonly #database: DatabaseSync;
  readonly #busyTimeoutMs: number;

  constructor(database: DatabaseSync, options: { readonly busyTimeoutMs: number }) {
    this.#database = database;
    this.#busyTimeoutMs = options.busyTimeoutMs;
  }

  createDriver(): Driver {
    return new NodeSqliteDriver(this.#database, this.#busyTimeoutMs);
  }

  createQueryCompiler(): QueryCompiler {
    return new SqliteQueryCompiler();
  }

  createAdapter(): DialectAdapter {
    return new SqliteAdapter();
  }

  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the signature of Kysely's own interface
  createIntrospector(db: Kysely<any>): DatabaseIntrospector {
    return new SqliteIntrospector(db);
  }
}

class NodeSqliteDriver implements Driver {
  readonly #database: DatabaseSync;
  readonly #connection: NodeSqliteConnection;

  constructor(database: DatabaseSync, busyTimeoutMs: number) {
    this.#database = database;
    this.#connection = new NodeSqliteConnection(database, busyTimeoutMs);
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    return this.#connection;
  }

  async beginTransaction(connection: DatabaseConnection, settings: TransactionSettings): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw(settings.accessMode === 'read only' ? 'begin' : 'begin immediate'));
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('commit'));
  }

  /** SQLite itself rolls back on some errors (a full disk); a second rollback would hide the first error. */
  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (this.#database.isTransaction) await connection.executeQuery(CompiledQuery.raw('rollback'));
  }

  async releaseConnection(): Promise<void> {}

  async destroy(): Promise<void> {
    this.#connection.forget();
    if (this.#database.isOpen) this.#database.close();
  }
}

class NodeSqliteConnection implements DatabaseConnection {
  readonly #database: DatabaseSync;
  readonly #busyTimeoutMs: number;
  readonly #prepared = new Map<string, StatementSync>();

  constructor(database: DatabaseSync, busyTimeoutMs: number) {
    this.#database = database;
    this.#busyTimeoutMs = busyTimeoutMs;
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    const deadlineMs = performance.now() + this.#busyTimeoutMs;
    for (;;) {
      try {
        return this.#execute(query);
      } catch (error) {
        const failure = sqlitePortError(error);
        const locked = failure.code === 'unavailable' && !this.#database.isTransaction;
        if (!locked || performance.now() > deadlineMs) throw failure;
      }
      await sleep(BUSY_RETRY_MS);
    }
  }

  #execute<Row>(query: CompiledQuery): QueryResult<Row> {
    const statement = this.#prepare(query.sql);
    const parameters = query.parameters.map(toSqlite);
    // A copy, because under a test runner Node's own array would be of another realm, and equal to none of ours.
    if (statement.columns().length > 0) return { rows: [...statement.all(...parameters)] as Row[] };
    const { changes, lastInsertRowid } = statement.run(...parameters);
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) };
  }

  async *streamQuery<Row>(query: CompiledQuery): AsyncIterableIterator<QueryResult<Row>> {
    try {
      // Not the kept statement: another query of the same text could reset it while this one is being read.
      const statement = this.#database.prepare(query.sql);
      for (const row of statement.iterate(...query.parameters.map(toSqlite))) yield { rows: [row as Row] };
    } catch (error) {
      throw sqlitePortError(error);
    }
  }

  forget(): void {
    this.#prepared.clear();
  }

  #prepare(sql: string): StatementSync {
    const kept = this.#prepared.get(sql);
    if (kept) return kept;
    const statement = this.#database.prepare(sql);
    this.#prepared.set(sql, statement);
    if (this.#prepared.size > MAX_PREPARED) {
      for (const oldest of this.#prepared.keys()) {
        this.#prepared.delete(oldest);
        break;
      }
    }
    return statement;
  }
}

function toSqlite(value: unknown): SQLInputValue {
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (value === undefined) return null;
  return value as SQLInputValue;
}
