import { sql } from 'kysely';
import type { Migration } from '#adapters/sql/migrate.ts';
import { SqliteFile } from '#adapters/sql/sqlite-file.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';
import type { DeviceCommand } from '#core/ports/device-gateway.ts';

interface Schema {
  device_command: { position: number; machine: string; id: string; payload: Uint8Array; expires_at_ms: number };
}

const migrations: readonly Migration[] = [
  {
    version: 1,
    up: async (db) => {
      await sql`create table device_command (
        position integer primary key, machine text not null, id text not null, payload blob not null,
        expires_at_ms bigint not null, unique (machine, id))`.execute(db);
    },
  },
];

/** Commands that no device has acknowledged yet, in a SQLite file: durable when {@link add} resolves. */
export class CommandQueue {
  readonly #file: SqliteFile<Schema>;
  readonly #maxPerMachine: number;

  static async open(path: string, maxPerMachine: number): Promise<CommandQueue> {
    const file = await SqliteFile.open<Schema>({ path, component: 'device-command', migrations });
    return new CommandQueue(file, maxPerMachine);
  }

  private constructor(file: SqliteFile<Schema>, maxPerMachine: number) {
    this.#file = file;
    this.#maxPerMachine = maxPerMachine;
  }

  /** The same command twice is queued once. @throws PortError resource_exhausted when the machine has too many waiting. */
  async add(machine: MachineKey, command: DeviceCommand, nowMs: number): Promise<void> {
    await this.#file.kysely.transaction().execute(async (db) => {
      await db
        .deleteFrom('device_command')
        .where('machine', '=', machine)
        .where('expires_at_ms', '<=', nowMs)
        .execute();
      const waiting = await db
        .selectFrom('device_command')
        .select((expression) => expression.fn.countAll<number>().as('count'))
        .where('machine', '=', machine)
        .where('id', '!=', command.id)
        .executeTakeFirstOrThrow();
      if (waiting.count >= this.#maxPerMachine) {
        const message = `${waiting.count} commands wait for ${machine} to connect; let some expire, or connect its device`;
        throw new PortError('resource_exhausted', message);
      }
      const { id, payload, expiresAtMs } = command;
      await sql`insert into device_command (machine, id, payload, expires_at_ms)
        values (${machine}, ${id}, ${payload}, ${expiresAtMs}) on conflict (machine, id) do nothing`.execute(db);
    });
  }

  /** What waits for the machine and has not expired, oldest first. */
  async waiting(machine: MachineKey, nowMs: number): Promise<readonly DeviceCommand[]> {
    const rows = await this.#file.kysely
      .selectFrom('device_command')
      .selectAll()
      .where('machine', '=', machine)
      .where('expires_at_ms', '>', nowMs)
      .orderBy('position')
      .execute();
    return rows.map((row) => ({ id: row.id, payload: row.payload, expiresAtMs: row.expires_at_ms }));
  }

  async remove(machine: MachineKey, id: string): Promise<void> {
    await this.#file.kysely.deleteFrom('device_command').where('machine', '=', machine).where('id', '=', id).execute();
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
