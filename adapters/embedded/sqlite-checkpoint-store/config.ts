/** The SQLite file; other stores may share it. */
export interface SqliteCheckpointStoreConfig {
  readonly databasePath: string;
}
