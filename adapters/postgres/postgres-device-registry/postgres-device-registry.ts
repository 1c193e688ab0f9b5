import { deviceTables, SqlDeviceRegistry, type DeviceSchema } from '#adapters/sql/device-registry.ts';
import type { Clock } from '#core/clock.ts';
import { connectionOf } from '../connection-config.ts';
import { PostgresDatabase } from '../postgres-database.ts';
import type { PostgresDeviceRegistryConfig } from './config.ts';

/** Devices in PostgreSQL. */
export class PostgresDeviceRegistry extends SqlDeviceRegistry {
  static async open(config: PostgresDeviceRegistryConfig, clock: Clock): Promise<PostgresDeviceRegistry> {
    const connection = connectionOf(config);
    const database = await PostgresDatabase.open<DeviceSchema>({ connection, ...deviceTables });
    return new PostgresDeviceRegistry(database, clock, config);
  }
}
