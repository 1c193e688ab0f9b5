import { sql, type Kysely, type Selectable } from 'kysely';
import type { Clock } from '#core/clock.ts';
import { isName, machineRef, type DeviceId, type MachineKey, type TenantId } from '#core/domain/ids.ts';
import { isPortError, PortError, type CallOptions } from '#core/errors.ts';
import type { Device, DeviceRegistry, NewDevice } from '#core/ports/device-registry.ts';
import type { Movable, MovablePort } from '#core/moving/movable.ts';
import { abortable } from './abortable.ts';
import { generateDeviceSecret, hashDeviceSecret, isDeviceSecret } from './device-secret.ts';
import type { Migration } from './migrate.ts';
import { MovableTables, type MovedTable } from './movable-tables.ts';
import type { SqlDatabase } from './sql-database.ts';

/** Of all changes: devices change rarely, and are counted when one is added. */
const LOCK = 'devices';

interface DeviceTable {
  id: string;
  tenant: string;
  /** A JSON array of machine keys. */
  machines: string;
  enabled: number;
  created_at_ms: number;
  secret_hash: Uint8Array;
}

export interface DeviceSchema {
  device: DeviceTable;
}

const migrations: readonly Migration[] = [
  {
    version: 1,
    up: async (db, { text, bytes }) => {
      await sql`create table device (
        id ${text} primary key, tenant ${text} not null, machines ${text} not null, enabled integer not null,
        created_at_ms bigint not null, secret_hash ${bytes} not null)`.execute(db);
      await sql`create index device_tenant on device (tenant, id)`.execute(db);
    },
  },
];

export const deviceTables = { component: 'device-registry', migrations } as const;

const MOVED = {
  name: 'device',
  columns: ['id', 'tenant', 'machines', 'enabled', 'created_at_ms', 'secret_hash'],
  order: ['id'],
} as const satisfies MovedTable;

export interface DeviceLimits {
  readonly maxDevices: number;
  readonly maxMachinesPerDevice: number;
  /** Which no device is given: names that have other rights at the site's broker. */
  readonly reservedIds: readonly string[];
}

/** Devices in a database that several processes may open. */
export class SqlDeviceRegistry implements DeviceRegistry, MovablePort, AsyncDisposable {
  readonly movable: Movable;
  readonly #limits: DeviceLimits;
  readonly #clock: Clock;
  readonly #database: SqlDatabase<DeviceSchema>;

  constructor(database: SqlDatabase<DeviceSchema>, clock: Clock, limits: DeviceLimits) {
    this.#database = database;
    const require: MovedTable['require'] = ({ id }) =>
      this.#refuseReserved(id as string, 'register it by another where it is moved from');
    this.movable = new MovableTables(database, deviceTables, [{ ...MOVED, require }]);
    this.#clock = clock;
    this.#limits = limits;
  }

  async addDevice(device: NewDevice, { signal }: CallOptions = {}): Promise<{ device: Device; secret: string }> {
    return abortable(signal, async () => {
      if (!isName(device.id)) throw new PortError('invalid_argument', 'a device id is 1 to 64 of A-Z a-z 0-9 _ . -');
      this.#refuseReserved(device.id, 'choose another');
      const machines = this.#checkMachines(device.tenant, device.machines);
      const secret = generateDeviceSecret();
      const added: Device = { ...device, machines, enabled: true, createdAtMs: this.#clock.nowMs() };
      try {
        await this.#database.write(LOCK, (db) => this.#insert(db, added, secret));
      } catch (error) {
        if (!isPortError(error) || error.code !== 'already_exists') throw error;
        throw new PortError('already_exists', `the device id ${device.id} is taken; choose another`, { cause: error });
      }
      return { device: added, secret };
    });
  }

  async getDevice(id: DeviceId, { signal }: CallOptions = {}): Promise<Device | undefined> {
    return abortable(signal, async () => {
      const row = await this.#find(id);
      return row && deviceOf(row);
    });
  }

  async listDevices(tenant: TenantId, { signal }: CallOptions = {}): Promise<readonly Device[]> {
    return abortable(signal, async () => {
      const query = this.#database.kysely.selectFrom('device').selectAll().where('tenant', '=', tenant).orderBy('id');
      return (await query.execute()).map(deviceOf);
    });
  }

  async bindMachines(id: DeviceId, machines: readonly MachineKey[], { signal }: CallOptions = {}): Promise<Device> {
    return abortable(signal, async () => {
      const row = await this.#find(id);
      if (!row) throw unknownDevice(id);
      const checked = this.#checkMachines(row.tenant as TenantId, machines);
      await this.#update(id, { machines: JSON.stringify(checked) });
      return { ...deviceOf(row), machines: checked };
    });
  }

  async replaceSecret(id: DeviceId, { signal }: CallOptions = {}): Promise<string> {
    return abortable(signal, async () => {
      const secret = generateDeviceSecret();
      await this.#update(id, { secret_hash: hashDeviceSecret(secret) });
      return secret;
    });
  }

  async setEnabled(id: DeviceId, enabled: boolean, { signal }: CallOptions = {}): Promise<void> {
    return abortable(signal, async () => {
      await this.#update(id, { enabled: enabled ? 1 : 0 });
    });
  }

  async removeDevice(id: DeviceId, { signal }: CallOptions = {}): Promise<void> {
    return abortable(signal, async () => {
      await this.#database.write(LOCK, (db) => db.deleteFrom('device').where('id', '=', id).execute());
    });
  }

  async authenticate(id: string, secret: string, { signal }: CallOptions = {}): Promise<Device | undefined> {
    return abortable(signal, async () => {
      const row = await this.#find(id);
      const right = isDeviceSecret(secret, row?.secret_hash);
      return right && row && row.enabled !== 0 ? deviceOf(row) : undefined;
    });
  }

  onChange(listener: () => void): () => void {
    return this.#database.onChange(listener);
  }

  async close(): Promise<void> {
    await this.#database.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #find(id: string): Promise<Selectable<DeviceTable> | undefined> {
    return this.#database.kysely.selectFrom('device').selectAll().where('id', '=', id).executeTakeFirst();
  }

  async #insert(db: Kysely<DeviceSchema>, device: Device, secret: string): Promise<void> {
    const { count } = await db
      .selectFrom('device')
      .select((expression) => expression.fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow();
    if (count >= this.#limits.maxDevices) {
      throw new PortError('resource_exhausted', `there are ${this.#limits.maxDevices} devices; remove some first`);
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
    await this.#database.write(LOCK, async (db) => {
      const { numUpdatedRows } = await db.updateTable('device').set(values).where('id', '=', id).executeTakeFirst();
      if (numUpdatedRows === 0n) throw unknownDevice(id);
    });
  }

  #refuseReserved(id: string, remedy: string): void {
    if (!this.#limits.reservedIds.includes(id)) return;
    const why = "the site's broker gives rights by it that no device has (reservedIds of the device registry)";
    throw new PortError('invalid_argument', `the device id ${id} is reserved, as ${why}: ${remedy}`);
  }

  #checkMachines(tenant: TenantId, machines: readonly MachineKey[]): readonly MachineKey[] {
    if (machines.length > this.#limits.maxMachinesPerDevice) {
      const limit = this.#limits.maxMachinesPerDevice;
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
