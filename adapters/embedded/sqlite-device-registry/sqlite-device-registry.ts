import { sql, type Kysely, type Selectable } from 'kysely';
import type { Migration } from '#adapters/sql/migrate.ts';
import { SqliteFile } from '#adapters/sql/sqlite-file.ts';
import { systemClock, type Clock } from '#core/clock.ts';
import { isName, machineRef, type DeviceId, type MachineKey, type TenantId } from '#core/domain/ids.ts';
import { isPortError, PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import type { Device, DeviceRegistry, NewDevice } from '#core/ports/device-registry.ts';
import type { SqliteDeviceRegistryConfig } from './config.ts';
import { generateDeviceSecret, hashDeviceSecret, isDeviceSecret } from './device-secret.ts';

interface DeviceTable {
  id: string;
  tenant: string;
  /** A JSON array of machine keys. */
  machines: string;
  enabled: number;
  created_at_ms: number;
  secret_hash: Uint8Array;
}

interface Schema {
  device: DeviceTable;
}

const migrations: readonly Migration[] = [
  {
    version: 1,
    up: async (db) => {
      await sql`create table device (
        id text primary key, tenant text not null, machines text not null, enabled integer not null,
        created_at_ms bigint not null, secret_hash blob not null)`.execute(db);
      await sql`create index device_tenant on device (tenant, id)`.execute(db);
    },
  },
];

/** Devices in a SQLite file that several processes may open. */
export class SqliteDeviceRegistry implements DeviceRegistry, AsyncDisposable {
  readonly #config: SqliteDeviceRegistryConfig;
  readonly #clock: Clock;
  readonly #file: SqliteFile<Schema>;

  static async open(config: SqliteDeviceRegistryConfig, clock: Clock = systemClock): Promise<SqliteDeviceRegistry> {
    const file = await SqliteFile.open<Schema>({
      path: config.databasePath,
      component: 'device-registry',
      migrations,
      changePollMs: config.changePollMs,
    });
    return new SqliteDeviceRegistry(config, file, clock);
  }

  private constructor(config: SqliteDeviceRegistryConfig, file: SqliteFile<Schema>, clock: Clock) {
    this.#config = config;
    this.#file = file;
    this.#clock = clock;
  }

  async addDevice(device: NewDevice, { signal }: CallOptions = {}): Promise<{ device: Device; secret: string }> {
    throwIfAborted(signal);
    if (!isName(device.id)) throw new PortError('invalid_argument', 'a device id is 1 to 64 of A-Z a-z 0-9 _ . -');
    const machines = this.#checkMachines(device.tenant, device.machines);
    const secret = generateDeviceSecret();
    const added: Device = { ...device, machines, enabled: true, createdAtMs: this.#clock.nowMs() };
    try {
      await this.#file.kysely.transaction().execute((db) => this.#insert(db, added, secret));
    } catch (error) {
      if (!isPortError(error) || error.code !== 'already_exists') throw error;
      throw new PortError('already_exists', `the device id ${device.id} is taken; choose another`, { cause: error });
    }
    this.#file.changed();
    return { device: added, secret };
  }

  async getDevice(id: DeviceId, { signal }: CallOptions = {}): Promise<Device | undefined> {
    throwIfAborted(signal);
    const row = await this.#find(id);
    return row && deviceOf(row);
  }

  async listDevices(tenant: TenantId, { signal }: CallOptions = {}): Promise<readonly Device[]> {
    throwIfAborted(signal);
    const query = this.#file.kysely.selectFrom('device').selectAll().where('tenant', '=', tenant).orderBy('id');
    return (await query.execute()).map(deviceOf);
  }

  async bindMachines(id: DeviceId, machines: readonly MachineKey[], { signal }: CallOptions = {}): Promise<Device> {
    throwIfAborted(signal);
    const row = await this.#find(id);
    if (!row) throw unknownDevice(id);
    const checked = this.#checkMachines(row.tenant as TenantId, machines);
    await this.#update(id, { machines: JSON.stringify(checked) });
    return { ...deviceOf(row), machines: checked };
  }

  async replaceSecret(id: DeviceId, { signal }: CallOptions = {}): Promise<string> {
    throwIfAborted(signal);
    const secret = generateDeviceSecret();
    await this.#update(id, { secret_hash: hashDeviceSecret(secret) });
    return secret;
  }

  async setEnabled(id: DeviceId, enabled: boolean, { signal }: CallOptions = {}): Promise<void> {
    throwIfAborted(signal);
    await this.#update(id, { enabled: enabled ? 1 : 0 });
  }

  async removeDevice(id: DeviceId, { signal }: CallOptions = {}): Promise<void> {
    throwIfAborted(signal);
    await this.#file.kysely.deleteFrom('device').where('id', '=', id).execute();
    this.#file.changed();
  }

  async authenticate(id: string, secret: string, { signal }: CallOptions = {}): Promise<Device | undefined> {
    throwIfAborted(signal);
    const row = await this.#find(id);
    const right = isDeviceSecret(secret, row?.secret_hash);
    return right && row && row.enabled !== 0 ? deviceOf(row) : undefined;
  }

  onChange(listener: () => void): () => void {
    return this.#file.onChange(listener);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #find(id: string): Promise<Selectable<DeviceTable> | undefined> {
    return this.#file.kysely.selectFrom('device').selectAll().where('id', '=', id).executeTakeFirst();
  }

  async #insert(db: Kysely<Schema>, device: Device, secret: string): Promise<void> {
    const { count } = await db
      .selectFrom('device')
      .select((expression) => expression.fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow();
    if (count >= this.#config.maxDevices) {
      throw new PortError('resource_exhausted', `there are ${this.#config.maxDevices} devices; remove some first`);
    }
    await db
      .insertInto('device')
      .values({
        id: device.id,
        tenant: device.tenant,
        machines: JSON.stringify(device.machines),
        enabled: 1,
        created_at_ms: device.createdAtMs,
        secret_hash: hashDeviceSecret(secret),
      })
      .execute();
  }

  async #update(
    id: DeviceId,
    values: Partial<Pick<DeviceTable, 'machines' | 'enabled' | 'secret_hash'>>,
  ): Promise<void> {
    const { numUpdatedRows } = await this.#file.kysely
      .updateTable('device')
      .set(values)
      .where('id', '=', id)
      .executeTakeFirst();
    if (numUpdatedRows === 0n) throw unknownDevice(id);
    this.#file.changed();
  }

  #checkMachines(tenant: TenantId, machines: readonly MachineKey[]): readonly MachineKey[] {
    if (machines.length > this.#config.maxMachinesPerDevice) {
      const limit = this.#config.maxMachinesPerDevice;
      throw new PortError('invalid_argument', `a device speaks for at most ${limit} machines, got ${machines.length}`);
    }
    const foreign = machines.find((key) => machineRef(key).tenant !== tenant);
    if (foreign !== undefined) throw new PortError('invalid_argument', `${foreign} is not a machine of ${tenant}`);
    return [...new Set(machines)];
  }
}

function deviceOf(row: Selectable<DeviceTable>): Device {
  return {
    id: row.id as DeviceId,
    tenant: row.tenant as TenantId,
    machines: JSON.parse(row.machines) as MachineKey[],
    enabled: row.enabled !== 0,
    createdAtMs: row.created_at_ms,
  };
}

function unknownDevice(id: DeviceId): PortError {
  return new PortError('not_found', `there is no device ${id}`);
}
