import { sql, type Transaction } from 'kysely';
import { machineKey, type MachineId, type MachineKey, type SiteId, type TenantId } from '#core/domain/ids.ts';
import { machineSchema, type Machine } from '#core/domain/plant.ts';
import { isPortError, PortError, type CallOptions } from '#core/errors.ts';
import type {
  MachineChange,
  MachineEventListQuery,
  MachineHistoryEvent,
  MachineListQuery,
  MachineRegistry,
  QuarantinedMachine,
  RegisteredMachine,
  Sighting,
} from '#core/ports/machine-registry.ts';
import type { Movable, MovablePort } from '#core/moving/movable.ts';
import { abortable } from './abortable.ts';
import { chunks } from './chunks.ts';
import { GroupCommit } from './group-commit.ts';
import type { Migration } from './migrate.ts';
import { MovableTables, type MovedTable } from './movable-tables.ts';
import { QuarantineBuffer } from './quarantine.ts';
import type { SqlDatabase } from './sql-database.ts';

/** How many machines are added between two counts. */
const MAX_KNOWN_ROOM = 1000;

export interface MachineSchema {
  deleted_machines: { revision: number };
  machine: { key: string; tenant: string; site: string; description: string; revision: number };
  quarantined_machine: {
    key: string;
    tenant: string;
    device: string;
    first_at_ms: number;
    at_ms: number;
    messages: number;
    sample: string;
  };
  machine_event: { key: string; id: string; kind: string; at_ms: number; by_whom: string; text: string };
}

const migrations: readonly Migration[] = [
  {
    version: 1,
    up: async (db, { text }) => {
      await sql`create table machine (
        key ${text} primary key, tenant ${text} not null, site ${text} not null, description ${text} not null,
        revision integer not null)`.execute(db);
      await sql`create table quarantined_machine (
        key ${text} primary key, tenant ${text} not null, device ${text} not null, first_at_ms bigint not null,
        at_ms bigint not null, messages bigint not null, sample ${text} not null)`.execute(db);
      await sql`create index quarantined_machine_tenant on quarantined_machine (tenant, at_ms)`.execute(db);
      await sql`create table machine_event (
        key ${text} not null, id ${text} not null, kind ${text} not null, at_ms bigint not null, by_whom ${text} not null,
        text ${text} not null, primary key (key, id))`.execute(db);
    },
  },
  {
    version: 2,
    up: async (db) => {
      // The highest revision of a machine that was deleted: what is described later counts on from there.
      await sql`create table deleted_machines (revision integer not null)`.execute(db);
      await sql`insert into deleted_machines select coalesce(max(revision), 0) from machine`.execute(db);
    },
  },
];

export const machineTables = { component: 'machine-registry', migrations } as const;

const MOVED: readonly MovedTable[] = [
  { name: 'deleted_machines', columns: ['revision'], order: ['revision'], isSingle: true },
  { name: 'machine', columns: ['key', 'tenant', 'site', 'description', 'revision'], order: ['key'] },
  {
    name: 'quarantined_machine',
    columns: ['key', 'tenant', 'device', 'first_at_ms', 'at_ms', 'messages', 'sample'],
    order: ['key'],
  },
  { name: 'machine_event', columns: ['key', 'id', 'kind', 'at_ms', 'by_whom', 'text'], order: ['key', 'id'] },
];

export interface MachineLimits {
  readonly maxMachines: number;
  readonly maxQuarantined: number;
  readonly quarantineFlushMs: number;
  readonly maxEventsPerMachine: number;
}

/**
 * Machines in a database that several processes may open. Puts that arrive together are committed together. Sightings of unknown
 * machines are written at most every `quarantineFlushMs`, and until then a crash forgets them.
 */
export class SqlMachineRegistry implements MachineRegistry, MovablePort, AsyncDisposable {
  readonly movable: Movable;
  readonly #limits: MachineLimits;
  readonly #database: SqlDatabase<MachineSchema>;
  readonly #commit: GroupCommit<MachineSchema>;
  readonly #quarantine: QuarantineBuffer<MachineSchema>;
  readonly #waiting: Put[] = [];
  #knownRoom = 0;

  constructor(database: SqlDatabase<MachineSchema>, limits: MachineLimits) {
    this.movable = new MovableTables(database, machineTables, MOVED);
    this.#limits = limits;
    this.#database = database;
    this.#commit = new GroupCommit(database, 'machines');
    this.#quarantine = new QuarantineBuffer(this.#commit, limits.maxQuarantined, limits.quarantineFlushMs);
  }

  async putMachine(
    tenant: TenantId,
    site: SiteId,
    machine: Machine,
    { signal, expectedRevision }: CallOptions & { readonly expectedRevision?: number } = {},
  ): Promise<RegisteredMachine> {
    const change = { machine, ...(expectedRevision !== undefined && { expectedRevision }) };
    const [put] = await this.putMachines(tenant, site, [change], { ...(signal && { signal }) });
    return put!;
  }

  async putMachines(
    tenant: TenantId,
    site: SiteId,
    changes: readonly MachineChange[],
    { signal }: CallOptions = {},
  ): Promise<readonly RegisteredMachine[]> {
    return abortable(signal, async () => {
      const puts = changes.map((change) => ({
        ...change,
        key: machineKey(tenant, site, change.machine.id as MachineId),
        description: JSON.stringify(change.machine),
      }));
      requireEachOnce(puts.map(({ key }) => key));
      for (const { key } of puts) this.#quarantine.forget(key);
      const { promise, resolve, reject } = Promise.withResolvers<readonly RegisteredMachine[]>();
      this.#waiting.push({ tenant, site, puts, resolve, reject });
      if (this.#waiting.length === 1) void this.#storeWaiting();
      return promise;
    });
  }

  async getMachine(key: MachineKey, { signal }: CallOptions = {}): Promise<RegisteredMachine | undefined> {
    return abortable(signal, async () => {
      const row = await this.#database.kysely
        .selectFrom('machine')
        .selectAll()
        .where('key', '=', key)
        .executeTakeFirst();
      return row && registeredMachine(row);
    });
  }

  async listMachines(query: MachineListQuery, { signal }: CallOptions = {}): Promise<readonly RegisteredMachine[]> {
    return abortable(signal, async () => {
      let select = this.#database.kysely.selectFrom('machine').selectAll().orderBy('key').limit(query.limit);
      if (query.tenant !== undefined) {
        // The key begins with the tenant: a range of the primary key, and no second index to keep. "0" follows "/".
        select = select.where('key', '>', `${query.tenant}/`).where('key', '<', `${query.tenant}0`);
      }
      if (query.site !== undefined) select = select.where('site', '=', query.site);
      if (query.after !== undefined) select = select.where('key', '>', query.after);
      return (await select.execute()).map(registeredMachine);
    });
  }

  async deleteMachine(
    key: MachineKey,
    { signal, expectedRevision }: CallOptions & { readonly expectedRevision?: number } = {},
  ): Promise<void> {
    return abortable(signal, async () => {
      await this.#commit.write(async (db) => {
        const revision = await presentRevision(db, key);
        requireRevision(key, revision, expectedRevision);
        await sql`update deleted_machines set revision = ${revision} where revision < ${revision}`.execute(db);
        await db.deleteFrom('machine').where('key', '=', key).execute();
        await db.deleteFrom('machine_event').where('key', '=', key).execute();
      });
    });
  }

  async quarantine(sighting: Sighting, { signal }: CallOptions = {}): Promise<void> {
    return abortable(signal, async () => {
      await this.#quarantine.add(sighting);
    });
  }

  async listQuarantine(tenant: TenantId, { signal }: CallOptions = {}): Promise<readonly QuarantinedMachine[]> {
    return abortable(signal, async () => {
      await this.#quarantine.flush();
      const rows = await this.#database.kysely
        .selectFrom('quarantined_machine')
        .selectAll()
        .where('tenant', '=', tenant)
        .orderBy('at_ms', 'desc')
        .orderBy('key')
        .execute();
      return rows.map((row) => ({
        key: row.key as MachineKey,
        device: row.device,
        atMs: row.at_ms,
        sample: row.sample,
        messages: row.messages,
        firstAtMs: row.first_at_ms,
      }));
    });
  }

  async addMachineEvent(event: MachineHistoryEvent, { signal }: CallOptions = {}): Promise<void> {
    return abortable(signal, async () => {
      await this.#commit.write(async (db) => {
        const { maxEventsPerMachine } = this.#limits;
        const { count } = await db
          .selectFrom('machine_event')
          .select((row) => row.fn.countAll<number>().as('count'))
          .where('key', '=', event.key)
          .executeTakeFirstOrThrow();
        if (count >= maxEventsPerMachine) {
          throw new PortError('resource_exhausted', `${event.key} has ${maxEventsPerMachine} events already`);
        }
        const { key, id, kind, atMs: at_ms, by: by_whom, text } = event;
        await db
          .insertInto('machine_event')
          .values({ key, id, kind, at_ms, by_whom, text })
          .onConflict((conflict) => conflict.columns(['key', 'id']).doNothing())
          .execute();
      });
    });
  }

  async machineEvents(key: MachineKey, { signal }: CallOptions = {}): Promise<readonly MachineHistoryEvent[]> {
    return abortable(signal, async () => {
      const rows = await this.#database.kysely
        .selectFrom('machine_event')
        .selectAll()
        .where('key', '=', key)
        .orderBy('at_ms')
        .orderBy('id')
        .execute();
      return rows.map(historyEvent);
    });
  }

  async listMachineEvents(
    { kinds, after, limit }: MachineEventListQuery,
    { signal }: CallOptions = {},
  ): Promise<readonly MachineHistoryEvent[]> {
    return abortable(signal, async () => {
      const rows = await this.#database.kysely
        .selectFrom('machine_event')
        .selectAll()
        .where('kind', 'in', kinds)
        .$if(after !== undefined, (query) =>
          query.where((where) =>
            where(where.refTuple('key', 'at_ms', 'id'), '>', where.tuple(after!.key as string, after!.atMs, after!.id)),
          ),
        )
        .orderBy('key')
        .orderBy('at_ms')
        .orderBy('id')
        .limit(limit)
        .execute();
      return rows.map(historyEvent);
    });
  }

  onChange(listener: () => void): () => void {
    return this.#database.onChange(listener);
  }

  async close(): Promise<void> {
    await this.#quarantine.flush();
    await this.#commit.drain();
    await this.#database.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Puts that wait for a transaction share the next one, and in it a few statements. */
  async #storeWaiting(): Promise<void> {
    let taken: Put[] = [];
    try {
      const settle = await this.#commit.write((db) => {
        taken = this.#waiting.splice(0);
        return this.#store(db, taken);
      });
      for (const each of settle) each();
    } catch (error) {
      for (const { reject } of taken.length > 0 ? taken : this.#waiting.splice(0)) reject(error);
    }
  }

  /** Decides each put by what those before it would leave, then writes what is left in the end. Returns what to tell once it is committed. */
  async #store(db: Transaction<MachineSchema>, waiting: readonly Put[]): Promise<readonly (() => void)[]> {
    const revisions = await presentRevisions(
      db,
      waiting.flatMap(({ puts }) => puts.map(({ key }) => key)),
    );
    const deletedRevision = await highestDeletedRevision(db);
    const rows = new Map<MachineKey, MachineSchema['machine']>();
    const added: MachineKey[] = [];
    const settle: (() => void)[] = [];
    for (const { tenant, site, puts, resolve, reject } of waiting) {
      try {
        for (const { key, expectedRevision } of puts) requireRevision(key, revisions.get(key) ?? 0, expectedRevision);
        const news = puts.flatMap(({ key }) => (revisions.has(key) ? [] : [key]));
        await this.#requireRoom(db, news.length, added.length);
        added.push(...news);
      } catch (error) {
        if (!isPortError(error) || error.cause !== undefined) throw error;
        settle.push(() => reject(error));
        continue;
      }
      const registered = puts.map(({ key, machine, description }) => {
        const revision = (revisions.get(key) ?? deletedRevision) + 1;
        revisions.set(key, revision);
        rows.set(key, { key, tenant, site, description, revision });
        return { key, machine, revision };
      });
      settle.push(() => resolve(registered));
    }
    await upsertMachines(db, [...rows.values()]);
    for (const keys of chunks(added)) await db.deleteFrom('quarantined_machine').where('key', 'in', keys).execute();
    return settle;
  }

  /** Counts the machines again each time as many have been added as there was known room for, within what other processes may add. */
  async #requireRoom(db: Transaction<MachineSchema>, added: number, unwritten: number): Promise<void> {
    if (this.#knownRoom < added) {
      const { maxMachines } = this.#limits;
      const { written } = await db
        .selectFrom('machine')
        .select((row) => row.fn.countAll<number>().as('written'))
        .executeTakeFirstOrThrow();
      const count = written + unwritten;
      const room = Math.max(0, maxMachines - count);
      this.#knownRoom = Math.min(Math.max(MAX_KNOWN_ROOM, added), room);
      if (room < added) {
        const remedy = 'remove some, or raise maxMachines';
        throw new PortError(
          'resource_exhausted',
          `there are ${count} machines of at most ${maxMachines}: ${added} more do not fit; ${remedy}`,
        );
      }
    }
    this.#knownRoom -= added;
  }
}

/** Machines of a site that are put together or not at all. */
interface Put {
  readonly tenant: TenantId;
  readonly site: SiteId;
  readonly puts: readonly (MachineChange & { readonly key: MachineKey; readonly description: string })[];
  readonly resolve: (registered: readonly RegisteredMachine[]) => void;
  readonly reject: (error: unknown) => void;
}

function requireEachOnce(keys: readonly MachineKey[]): void {
  const seen = new Set<MachineKey>();
  for (const key of keys) {
    if (seen.has(key)) throw new PortError('invalid_argument', `${key} is there twice`);
    seen.add(key);
  }
}

function requireRevision(key: MachineKey, present: number, expected: number | undefined): void {
  if (expected === undefined || expected === present) return;
  throw new PortError('failed_precondition', `${key} has revision ${present}, not ${expected}; read it again`);
}

/** 0 where there is none. */
async function presentRevision(db: Transaction<MachineSchema>, key: MachineKey): Promise<number> {
  const { rows } = await sql<{ revision: number }>`select revision from machine where key = ${key}`.execute(db);
  return rows[0]?.revision ?? 0;
}

async function presentRevisions(
  db: Transaction<MachineSchema>,
  keys: readonly MachineKey[],
): Promise<Map<MachineKey, number>> {
  const present = new Map<MachineKey, number>();
  for (const some of chunks(keys)) {
    const rows = await db.selectFrom('machine').select(['key', 'revision']).where('key', 'in', some).execute();
    for (const { key, revision } of rows) present.set(key as MachineKey, revision);
  }
  return present;
}

async function upsertMachines(
  db: Transaction<MachineSchema>,
  machines: readonly MachineSchema['machine'][],
): Promise<void> {
  for (const rows of chunks(machines)) {
    await db
      .insertInto('machine')
      .values(rows)
      .onConflict((conflict) =>
        conflict.column('key').doUpdateSet((row) => ({
          description: row.ref('excluded.description'),
          revision: row.ref('excluded.revision'),
        })),
      )
      .execute();
  }
}

async function highestDeletedRevision(db: Transaction<MachineSchema>): Promise<number> {
  const { rows } = await sql<{ revision: number }>`select revision from deleted_machines`.execute(db);
  return rows[0]?.revision ?? 0;
}

function registeredMachine(row: MachineSchema['machine']): RegisteredMachine {
  return {
    key: row.key as MachineKey,
    machine: described(row.description),
    revision: row.revision,
  };
}

/** What today's limits refuse was taken by yesterday's: it stays as it was kept, until somebody changes it. */
function described(description: string): Machine {
  const kept: unknown = JSON.parse(description);
  const parsed = machineSchema.safeParse(kept);
  return parsed.success ? parsed.data : (kept as Machine);
}

function historyEvent(row: MachineSchema['machine_event']): MachineHistoryEvent {
  return {
    id: row.id,
    key: row.key as MachineKey,
    kind: row.kind as MachineHistoryEvent['kind'],
    atMs: row.at_ms,
    by: row.by_whom,
    text: row.text,
  };
}
