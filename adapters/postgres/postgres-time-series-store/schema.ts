import { sql } from 'kysely';
import type { Migration } from '../../sql/migrate.ts';

/**
 * Times are milliseconds since 1970. `ord` is the order in which events were accepted; it begins with the day of acceptance (partitions.ts),
 * so that it is the key by which readings and events are partitioned. Readings have no unique index: they are new by construction, because
 * settlement drops what it has settled before. Within a settlement they are laid out by series, so that block ranges are of few series.
 */
const FIRST = `
  CREATE TABLE ts_head (name text PRIMARY KEY, version bigint NOT NULL);
  INSERT INTO ts_head VALUES ('settlement', 0), ('maintenance', 0);
  CREATE TABLE ts_machines (machine_id int PRIMARY KEY, machine_key text COLLATE "C" NOT NULL UNIQUE);
  CREATE TABLE ts_series (series_id int PRIMARY KEY, machine_id int NOT NULL, metric text COLLATE "C" NOT NULL, unit text COLLATE "C");
  CREATE INDEX ON ts_series (machine_id, metric);
  CREATE TABLE ts_ledger_state (key text COLLATE "C" PRIMARY KEY, value bigint NOT NULL) WITH (fillfactor = 50);
  CREATE TABLE ts_readings (
    ord bigint NOT NULL, ts bigint NOT NULL, value double precision NOT NULL, series_id int NOT NULL, quality smallint NOT NULL
  ) PARTITION BY RANGE (ord);
  CREATE INDEX ON ts_readings USING brin (series_id, ts, ord) WITH (pages_per_range = 16);
  CREATE TABLE ts_events (
    ord bigint NOT NULL, ts bigint NOT NULL, machine_id int NOT NULL, items int NOT NULL, kind smallint NOT NULL,
    event_id text COLLATE "C" NOT NULL
  ) PARTITION BY RANGE (ord);
  CREATE INDEX ON ts_events (machine_id, ts);
  -- Which days have partitions of readings and events, the order of their newest, and the span of their rows' own time.
  CREATE TABLE ts_days (
    day int PRIMARY KEY, row_count bigint NOT NULL, last_ord bigint NOT NULL, min_ts bigint NOT NULL, max_ts bigint NOT NULL
  );
  -- A bucket is the sum of its rows: one for each part, which is a span of days of acceptance.
  CREATE TABLE ts_rollups_1m (
    series_id int NOT NULL, ts bigint NOT NULL, part int NOT NULL, n bigint NOT NULL, sum double precision NOT NULL,
    min double precision NOT NULL, max double precision NOT NULL, conflicts bigint NOT NULL, PRIMARY KEY (series_id, ts, part)
  ) PARTITION BY LIST (part);
  CREATE TABLE ts_rollups_1h (
    series_id int NOT NULL, ts bigint NOT NULL, part int NOT NULL, n bigint NOT NULL, sum double precision NOT NULL,
    min double precision NOT NULL, max double precision NOT NULL, PRIMARY KEY (series_id, ts, part)
  ) PARTITION BY LIST (part);
  -- Minutes of series in which a reading came that was not the series' newest: their rollups are to be computed again.
  CREATE TABLE ts_revisits (series_id int NOT NULL, minute_ms bigint NOT NULL, ord bigint NOT NULL);
  CREATE INDEX ON ts_revisits (series_id, minute_ms);
  -- The newest reading of a series, of those that are rolled up.
  CREATE TABLE ts_latest (
    series_id int PRIMARY KEY, ts bigint NOT NULL, value double precision NOT NULL, quality smallint NOT NULL, ord bigint NOT NULL
  ) WITH (fillfactor = 70);
  CREATE TABLE ts_waveforms (
    ord bigint PRIMARY KEY, machine_id int NOT NULL, waveform_id text COLLATE "C" NOT NULL, sensor text COLLATE "C" NOT NULL,
    ts bigint NOT NULL, sample_rate_hz double precision NOT NULL, unit text NOT NULL, encoding text NOT NULL, scale double precision NOT NULL,
    sample_count bigint NOT NULL, rpm double precision, object_key text COLLATE "C" NOT NULL, sha256 text NOT NULL, accepted_at_ms bigint NOT NULL
  );
  CREATE INDEX ON ts_waveforms (machine_id, ts);
  CREATE INDEX ON ts_waveforms (waveform_id);
  CREATE INDEX ON ts_waveforms (object_key);
  CREATE TABLE ts_documents (
    ord bigint PRIMARY KEY, machine_id int NOT NULL, kind text NOT NULL, document_id text COLLATE "C" NOT NULL, revision bigint NOT NULL,
    ts bigint NOT NULL, sensor text COLLATE "C", document text NOT NULL, accepted_at_ms bigint NOT NULL
  );
  CREATE INDEX ON ts_documents (machine_id, kind, ts);
  CREATE INDEX ON ts_documents (document_id);
  CREATE TABLE ts_rejections (
    ord bigint NOT NULL, item int NOT NULL, tenant text COLLATE "C" NOT NULL, machine_id int, event_id text COLLATE "C" NOT NULL,
    code text NOT NULL, pointer text NOT NULL, detail text NOT NULL, at_ms bigint NOT NULL, machine_key text COLLATE "C",
    PRIMARY KEY (ord, item)
  );
  CREATE INDEX ON ts_rejections (tenant, ord, item);
  CREATE INDEX ON ts_rejections (machine_id, event_id);
  CREATE TABLE ts_dead_letters (
    ord bigint PRIMARY KEY, tenant text COLLATE "C" NOT NULL, machine_id int NOT NULL, stream text NOT NULL, event_id text COLLATE "C" NOT NULL,
    envelope text NOT NULL, payload bytea NOT NULL, code text NOT NULL, detail text NOT NULL, at_ms bigint NOT NULL
  );
  CREATE INDEX ON ts_dead_letters (tenant, ord);
  CREATE INDEX ON ts_dead_letters (machine_id, event_id);
  CREATE TABLE ts_orphaned_objects (object_key text COLLATE "C" NOT NULL);
`;

export const timeSeriesTables: { readonly component: string; readonly migrations: readonly Migration[] } = {
  component: 'time-series-store',
  migrations: [
    {
      version: 1,
      up: async (db) => {
        for (const statement of FIRST.split(/;\s*\n/)) {
          if (statement.trim() !== '') await sql.raw(statement).execute(db);
        }
      },
    },
    {
      version: 2,
      up: async (db) => {
        // The order of what was moved here is of no account among what comes later.
        await sql`ALTER TABLE ts_latest ALTER ord SET DEFAULT 0`.execute(db);
        await sql`CREATE TABLE ts_moved_parts (name text COLLATE "C" PRIMARY KEY, part_id text COLLATE "C" NOT NULL UNIQUE)`.execute(
          db,
        );
      },
    },
  ],
};
