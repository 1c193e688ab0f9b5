import { machineTables, SqlMachineRegistry, type MachineSchema } from '#adapters/sql/machine-registry.ts';
import { connectionOf } from '../connection-config.ts';
import { PostgresDatabase } from '../postgres-database.ts';
import type { PostgresMachineRegistryConfig } from './config.ts';

/** Machines in PostgreSQL. */
export class PostgresMachineRegistry extends SqlMachineRegistry {
  static async open(config: PostgresMachineRegistryConfig): Promise<PostgresMachineRegistry> {
    const connection = connectionOf(config);
    const database = await PostgresDatabase.open<MachineSchema>({ connection, ...machineTables });
    return new PostgresMachineRegistry(database, config);
  }
}
