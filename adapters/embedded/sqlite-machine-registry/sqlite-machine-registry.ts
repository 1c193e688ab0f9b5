import { machineTables, SqlMachineRegistry, type MachineSchema } from '#adapters/sql/machine-registry.ts';
import { SqliteFile } from '#adapters/sql/sqlite-file.ts';
import type { SqliteMachineRegistryConfig } from './config.ts';

/** Machines in a SQLite file that several processes may open. */
export class SqliteMachineRegistry extends SqlMachineRegistry {
  static async open(config: SqliteMachineRegistryConfig): Promise<SqliteMachineRegistry> {
    const file = await SqliteFile.open<MachineSchema>({
      path: config.databasePath,
      ...machineTables,
      changePollMs: config.changePollMs,
    });
    return new SqliteMachineRegistry(file, config);
  }
}
