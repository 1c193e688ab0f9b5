import type { DatabaseSync } from 'node:sqlite';
import type { SqliteFile } from '#adapters/sql/sqlite-file.ts';
import { isPortError } from '#core/errors.ts';

const MAX_WRITES_A_TRANSACTION = 1000;

interface Write {
  readonly work: (database: DatabaseSync) => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Puts writes that arrive together into one transaction: describing a plant of 20,000 machines takes a few flushes and not 20,000.
 * Work that throws a PortError before it has changed anything fails alone; any other failure fails, and rolls back, its whole group.
 */
export class GroupCommit<Schema> {
  readonly #file: SqliteFile<Schema>;
  #waiting: Write[] = [];
  #running: Promise<void> | undefined;

  constructor(file: SqliteFile<Schema>) {
    this.#file = file;
  }

  /** Resolves with what `work` returned once it is durable. */
  write<Result>(work: (database: DatabaseSync) => Result): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      this.#waiting.push({ work, resolve: resolve as (value: unknown) => void, reject });
      this.#running ??= this.#run();
    });
  }

  /** Resolves when nothing is waiting or being written. */
  async drain(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    await Promise.resolve();
    while (this.#waiting.length > 0) await this.#commit(this.#waiting.splice(0, MAX_WRITES_A_TRANSACTION));
    this.#running = undefined;
  }

  async #commit(group: readonly Write[]): Promise<void> {
    try {
      const settle = await this.#file.exclusive('write', (database) => group.map((write) => attempt(write, database)));
      this.#file.changed();
      for (const each of settle) each();
    } catch (error) {
      for (const write of group) write.reject(error);
    }
  }
}

function attempt({ work, resolve, reject }: Write, database: DatabaseSync): () => void {
  try {
    const result = work(database);
    return () => resolve(result);
  } catch (error) {
    if (!isPortError(error)) throw error;
    return () => reject(error);
  }
}
