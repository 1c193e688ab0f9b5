import type { DuckDBConnection } from '@duckdb/node-api';
import { PortError } from '#core/errors.ts';

/**
 * Steps from an empty file to today's tables; a step that was released is never edited. Times are milliseconds since 1970, `ord` is the
 * order in which events were accepted. No table has a unique index: rows are new by construction, because settlement drops what it has
 * settled before.
 */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE machines (machine_id INTEGER, machine_key VARCHAR);
  CREATE TABLE series (series_id INTEGER, machine_id INTEGER, metric VARCHAR, unit VARCHAR);
  -- An append-only journal: the row with the highest version of a key counts.
  CREATE TABLE ledger_state (key VARCHAR, value BIGINT, version BIGINT);
  CREATE TABLE waveforms (
    ord BIGINT, machine_id INTEGER, waveform_id VARCHAR, sensor VARCHAR, ts BIGINT, sample_rate_hz DOUBLE, unit VARCHAR,
    encoding VARCHAR, scale DOUBLE, sample_count BIGINT, rpm DOUBLE, object_key VARCHAR, sha256 VARCHAR, accepted_at_ms BIGINT
  );
  CREATE TABLE documents (
    ord BIGINT, machine_id INTEGER, kind VARCHAR, document_id VARCHAR, revision BIGINT, ts BIGINT, sensor VARCHAR, document VARCHAR,
    accepted_at_ms BIGINT
  );
  CREATE TABLE rejections (
    ord BIGINT, item INTEGER, tenant VARCHAR, machine_id INTEGER, event_id VARCHAR, code VARCHAR, pointer VARCHAR, detail VARCHAR,
    at_ms BIGINT
  );
  CREATE TABLE dead_letters (
    ord BIGINT, tenant VARCHAR, machine_id INTEGER, stream VARCHAR, event_id VARCHAR, envelope VARCHAR, payload BLOB, code VARCHAR,
    detail VARCHAR, at_ms BIGINT
  );
  -- Minutes of series in which a reading came that was not the series' newest: their rollups are to be computed again.
  CREATE TABLE revisits (series_id INTEGER, minute_ms BIGINT, ord BIGINT);
  -- Newest rows of the series of sealed parts; the newest of a series counts (latest-values.ts).
  CREATE TABLE latest (series_id INTEGER, ts BIGINT, value DOUBLE, quality UTINYINT, ord BIGINT);
  CREATE TABLE orphaned_objects (object_key VARCHAR);
  -- Which tables hold readings, events and rollups (parts.ts).
  CREATE TABLE parts (tier VARCHAR, name VARCHAR, day INTEGER, row_count BIGINT, min_ts BIGINT, max_ts BIGINT);
  `,
  // The name of a machine that nobody has described, where machine_id is null: made-up names get no number (batch-writer.ts).
  'ALTER TABLE rejections ADD COLUMN machine_key VARCHAR',
  // From here on readings are kept in the unit of the catalogue at their time; NULL is none. What was kept before does not say (dictionary.ts).
  "UPDATE series SET unit = '' WHERE unit IS NULL",
  // Which parts of a site that was moved here were taken in (history-import.ts).
  'CREATE TABLE moved_parts (name VARCHAR, part_id VARCHAR)',
];

/** What this program reads and writes. */
export const SCHEMA_VERSION = MIGRATIONS.length;

/** Brings the tables up to date, each step in its own transaction. @throws PortError failed_precondition: written by a newer Tribo. */
export async function migrate(connection: DuckDBConnection): Promise<void> {
  await connection.run('CREATE TABLE IF NOT EXISTS schema_version (version INTEGER)');
  const found = await connection.runAndReadAll('SELECT coalesce(max(version), 0) FROM schema_version');
  const version = found.getRows()[0]![0] as number;
  if (version > SCHEMA_VERSION) {
    throw new PortError(
      'failed_precondition',
      `the time-series store has format ${version}, this Tribo knows up to ${SCHEMA_VERSION}: start the newer Tribo, or restore a backup`,
    );
  }
  for (let next = version; next < SCHEMA_VERSION; next++) {
    await connection.run(`BEGIN; ${MIGRATIONS[next]!}; INSERT INTO schema_version VALUES (${next + 1}); COMMIT;`);
  }
}
