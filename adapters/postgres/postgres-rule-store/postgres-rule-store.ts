import { ruleTables, SqlRuleStore, type RuleSchema } from '#adapters/sql/rule-store.ts';
import type { Clock } from '#core/clock.ts';
import { connectionOf } from '../connection-config.ts';
import { PostgresDatabase } from '../postgres-database.ts';
import type { PostgresRuleStoreConfig } from './config.ts';

/** Rules and their whole history in PostgreSQL. */
export class PostgresRuleStore extends SqlRuleStore {
  static async open(config: PostgresRuleStoreConfig, clock: Clock): Promise<PostgresRuleStore> {
    const connection = connectionOf(config);
    const database = await PostgresDatabase.open<RuleSchema>({ connection, ...ruleTables });
    return new PostgresRuleStore(database, clock, config.maxRulesPerTenant);
  }
}
