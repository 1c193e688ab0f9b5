import { checkpointTables, SqlCheckpointStore, type CheckpointSchema } from '#adapters/sql/checkpoint-store.ts';
import { SqliteFile } from '#adapters/sql/sqlite-file.ts';
import type { Clock } from '#core/clock.ts';
import type { SqliteCheckpointStoreConfig } from './config.ts';

/** Checkpoints and leases in a SQLite file. The time of leases is this machine's, which all holders share. */
export class SqliteCheckpointStore extends SqlCheckpointStore {
  static async open(config: SqliteCheckpointStoreConfig, clock: Clock): Promise<SqliteCheckpointStore> {
    const file = await SqliteFile.open<CheckpointSchema>({ path: config.databasePath, ...checkpointTables });
    return new SqliteCheckpointStore(file, clock, async () => clock.nowMs());
  }
}
