import type { Kysely, RawBuilder, Transaction } from 'kysely';

/**
 * Tables of one component in SQLite or PostgreSQL, for the logic that both share. What the two do differently is in the two that implement this
 * and in {@link ColumnTypes}; all else is written so that it runs on both.
 */
export interface SqlDatabase<Schema> {
  /** For reading, and for single statements that change nothing that another decides by. */
  readonly kysely: Kysely<Schema>;
  /**
   * Runs `work` in one transaction, which commits when it resolves and rolls back when it throws. Of the transactions with one `lock` there is
   * one at a time, over all processes, and each sees what those before it wrote: `work` may read and decide. Transactions with different locks
   * may touch the same rows only in single statements. Afterwards listeners are told, unless `hasChanged` denies.
   */
  write<Result>(
    lock: string,
    work: (db: Transaction<Schema>) => Promise<Result>,
    hasChanged?: (result: Result) => boolean,
  ): Promise<Result>;
  /** Calls back after commits of {@link write}, by whichever process; also when some may have been missed. Returns how to stop. */
  onChange(listener: () => void): () => void;
  /** Waits for what is under way. Idempotent. */
  close(): Promise<void>;
}

/** What columns are called in migrations, where the two differ. */
export interface ColumnTypes {
  /** Text that sorts and compares by its bytes. */
  readonly text: RawBuilder<unknown>;
  readonly bytes: RawBuilder<unknown>;
  /** A primary key that the database gives, rising. */
  readonly rowId: RawBuilder<unknown>;
  /** The same, and the number of a deleted row is not used again. */
  readonly lastingRowId: RawBuilder<unknown>;
}
