import { sql } from 'kysely';
import {
  checkpointTables,
  SqlCheckpointStore,
  type CheckpointSchema,
  type LeaseTime,
} from '#adapters/sql/checkpoint-store.ts';
import type { Clock } from '#core/clock.ts';
import { PostgresDatabase } from '../postgres-database.ts';
import type { PostgresCheckpointStoreConfig } from './config.ts';

/** Checkpoints and leases in PostgreSQL. The time of leases is the server's. */
export class PostgresCheckpointStore extends SqlCheckpointStore {
  static async open(connection: PostgresCheckpointStoreConfig, clock: Clock): Promise<PostgresCheckpointStore> {
    const database = await PostgresDatabase.open<CheckpointSchema>({ connection, ...checkpointTables });
    return new PostgresCheckpointStore(database, clock, serverTime);
  }
}

const serverTime: LeaseTime = async (db) => {
  const now = sql<{ now: number }>`select (extract(epoch from clock_timestamp()) * 1000)::bigint as now`;
  return (await now.execute(db)).rows[0]!.now;
};
