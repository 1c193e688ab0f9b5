import { ruleTables, SqlRuleStore, type RuleSchema } from '#adapters/sql/rule-store.ts';
import { SqliteFile } from '#adapters/sql/sqlite-file.ts';
import type { Clock } from '#core/clock.ts';
import type { SqliteRuleStoreConfig } from './config.ts';

/** Rules and their whole history in a SQLite file that several processes may open. */
export class SqliteRuleStore extends SqlRuleStore {
  static async open(config: SqliteRuleStoreConfig, clock: Clock): Promise<SqliteRuleStore> {
    const file = await SqliteFile.open<RuleSchema>({
      path: config.databasePath,
      ...ruleTables,
      changePollMs: config.changePollMs,
    });
    return new SqliteRuleStore(file, clock, config.maxRulesPerTenant);
  }
}
