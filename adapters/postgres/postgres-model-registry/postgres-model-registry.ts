import { modelTables, SqlModelRegistry, type ModelSchema } from '#adapters/sql/model-registry.ts';
import type { Clock } from '#core/clock.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { connectionOf } from '../connection-config.ts';
import { PostgresDatabase } from '../postgres-database.ts';
import type { PostgresModelRegistryConfig } from './config.ts';

/** Records of models in PostgreSQL; artifacts in an object store. */
export class PostgresModelRegistry extends SqlModelRegistry {
  static async open(
    config: PostgresModelRegistryConfig,
    objects: ObjectStore,
    clock: Clock,
  ): Promise<PostgresModelRegistry> {
    const connection = connectionOf(config);
    const database = await PostgresDatabase.open<ModelSchema>({ connection, ...modelTables });
    return new PostgresModelRegistry(database, objects, clock, config.maxVersionsPerModel);
  }
}
