import { sql, type Transaction } from 'kysely';
import type { Clock } from '#core/clock.ts';
import { PortError, type CallOptions } from '#core/errors.ts';
import type { Checkpoint, CheckpointStore, Lease } from '#core/ports/checkpoint-store.ts';
import { abortable } from './abortable.ts';
import type { Migration } from './migrate.ts';
import type { SqlDatabase } from './sql-database.ts';

export interface CheckpointSchema {
  checkpoint: { name: string; version: number; state: Uint8Array };
  lease: { name: string; holder: string; fence: number; expires_at_ms: number };
}

const migrations: readonly Migration[] = [
  {
    version: 1,
    up: async (db, { text, bytes }) => {
      await db.schema
        .createTable('checkpoint')
        .addColumn('name', text, (column) => column.primaryKey())
        .addColumn('version', 'bigint', (column) => column.notNull())
        .addColumn('state', bytes, (column) => column.notNull())
        .execute();
      await db.schema
        .createTable('lease')
        .addColumn('name', text, (column) => column.primaryKey())
        .addColumn('holder', text, (column) => column.notNull())
        .addColumn('fence', 'bigint', (column) => column.notNull())
        .addColumn('expires_at_ms', 'bigint', (column) => column.notNull())
        .execute();
    },
  },
];

export const checkpointTables = { component: 'checkpoint-store', migrations } as const;

/** The time that leases expire by, in ms: one for all holders. */
export type LeaseTime = (db: Transaction<CheckpointSchema>) => Promise<number>;

/** A lease of another holder, as it was when this process first saw it so. */
interface SeenLease {
  readonly fence: number;
  readonly expiresAtMs: number;
  readonly sinceMonotonicMs: number;
}

/**
 * Checkpoints and leases in a database. Where the clock of leases is set back, or another server's takes its place, a lease of a holder that is gone
 * would seem to last for as long: so a lease that has not been renewed for its whole length, while this process watched, is over whatever the
 * clock says. All holders of a lease use one length.
 */
export class SqlCheckpointStore implements CheckpointStore {
  readonly #database: SqlDatabase<CheckpointSchema>;
  readonly #clock: Clock;
  readonly #leaseTime: LeaseTime;
  readonly #seen = new Map<string, SeenLease>();
  readonly #waiting: Save[] = [];
  #isWriting = false;

  constructor(database: SqlDatabase<CheckpointSchema>, clock: Clock, leaseTime: LeaseTime) {
    this.#database = database;
    this.#clock = clock;
    this.#leaseTime = leaseTime;
  }

  async load(name: string, { signal }: CallOptions = {}): Promise<Checkpoint | undefined> {
    return abortable(signal, () =>
      this.#database.kysely
        .selectFrom('checkpoint')
        .select(['version', 'state'])
        .where('name', '=', name)
        .executeTakeFirst(),
    );
  }

  /** Saves that are asked for while one is being written share the next transaction, and so one write to the disk. */
  async save(
    name: string,
    state: Uint8Array,
    expectedVersion: number,
    { signal }: CallOptions = {},
  ): Promise<Checkpoint> {
    return abortable(signal, () => {
      const { promise, resolve, reject } = Promise.withResolvers<Checkpoint>();
      this.#waiting.push({ name, state, expectedVersion, resolve, reject });
      if (!this.#isWriting) void this.#writeAll();
      return promise;
    });
  }

  async acquireLease(
    name: string,
    holder: string,
    leaseMs: number,
    { signal }: CallOptions = {},
  ): Promise<Lease | undefined> {
    return abortable(signal, () =>
      this.#changeLease(name, async (db) => {
        const now = await this.#leaseTime(db);
        const current = await db.selectFrom('lease').selectAll().where('name', '=', name).executeTakeFirst();
        if (current && current.holder !== holder && current.expires_at_ms > now) {
          if (this.#unchangedMs(name, current.fence, current.expires_at_ms) < leaseMs) return undefined;
        }
        const fence = (current?.fence ?? 0) + 1;
        const taken = { holder, fence, expires_at_ms: Math.ceil(now + leaseMs) };
        await db
          .insertInto('lease')
          .values({ name, ...taken })
          .onConflict((conflict) => conflict.column('name').doUpdateSet(taken))
          .execute();
        return { name, holder, fence };
      }),
    );
  }

  async renewLease(lease: Lease, leaseMs: number, { signal }: CallOptions = {}): Promise<void> {
    const isHeld = await abortable(signal, () =>
      this.#changeLease(lease.name, async (db) =>
        setExpiry(db, lease, Math.ceil((await this.#leaseTime(db)) + leaseMs)),
      ),
    );
    if (!isHeld)
      throw new PortError(
        'failed_precondition',
        `the lease ${lease.name} was lost: another process took it after it had expired`,
      );
  }

  async releaseLease(lease: Lease, { signal }: CallOptions = {}): Promise<void> {
    // The fence stays, so that the next holder's is higher.
    await abortable(signal, () => this.#changeLease(lease.name, (db) => setExpiry(db, lease, 0)));
  }

  close(): Promise<void> {
    return this.#database.close();
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    while (this.#waiting.length > 0) {
      let taken: Save[] = [];
      try {
        const wasSaved = await this.#database.kysely.transaction().execute(async (db) => {
          taken = inOneOrder(this.#waiting.splice(0));
          const results: boolean[] = [];
          for (const save of taken) results.push(await compareAndSet(db, save));
          return results;
        });
        taken.forEach((save, index) => answer(save, wasSaved[index] === true));
      } catch (error) {
        // Without a transaction none was taken: then the ones that wait are those that failed.
        for (const { reject } of taken.length > 0 ? taken : this.#waiting.splice(0)) reject(error);
      }
    }
    this.#isWriting = false;
  }

  #changeLease<Result>(name: string, change: (db: Transaction<CheckpointSchema>) => Promise<Result>): Promise<Result> {
    return this.#database.write(`lease ${name}`, change, () => false);
  }

  /** How long this process has seen the lease as it is now. */
  #unchangedMs(name: string, fence: number, expiresAtMs: number): number {
    const nowMs = this.#clock.monotonicMs();
    const seen = this.#seen.get(name);
    if (seen?.fence === fence && seen.expiresAtMs === expiresAtMs) return nowMs - seen.sinceMonotonicMs;
    this.#seen.set(name, { fence, expiresAtMs, sinceMonotonicMs: nowMs });
    return 0;
  }
}

interface Save {
  readonly name: string;
  readonly state: Uint8Array;
  readonly expectedVersion: number;
  readonly resolve: (saved: Checkpoint) => void;
  readonly reject: (error: unknown) => void;
}

/** All processes write rows in one order, so that no two wait for each other. */
function inOneOrder(saves: Save[]): Save[] {
  return saves.sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
}

/** Whether the stored version was the expected one; else nothing is changed. */
async function compareAndSet(
  db: Transaction<CheckpointSchema>,
  { name, state, expectedVersion }: Save,
): Promise<boolean> {
  const { numAffectedRows } = await (
    expectedVersion === 0
      ? sql`insert into checkpoint (name, version, state) values (${name}, 1, ${state}) on conflict do nothing`
      : sql`update checkpoint set version = ${expectedVersion + 1}, state = ${state}
          where name = ${name} and version = ${expectedVersion}`
  ).execute(db);
  return numAffectedRows === 1n;
}

/** Whether the lease is still held. */
async function setExpiry(
  db: Transaction<CheckpointSchema>,
  { name, holder, fence }: Lease,
  expiresAtMs: number,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('lease')
    .set({ expires_at_ms: expiresAtMs })
    .where('name', '=', name)
    .where('holder', '=', holder)
    .where('fence', '=', fence)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

function answer({ name, state, expectedVersion, resolve, reject }: Save, wasSaved: boolean): void {
  if (wasSaved) {
    resolve({ version: expectedVersion + 1, state });
    return;
  }
  const detail = `checkpoint ${name} is no longer at version ${expectedVersion}: another process saved it`;
  reject(new PortError('failed_precondition', detail));
}
