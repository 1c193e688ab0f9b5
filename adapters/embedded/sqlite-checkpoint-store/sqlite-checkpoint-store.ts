import type { DatabaseSync } from 'node:sqlite';
import type { Migration } from '#adapters/sql/migrate.ts';
import { SqliteFile } from '#adapters/sql/sqlite-file.ts';
import type { Clock } from '#core/clock.ts';
import { PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import type { Checkpoint, CheckpointStore, Lease } from '#core/ports/checkpoint-store.ts';
import type { SqliteCheckpointStoreConfig } from './config.ts';

interface Schema {
  checkpoint: { name: string; version: number; state: Uint8Array };
  lease: { name: string; holder: string; fence: number; expires_at_ms: number };
}

const migrations: readonly Migration[] = [
  {
    version: 1,
    up: async (db) => {
      await db.schema
        .createTable('checkpoint')
        .addColumn('name', 'text', (column) => column.primaryKey())
        .addColumn('version', 'bigint', (column) => column.notNull())
        .addColumn('state', 'blob', (column) => column.notNull())
        .execute();
      await db.schema
        .createTable('lease')
        .addColumn('name', 'text', (column) => column.primaryKey())
        .addColumn('holder', 'text', (column) => column.notNull())
        .addColumn('fence', 'bigint', (column) => column.notNull())
        .addColumn('expires_at_ms', 'bigint', (column) => column.notNull())
        .execute();
    },
  },
];

/** A lease of another holder, as it was when this process first saw it so. */
interface SeenLease {
  readonly fence: number;
  readonly expiresAtMs: number;
  readonly sinceMonotonicMs: number;
}

/**
 * Checkpoints and leases in a SQLite file. The time of leases is this machine's, which all holders share. Where its clock is set back, a lease
 * of a holder that is gone would seem to last for as long: so a lease that has not been renewed for its whole length, while this process
 * watched, is over whatever the clock says. All holders of a lease use one length.
 */
export class SqliteCheckpointStore implements CheckpointStore {
  readonly #file: SqliteFile<Schema>;
  readonly #clock: Clock;
  readonly #seen = new Map<string, SeenLease>();
  readonly #waiting: Save[] = [];
  #isWriting = false;

  static async open(config: SqliteCheckpointStoreConfig, clock: Clock): Promise<SqliteCheckpointStore> {
    const file = await SqliteFile.open<Schema>({
      path: config.databasePath,
      component: 'checkpoint-store',
      migrations,
    });
    return new SqliteCheckpointStore(file, clock);
  }

  private constructor(file: SqliteFile<Schema>, clock: Clock) {
    this.#file = file;
    this.#clock = clock;
  }

  async load(name: string, options: CallOptions = {}): Promise<Checkpoint | undefined> {
    throwIfAborted(options.signal);
    return this.#file.exclusive('read', (database) => {
      const row = database.prepare('select version, state from checkpoint where name = ?').get(name);
      return row && { version: Number(row['version']), state: row['state'] as Uint8Array };
    });
  }

  /** Saves that are asked for while one is being written share the next transaction, and so one write to the disk. */
  async save(name: string, state: Uint8Array, expectedVersion: number, options: CallOptions = {}): Promise<Checkpoint> {
    throwIfAborted(options.signal);
    const { promise, resolve, reject } = Promise.withResolvers<Checkpoint>();
    this.#waiting.push({ name, state, expectedVersion, resolve, reject });
    if (!this.#isWriting) void this.#writeAll();
    return promise;
  }

  async acquireLease(
    name: string,
    holder: string,
    leaseMs: number,
    options: CallOptions = {},
  ): Promise<Lease | undefined> {
    throwIfAborted(options.signal);
    const now = this.#clock.nowMs();
    return this.#file.exclusive('write', (database) => {
      const current = database.prepare('select holder, fence, expires_at_ms from lease where name = ?').get(name);
      if (current && current['holder'] !== holder) {
        const [heldFence, expiresAtMs] = [Number(current['fence']), Number(current['expires_at_ms'])];
        if (expiresAtMs > now && this.#unchangedMs(name, heldFence, expiresAtMs) < leaseMs) return undefined;
      }
      const fence = Number(current?.['fence'] ?? 0) + 1;
      database
        .prepare(
          'insert into lease (name, holder, fence, expires_at_ms) values (?, ?, ?, ?) on conflict (name) do update set holder = excluded.holder, fence = excluded.fence, expires_at_ms = excluded.expires_at_ms',
        )
        .run(name, holder, fence, Math.ceil(now + leaseMs));
      return { name, holder, fence };
    });
  }

  async renewLease(lease: Lease, leaseMs: number, options: CallOptions = {}): Promise<void> {
    throwIfAborted(options.signal);
    const expiresAtMs = Math.ceil(this.#clock.nowMs() + leaseMs);
    await this.#change(
      lease,
      (database) =>
        database
          .prepare('update lease set expires_at_ms = ? where name = ? and holder = ? and fence = ?')
          .run(expiresAtMs, lease.name, lease.holder, lease.fence).changes > 0,
    );
  }

  async releaseLease(lease: Lease, options: CallOptions = {}): Promise<void> {
    throwIfAborted(options.signal);
    // The fence stays, so that the next holder's is higher.
    await this.#file.exclusive('write', (database) =>
      database
        .prepare('update lease set expires_at_ms = 0 where name = ? and holder = ? and fence = ?')
        .run(lease.name, lease.holder, lease.fence),
    );
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    while (this.#waiting.length > 0) {
      let taken: Save[] = [];
      try {
        const wasSaved = await this.#file.exclusive('write', (database) => {
          taken = this.#waiting.splice(0);
          return taken.map((save) => compareAndSet(database, save));
        });
        taken.forEach((save, index) => answer(save, wasSaved[index] === true));
      } catch (error) {
        // Without a transaction none was taken: then the ones that wait are those that failed.
        for (const { reject } of taken.length > 0 ? taken : this.#waiting.splice(0)) reject(error);
      }
    }
    this.#isWriting = false;
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  /** How long this process has seen the lease as it is now. */
  #unchangedMs(name: string, fence: number, expiresAtMs: number): number {
    const nowMs = this.#clock.monotonicMs();
    const seen = this.#seen.get(name);
    if (seen?.fence === fence && seen.expiresAtMs === expiresAtMs) return nowMs - seen.sinceMonotonicMs;
    this.#seen.set(name, { fence, expiresAtMs, sinceMonotonicMs: nowMs });
    return 0;
  }

  async #change(lease: Lease, change: (database: DatabaseSync) => boolean): Promise<void> {
    const isHeld = await this.#file.exclusive('write', change);
    if (!isHeld)
      throw new PortError(
        'failed_precondition',
        `the lease ${lease.name} was lost: another process took it after it had expired`,
      );
  }
}

interface Save {
  readonly name: string;
  readonly state: Uint8Array;
  readonly expectedVersion: number;
  readonly resolve: (saved: Checkpoint) => void;
  readonly reject: (error: unknown) => void;
}

/** Whether the stored version was the expected one; else nothing is changed. */
function compareAndSet(database: DatabaseSync, { name, state, expectedVersion }: Save): boolean {
  const { changes } =
    expectedVersion === 0
      ? database
          .prepare('insert into checkpoint (name, version, state) values (?, 1, ?) on conflict do nothing')
          .run(name, state)
      : database
          .prepare('update checkpoint set version = ?, state = ? where name = ? and version = ?')
          .run(expectedVersion + 1, state, name, expectedVersion);
  return changes > 0;
}

function answer({ name, state, expectedVersion, resolve, reject }: Save, wasSaved: boolean): void {
  if (wasSaved) {
    resolve({ version: expectedVersion + 1, state });
    return;
  }
  const detail = `checkpoint ${name} is no longer at version ${expectedVersion}: another process saved it`;
  reject(new PortError('failed_precondition', detail));
}
