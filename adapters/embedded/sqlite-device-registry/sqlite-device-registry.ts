import { deviceTables, SqlDeviceRegistry, type DeviceSchema } from '#adapters/sql/device-registry.ts';
import { SqliteFile } from '#adapters/sql/sqlite-file.ts';
import { systemClock, type Clock } from '#core/clock.ts';
import type { SqliteDeviceRegistryConfig } from './config.ts';

/** Devices in a SQLite file that several processes may open. */
export class SqliteDeviceRegistry extends SqlDeviceRegistry {
  static async open(config: SqliteDeviceRegistryConfig, clock: Clock = systemClock): Promise<SqliteDeviceRegistry> {
    const file = await SqliteFile.open<DeviceSchema>({
      path: config.databasePath,
      ...deviceTables,
      changePollMs: config.changePollMs,
    });
    return new SqliteDeviceRegistry(file, clock, config);
  }
}
