import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Kysely, sql, type Transaction } from 'kysely';
import { PortError } from '#core/errors.ts';
import { migrate, type Migration } from './migrate.ts';
import { NodeSqliteDialect } from './node-sqlite-dialect.ts';
import type { ColumnTypes, SqlDatabase } from './sql-database.ts';
import { sqlitePortError } from './sqlite-errors.ts';

const types: ColumnTypes = {
  text: sql`text`,
  bytes: sql`blob`,
  rowId: sql`integer primary key`,
  lastingRowId: sql`integer primary key autoincrement`,
};

export interface SqliteFileOptions {
  /** Its folder is made when absent. */
  readonly path: string;
  /** Whose tables these are; several components may share a file. */
  readonly component: string;
  readonly migrations: readonly Migration[];
  /** How long a write waits for another connection's, before it fails with unavailable. */
  readonly busyTimeoutMs?: number;
  /**
   * `full`, the default: a commit is durable when it returns. `relaxed`: a commit survives the end of the process at once, and a power cut
   * only some time later, still in order; it waits for no disk.
   */
  readonly durability?: 'full' | 'relaxed';
  /** How often to look for other processes' changes, while somebody listens. */
  readonly changePollMs?: number;
}

/**
 * A SQLite file in WAL mode that several processes may open. A commit is durable when it returns, unless told otherwise
 * (`synchronous=FULL`: one fdatasync of the log). {@link onChange} reports commits of this process at once, and those of others within the polling interval.
 */
export class SqliteFile<Schema> implements SqlDatabase<Schema> {
  readonly #kysely: Kysely<Schema>;
  readonly #database: DatabaseSync;
  readonly #changePollMs: number;
  readonly #listeners = new Set<() => void>();
  #poll: NodeJS.Timeout | undefined;
  #dataVersion = 0;
  #closing: Promise<void> | undefined;

  /** @throws PortError failed_precondition (newer schema, folder not writable), data_loss (not a database), unavailable. */
  static async open<Schema>(options: SqliteFileOptions): Promise<SqliteFile<Schema>> {
    const file = new SqliteFile<Schema>(openDatabase(options), options);
    try {
      const { component, migrations } = options;
      // A transaction that may write has the file's lock from its begin.
      await migrate({ kysely: file.kysely, component, migrations, types, lock: async () => undefined });
    } catch (error) {
      await file.close();
      throw error;
    }
    return file;
  }

  private constructor(database: DatabaseSync, { busyTimeoutMs = 5000, changePollMs = 200 }: SqliteFileOptions) {
    this.#database = database;
    this.#changePollMs = changePollMs;
    this.#kysely = new Kysely<Schema>({ dialect: new NodeSqliteDialect(database, { busyTimeoutMs }) });
  }

  /** For queries. @throws PortError failed_precondition once the file was closed. */
  get kysely(): Kysely<Schema> {
    if (this.#closing) throw new PortError('failed_precondition', 'the database is closed');
    return this.#kysely;
  }

  /** All writing transactions of a file follow one another, whatever their lock. */
  async write<Result>(
    _lock: string,
    work: (db: Transaction<Schema>) => Promise<Result>,
    hasChanged: (result: Result) => boolean = () => true,
  ): Promise<Result> {
    const result = await this.kysely.transaction().execute(work);
    if (hasChanged(result)) this.changed();
    return result;
  }

  /** Calls back after any commit that {@link changed} was called for here, or that another connection made. Returns how to stop. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    if (!this.#poll && !this.#closing) {
      this.#dataVersion = this.#readDataVersion();
      this.#poll = setInterval(() => this.#notice(), this.#changePollMs);
      this.#poll.unref();
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#stopPolling();
    };
  }

  /** An adapter calls it after each commit of its own: SQLite's `data_version` tells of other connections only. */
  changed(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Waits for statements under way. Idempotent. */
  close(): Promise<void> {
    this.#stopPolling();
    this.#listeners.clear();
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#kysely.connection().execute(async () => undefined);
    await this.#kysely.destroy();
  }

  #notice(): void {
    // Inside a transaction of ours the version cannot be that of a change we could read; the next tick sees it.
    if (this.#database.isTransaction) return;
    const version = this.#readDataVersion();
    if (version === this.#dataVersion) return;
    this.#dataVersion = version;
    this.changed();
  }

  #readDataVersion(): number {
    return Number(this.#database.prepare('pragma data_version').get()?.['data_version']);
  }

  #stopPolling(): void {
    clearInterval(this.#poll);
    this.#poll = undefined;
  }
}

function openDatabase({ path, durability }: SqliteFileOptions): DatabaseSync {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    // The short wait is for locks inside SQLite (recovery, a change of journal mode); NodeSqliteDialect waits for writers.
    const database = new DatabaseSync(path, { timeout: 5 });
    const synchronous = durability === 'relaxed' ? 'normal' : 'full';
    database.exec(`pragma journal_mode=wal; pragma synchronous=${synchronous}; pragma foreign_keys=on`);
    return database;
  } catch (error) {
    throw sqlitePortError(error);
  }
}
