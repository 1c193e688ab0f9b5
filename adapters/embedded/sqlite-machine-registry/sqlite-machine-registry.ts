import type { DatabaseSync } from 'node:sqlite';
import { sql } from 'kysely';
import type { Migration } from '#adapters/sql/migrate.ts';
import { SqliteFile } from '#adapters/sql/sqlite-file.ts';
import { machineKey, type MachineId, type MachineKey, type SiteId, type TenantId } from '#core/domain/ids.ts';
import { machineSchema, type Machine } from '#core/domain/plant.ts';
import { PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
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
import type { SqliteMachineRegistryConfig } from './config.ts';
import { GroupCommit } from './group-commit.ts';
import { QuarantineBuffer } from './quarantine.ts';

/** How many machines are added between two counts. */
const MAX_KNOWN_ROOM = 1000;

interface Schema {
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
    up: async (db) => {
      await sql`create table machine (
        key text primary key, tenant text not null, site text not null, description text not null,
        revision integer not null)`.execute(db);
      await sql`create table quarantined_machine (
        key text primary key, tenant text not null, device text not null, first_at_ms bigint not null,
        at_ms bigint not null, messages bigint not null, sample text not null)`.execute(db);
      await sql`create index quarantined_machine_tenant on quarantined_machine (tenant, at_ms)`.execute(db);
      await sql`create table machine_event (
        key text not null, id text not null, kind text not null, at_ms bigint not null, by_whom text not null,
        text text not null, primary key (key, id))`.execute(db);
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

/**
 * Machines in a SQLite file that several processes may open. Puts that arrive together are committed together. Sightings of unknown
 * machines are written at most every `quarantineFlushMs`, and until then a crash forgets them.
 */
export class SqliteMachineRegistry implements MachineRegistry, AsyncDisposable {
  readonly #config: SqliteMachineRegistryConfig;
  readonly #file: SqliteFile<Schema>;
  readonly #commit: GroupCommit<Schema>;
  readonly #quarantine: QuarantineBuffer<Schema>;
  #knownRoom = 0;
  #statements: ReturnType<typeof prepare> | undefined;

  static async open(config: SqliteMachineRegistryConfig): Promise<SqliteMachineRegistry> {
    const file = await SqliteFile.open<Schema>({
      path: config.databasePath,
      component: 'machine-registry',
      migrations,
      changePollMs: config.changePollMs,
    });
    return new SqliteMachineRegistry(config, file);
  }

  private constructor(config: SqliteMachineRegistryConfig, file: SqliteFile<Schema>) {
    this.#config = config;
    this.#file = file;
    this.#commit = new GroupCommit(file);
    this.#quarantine = new QuarantineBuffer(this.#commit, config.maxQuarantined, config.quarantineFlushMs);
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
    throwIfAborted(signal);
    const puts = changes.map((change) => ({
      ...change,
      key: machineKey(tenant, site, change.machine.id as MachineId),
      description: JSON.stringify(change.machine),
    }));
    requireEachOnce(puts.map(({ key }) => key));
    for (const { key } of puts) this.#quarantine.forget(key);
    return this.#commit.write((database) => {
      const { revision: select, deleted, put, forget } = (this.#statements ??= prepare(database));
      // Checked before anything is changed: what is refused leaves the writes it is committed with alone.
      const present = puts.map(({ key, expectedRevision }) => {
        const revision = Number(select.get(key)?.['revision'] ?? 0);
        requireRevision(key, revision, expectedRevision);
        return revision;
      });
      this.#requireRoom(database, present.filter((revision) => revision === 0).length);
      const deletedRevision = Number(deleted.get()?.['revision']);
      return puts.map(({ key, machine, description }, index) => {
        const revision = (present[index]! || deletedRevision) + 1;
        put.run(key, tenant, site, description, revision);
        forget.run(key);
        return { key, machine, revision };
      });
    });
  }

  async getMachine(key: MachineKey, { signal }: CallOptions = {}): Promise<RegisteredMachine | undefined> {
    throwIfAborted(signal);
    const row = await this.#file.kysely.selectFrom('machine').selectAll().where('key', '=', key).executeTakeFirst();
    return row && registeredMachine(row);
  }

  async listMachines(query: MachineListQuery, { signal }: CallOptions = {}): Promise<readonly RegisteredMachine[]> {
    throwIfAborted(signal);
    let select = this.#file.kysely.selectFrom('machine').selectAll().orderBy('key').limit(query.limit);
    if (query.tenant !== undefined) {
      // The key begins with the tenant: a range of the primary key, and no second index to keep. "0" follows "/".
      select = select.where('key', '>', `${query.tenant}/`).where('key', '<', `${query.tenant}0`);
    }
    if (query.site !== undefined) select = select.where('site', '=', query.site);
    if (query.after !== undefined) select = select.where('key', '>', query.after);
    return (await select.execute()).map(registeredMachine);
  }

  async deleteMachine(
    key: MachineKey,
    { signal, expectedRevision }: CallOptions & { readonly expectedRevision?: number } = {},
  ): Promise<void> {
    throwIfAborted(signal);
    await this.#commit.write((database) => {
      const { revision: select } = (this.#statements ??= prepare(database));
      const revision = Number(select.get(key)?.['revision'] ?? 0);
      requireRevision(key, revision, expectedRevision);
      database.prepare('update deleted_machines set revision = max(revision, ?)').run(revision);
      database.prepare('delete from machine where key = ?').run(key);
      database.prepare('delete from machine_event where key = ?').run(key);
    });
  }

  async quarantine(sighting: Sighting, { signal }: CallOptions = {}): Promise<void> {
    throwIfAborted(signal);
    await this.#quarantine.add(sighting);
  }

  async listQuarantine(tenant: TenantId, { signal }: CallOptions = {}): Promise<readonly QuarantinedMachine[]> {
    throwIfAborted(signal);
    await this.#quarantine.flush();
    const rows = await this.#file.kysely
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
  }

  async addMachineEvent(event: MachineHistoryEvent, { signal }: CallOptions = {}): Promise<void> {
    throwIfAborted(signal);
    await this.#commit.write((database) => {
      const count = database.prepare('select count(*) as n from machine_event where key = ?').get(event.key)?.['n'];
      if (Number(count) >= this.#config.maxEventsPerMachine) {
        throw new PortError(
          'resource_exhausted',
          `${event.key} has ${this.#config.maxEventsPerMachine} events already`,
        );
      }
      database
        .prepare('insert into machine_event values (?, ?, ?, ?, ?, ?) on conflict (key, id) do nothing')
        .run(event.key, event.id, event.kind, event.atMs, event.by, event.text);
    });
  }

  async machineEvents(key: MachineKey, { signal }: CallOptions = {}): Promise<readonly MachineHistoryEvent[]> {
    throwIfAborted(signal);
    const rows = await this.#file.kysely
      .selectFrom('machine_event')
      .selectAll()
      .where('key', '=', key)
      .orderBy('at_ms')
      .orderBy('id')
      .execute();
    return rows.map(historyEvent);
  }

  async listMachineEvents(
    { kinds, after, limit }: MachineEventListQuery,
    { signal }: CallOptions = {},
  ): Promise<readonly MachineHistoryEvent[]> {
    throwIfAborted(signal);
    const rows = await this.#file.kysely
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
  }

  onChange(listener: () => void): () => void {
    return this.#file.onChange(listener);
  }

  async close(): Promise<void> {
    await this.#quarantine.flush();
    await this.#commit.drain();
    await this.#file.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Counts the machines again each time as many have been added as there was known room for, within what other processes may add. */
  #requireRoom(database: DatabaseSync, added: number): void {
    if (this.#knownRoom < added) {
      const { maxMachines } = this.#config;
      const count = Number(database.prepare('select count(*) as n from machine').get()?.['n']);
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

function prepare(database: DatabaseSync) {
  return {
    revision: database.prepare('select revision from machine where key = ?'),
    deleted: database.prepare('select revision from deleted_machines'),
    put: database.prepare(
      'insert into machine values (?1, ?2, ?3, ?4, ?5) on conflict (key) do update set description = ?4, revision = ?5',
    ),
    forget: database.prepare('delete from quarantined_machine where key = ?'),
  };
}

function registeredMachine(row: Schema['machine']): RegisteredMachine {
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

function historyEvent(row: Schema['machine_event']): MachineHistoryEvent {
  return {
    id: row.id,
    key: row.key as MachineKey,
    kind: row.kind as MachineHistoryEvent['kind'],
    atMs: row.at_ms,
    by: row.by_whom,
    text: row.text,
  };
}
