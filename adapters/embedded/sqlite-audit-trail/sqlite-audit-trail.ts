import { auditTables, SqlAuditTrail, type AuditSchema } from '#adapters/sql/audit-trail.ts';
import { SqliteFile } from '#adapters/sql/sqlite-file.ts';
import type { SqliteAuditTrailConfig } from './config.ts';

/** Entries of the audit trail in a SQLite file that several processes may open. */
export class SqliteAuditTrail extends SqlAuditTrail {
  static async open(config: SqliteAuditTrailConfig): Promise<SqliteAuditTrail> {
    const file = await SqliteFile.open<AuditSchema>({
      path: config.databasePath,
      ...auditTables,
    });
    return new SqliteAuditTrail(file, config.maxEntries);
  }
}
