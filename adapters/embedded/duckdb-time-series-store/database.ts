import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { PortError, throwIfAborted } from '#core/errors.ts';
import { portErrorOf } from './errors.ts';
import { Mutex } from '#core/mutex.ts';
import { migrate } from './schema.ts';

/** Settings of one open database file. */
export interface DatabaseSettings {
  readonly directory: string;
  readonly memoryLimitMiB: number;
  readonly maxConcurrentQueries: number;
}

const FILE = 'timeseries.duckdb';
const CHECKPOINT_THRESHOLD = '512MiB';
/** More callers than this wait for a query's turn: a queue that grows without end would only hide that. */
const MAX_WAITING_QUERIES = 256;

/** One open DuckDB file with the connections that this store uses: one that settles, one for maintenance, a few that read. */
export class Database {
  readonly writer: DuckDBConnection;
  readonly maintenance: DuckDBConnection;
  readonly path: string;
  readonly checkpointThreshold = CHECKPOINT_THRESHOLD;
  readonly #instance: DuckDBInstance;
  readonly #idleReaders: DuckDBConnection[];
  readonly #readers: readonly DuckDBConnection[];
  readonly #waiting: PromiseWithResolvers<DuckDBConnection>[] = [];
  readonly #layout = new Mutex();
  #closed = false;
  #drained: (() => void) | undefined;

  /** Opens or creates the file and brings its tables up to date. */
  static async open(settings: DatabaseSettings): Promise<Database> {
    const path = join(settings.directory, FILE);
    await mkdir(join(settings.directory, 'temp'), { recursive: true, mode: 0o700 });
    let instance: DuckDBInstance | undefined;
    try {
      instance = await DuckDBInstance.create(path, options(settings));
      const connections: DuckDBConnection[] = [];
      for (let i = 0; i < 2 + settings.maxConcurrentQueries; i++) connections.push(await instance.connect());
      await migrate(connections[0]!);
      return new Database(path, instance, connections);
    } catch (error) {
      instance?.closeSync();
      throw portErrorOf(error, `cannot open the time-series store ${path}`);
    }
  }

  private constructor(path: string, instance: DuckDBInstance, connections: readonly DuckDBConnection[]) {
    this.path = path;
    this.#instance = instance;
    this.writer = connections[0]!;
    this.maintenance = connections[1]!;
    this.#readers = connections.slice(2);
    this.#idleReaders = [...this.#readers];
  }

  /**
   * Runs queries in one read transaction on a connection of its own: they see one state of the tables, the one that `capture` saw of
   * memory. When the caller stops waiting the query is interrupted, so that it frees its place.
   */
  async read<Captured, Result>(
    capture: () => Captured,
    query: (reader: DuckDBConnection, captured: Captured) => Promise<Result>,
    signal: AbortSignal | undefined,
  ): Promise<Result> {
    const reader = await this.#reader(signal);
    const interrupt = () => reader.interrupt();
    signal?.addEventListener('abort', interrupt);
    try {
      const captured = await this.#layout.run(async () => {
        // A transaction sees what was committed before its first statement.
        await reader.run('BEGIN TRANSACTION READ ONLY; SELECT version FROM schema_version;');
        return capture();
      });
      throwIfAborted(signal);
      return await query(reader, captured);
    } catch (error) {
      throwIfAborted(signal);
      throw error;
    } finally {
      signal?.removeEventListener('abort', interrupt);
      await reader.run('ROLLBACK').catch(() => undefined);
      this.#release(reader);
    }
  }

  /**
   * Commits a change of the parts and lets memory follow before any query starts: so a query finds the tables that memory names, and
   * counts nothing twice.
   */
  changeLayout(commit: () => Promise<void>): Promise<void> {
    return this.#layout.run(commit);
  }

  async writeAheadLogBytes(): Promise<number> {
    const log = await stat(`${this.path}.wal`).catch(() => undefined);
    return log?.size ?? 0;
  }

  /** Waits for the queries under way. Idempotent; the writer and maintenance must be idle. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(new PortError('unavailable', 'the store is closing'));
    if (this.#idleReaders.length < this.#readers.length) {
      for (const reader of this.#readers) reader.interrupt();
      await new Promise<void>((resolve) => (this.#drained = resolve));
    }
    for (const connection of [this.writer, this.maintenance, ...this.#readers]) connection.closeSync();
    this.#instance.closeSync();
  }

  async #reader(signal: AbortSignal | undefined): Promise<DuckDBConnection> {
    throwIfAborted(signal);
    if (this.#closed) throw new PortError('unavailable', 'the store is closing');
    const idle = this.#idleReaders.pop();
    if (idle) return idle;
    if (this.#waiting.length >= MAX_WAITING_QUERIES) {
      throw new PortError('resource_exhausted', `${MAX_WAITING_QUERIES} queries wait already; try again later`);
    }
    const place = Promise.withResolvers<DuckDBConnection>();
    const abandon = () => {
      const index = this.#waiting.indexOf(place);
      if (index < 0) return;
      this.#waiting.splice(index, 1);
      place.reject(new PortError('cancelled', 'the caller stopped waiting', { cause: signal?.reason }));
    };
    this.#waiting.push(place);
    signal?.addEventListener('abort', abandon, { once: true });
    return place.promise.finally(() => signal?.removeEventListener('abort', abandon));
  }

  #release(reader: DuckDBConnection): void {
    const next = this.#waiting.shift();
    if (next) {
      next.resolve(reader);
      return;
    }
    this.#idleReaders.push(reader);
    if (this.#idleReaders.length === this.#readers.length) this.#drained?.();
  }
}

/**
 * One thread: the calls of this store run beside each other on Node's pool, and the machine has other work. Insertion order need not be
 * kept where SQL states none, which bounds the memory of large sorts. The write-ahead log is checkpointed by maintenance; the threshold
 * here is for a store whose maintenance does not run.
 */
function options({ directory, memoryLimitMiB }: DatabaseSettings): Record<string, string> {
  return {
    threads: '1',
    memory_limit: `${memoryLimitMiB}MiB`,
    temp_directory: join(directory, 'temp'),
    preserve_insertion_order: 'false',
    checkpoint_threshold: CHECKPOINT_THRESHOLD,
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  };
}
