import { auditTables, SqlAuditTrail, type AuditSchema } from '#adapters/sql/audit-trail.ts';
import { connectionOf } from '../connection-config.ts';
import { PostgresDatabase } from '../postgres-database.ts';
import type { PostgresAuditTrailConfig } from './config.ts';

/** Entries of the audit trail in PostgreSQL. */
export class PostgresAuditTrail extends SqlAuditTrail {
  static async open(config: PostgresAuditTrailConfig): Promise<PostgresAuditTrail> {
    const connection = connectionOf(config);
    const database = await PostgresDatabase.open<AuditSchema>({ connection, ...auditTables });
    return new PostgresAuditTrail(database, config.maxEntries);
  }
}
