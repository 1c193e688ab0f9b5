import { modelTables, SqlModelRegistry, type ModelSchema } from '#adapters/sql/model-registry.ts';
import { SqliteFile } from '#adapters/sql/sqlite-file.ts';
import type { Clock } from '#core/clock.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { SqliteModelRegistryConfig } from './config.ts';

/** Records of models in a SQLite file that several processes may open; artifacts in an object store. */
export class SqliteModelRegistry extends SqlModelRegistry {
  static async open(
    config: SqliteModelRegistryConfig,
    objects: ObjectStore,
    clock: Clock,
  ): Promise<SqliteModelRegistry> {
    const file = await SqliteFile.open<ModelSchema>({
      path: config.databasePath,
      ...modelTables,
      changePollMs: config.changePollMs,
    });
    return new SqliteModelRegistry(file, objects, clock, config.maxVersionsPerModel);
  }
}
