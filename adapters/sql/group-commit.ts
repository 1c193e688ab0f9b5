import type { Transaction } from 'kysely';
import { isPortError } from '#core/errors.ts';
import type { SqlDatabase } from './sql-database.ts';

const MAX_WRITES_A_TRANSACTION = 1000;

interface Write<Schema> {
  readonly work: (db: Transaction<Schema>) => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Puts writes that arrive together into one transaction: describing a plant of 20,000 machines takes a few flushes and not 20,000.
 * Work that throws a PortError before it has changed anything fails alone; any other failure fails, and rolls back, its whole group.
 */
export class GroupCommit<Schema> {
  readonly #database: SqlDatabase<Schema>;
  readonly #lock: string;
  #waiting: Write<Schema>[] = [];
  #running: Promise<void> | undefined;

  /** All its writes, of all processes, follow one another by the `lock`. */
  constructor(database: SqlDatabase<Schema>, lock: string) {
    this.#database = database;
    this.#lock = lock;
  }

  /** Resolves with what `work` returned once it is durable. */
  write<Result>(work: (db: Transaction<Schema>) => Promise<Result>): Promise<Result> {
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

  async #commit(group: readonly Write<Schema>[]): Promise<void> {
    try {
      const settle = await this.#database.write(this.#lock, async (db) => {
        const attempts: (() => void)[] = [];
        for (const write of group) attempts.push(await attempt(write, db));
        return attempts;
      });
      for (const each of settle) each();
    } catch (error) {
      for (const write of group) write.reject(error);
    }
  }
}

/** What has a cause is the database's error, after which nothing of the transaction stands; a refusal has none. */
async function attempt<Schema>({ work, resolve, reject }: Write<Schema>, db: Transaction<Schema>): Promise<() => void> {
  try {
    const result = await work(db);
    return () => resolve(result);
  } catch (error) {
    if (!isPortError(error) || error.cause !== undefined) throw error;
    return () => reject(error);
  }
}
