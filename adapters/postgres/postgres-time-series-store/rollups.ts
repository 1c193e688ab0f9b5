import type { ClientBase } from 'pg';
import { DERIVED } from '#core/settlement/latest-values.ts';
import { ORDS_A_DAY } from '../../history-parts.ts';
import { acceptedWhenOf, PART_OF_ORD } from './partitions.ts';
import { RAW_FLOOR, ROLLED_ORD } from './marks.ts';

export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;

export function minuteOf(column: string): string {
  return `${column} / ${MINUTE_MS} * ${MINUTE_MS}`;
}

export function hourOf(column: string): string {
  return `${column} / ${HOUR_MS} * ${HOUR_MS}`;
}

/** Events of one roll-up: so many that it stays far within the time of a statement, whatever had to wait. */
const ROLL_UP_EVENTS = 20_000;

/**
 * Adds what was accepted next to the rollups and the newest values, in the client's open transaction, which nobody else does at the time.
 * Returns whether there was anything.
 */
export async function rollUp(client: ClientBase): Promise<boolean> {
  const { rows } = await client.query(
    `SELECT day, last_ord, ${ROLLED_ORD} AS from_ord FROM ts_days WHERE last_ord > ${ROLLED_ORD} ORDER BY day LIMIT 1`,
  );
  const [next] = rows as { day: number; last_ord: number; from_ord: number }[];
  if (!next) return false;
  const fromOrd = Math.max(next.from_ord, next.day * ORDS_A_DAY);
  const toOrd = Math.min(next.last_ord, fromOrd + ROLL_UP_EVENTS);
  // Nothing is known of the rows of a day that is being written: of the ways to join, only those that also bear many are good.
  await client.query('SET LOCAL enable_nestloop = off');
  await client.query(`
    WITH tail AS MATERIALIZED (
      SELECT series_id, ts, value, quality, ord FROM ts_readings WHERE ord > ${fromOrd} AND ord <= ${toOrd}
    ), minutes AS MATERIALIZED (
      SELECT series_id, ${minuteOf('ts')} AS minute, ${PART_OF_ORD} AS part, count(*) AS n, sum(value) AS sum, min(value) AS min,
        max(value) AS max, max(ts) AS newest_ts
      FROM tail GROUP BY 1, 2, 3
    ), into_minutes AS (
      INSERT INTO ts_rollups_1m AS r SELECT series_id, minute, part, n, sum, min, max, 0 FROM minutes
      ON CONFLICT (series_id, ts, part) DO UPDATE SET ${ADDED}
    ), into_hours AS (
      INSERT INTO ts_rollups_1h AS r
      SELECT series_id, ${hourOf('minute')}, part, sum(n), sum(sum), min(min), max(max) FROM minutes GROUP BY 1, 2, 3
      ON CONFLICT (series_id, ts, part) DO UPDATE SET ${ADDED}
    )
    INSERT INTO ts_latest AS l
    SELECT DISTINCT ON (series_id) series_id, ts, value, quality, ord FROM tail
    JOIN (SELECT series_id, max(newest_ts) AS ts FROM minutes GROUP BY series_id) newest USING (series_id, ts)
    ORDER BY series_id, ord DESC
    ON CONFLICT (series_id) DO UPDATE SET ts = excluded.ts, value = excluded.value, quality = excluded.quality, ord = excluded.ord
    WHERE excluded.ts >= l.ts`);
  await setState(client, '["rolled-order"]', toOrd);
  return true;
}

const ADDED = `n = r.n + excluded.n, sum = r.sum + excluded.sum, min = least(r.min, excluded.min), max = greatest(r.max, excluded.max)`;

/**
 * Computes minutes before that time again in which a reading came late or twice, from all their readings: the latest accepted of a time
 * counts, and each further value that devices sent for that time is a conflict. In the client's open transaction; returns how many.
 */
export async function repair(client: ClientBase, beforeMs: number, limit: number): Promise<number> {
  const due = `FROM ts_revisits WHERE ord <= ${ROLLED_ORD} AND minute_ms < ${beforeMs}`;
  await client.query(`
    CREATE TEMP TABLE ts_repairing ON COMMIT DROP AS
    SELECT series_id, minute_ms ${due} GROUP BY series_id, minute_ms ORDER BY minute_ms LIMIT ${limit}`);
  const found = await client.query(
    'SELECT count(*) AS count, min(minute_ms) AS "fromMs", max(minute_ms) AS "lastMs" FROM ts_repairing',
  );
  const { count, fromMs, lastMs } = (found.rows as { count: number; fromMs: number; lastMs: number }[])[0]!;
  if (count === 0) return 0;
  await client.query(`
    DELETE FROM ts_revisits v USING ts_repairing r
    WHERE v.series_id = r.series_id AND v.minute_ms = r.minute_ms AND v.ord <= ${ROLLED_ORD}`);
  await client.query(`DELETE FROM ts_repairing WHERE minute_ms < ${RAW_FLOOR}`);
  await client.query('ANALYZE ts_repairing');
  const toMs = lastMs + MINUTE_MS;
  await client.query(recomputed(fromMs, toMs, await acceptedWhenOf(client, fromMs, toMs)));
  await countConflicts(client);
  await client.query(
    'DELETE FROM ts_rollups_1m m USING ts_repairing r WHERE m.series_id = r.series_id AND m.ts = r.minute_ms',
  );
  await client.query('INSERT INTO ts_rollups_1m SELECT * FROM ts_repaired');
  await repairHours(client);
  await client.query('DROP TABLE ts_repairing, ts_repaired');
  return count;
}

/** SQL of the minutes in `ts_repairing` as rows of their tier. */
function recomputed(fromMs: number, toMs: number, acceptedWhen: string): string {
  return `
    CREATE TEMP TABLE ts_repaired ON COMMIT DROP AS
    SELECT series_id, minute_ms AS ts, max(part) AS part, count(*) AS n, sum(value) AS sum, min(value) AS min, max(value) AS max,
      sum(conflicts)::bigint AS conflicts
    FROM (
      SELECT series_id, minute_ms, ts, max(part) AS part, (array_agg(value ORDER BY ord DESC))[1] AS value,
        greatest(count(*) FILTER (WHERE from_device) - 1, 0) AS conflicts
      FROM (
        SELECT series_id, minute_ms, ts, value, max(ord) AS ord, max(${PART_OF_ORD}) AS part, bool_or(quality < ${DERIVED}) AS from_device
        FROM ts_readings JOIN ts_repairing USING (series_id)
        WHERE ts >= ${fromMs} AND ts < ${toMs} AND ${acceptedWhen} AND ord <= ${ROLLED_ORD} AND ${minuteOf('ts')} = minute_ms
        GROUP BY series_id, minute_ms, ts, value
      ) each_value GROUP BY series_id, minute_ms, ts
    ) each_time GROUP BY series_id, minute_ms`;
}

async function countConflicts(client: ClientBase): Promise<void> {
  const { rows } = await client.query(`
    SELECT split_part(machine_key, '/', 1) AS tenant, sum(conflicts)::bigint AS conflicts FROM (
      SELECT series_id, conflicts FROM ts_repaired WHERE conflicts > 0
      UNION ALL
      SELECT m.series_id, -m.conflicts FROM ts_rollups_1m m JOIN ts_repairing r ON m.series_id = r.series_id AND m.ts = r.minute_ms
      WHERE m.conflicts > 0
    ) c JOIN ts_series USING (series_id) JOIN ts_machines USING (machine_id) GROUP BY tenant`);
  for (const { tenant, conflicts } of rows as { tenant: string; conflicts: number }[]) {
    await client.query(
      `INSERT INTO ts_ledger_state AS s VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = s.value + excluded.value`,
      [JSON.stringify(['conflicts', tenant]), conflicts],
    );
  }
}

/** Sums the hours of the repaired minutes up again. */
async function repairHours(client: ClientBase): Promise<void> {
  const touched = `(SELECT DISTINCT series_id, ${hourOf('minute_ms')} AS hour FROM ts_repairing)`;
  await client.query(
    `DELETE FROM ts_rollups_1h h USING ${touched} t WHERE h.series_id = t.series_id AND h.ts = t.hour`,
  );
  await client.query(`
    INSERT INTO ts_rollups_1h
    SELECT m.series_id, t.hour, m.part, sum(m.n), sum(m.sum), min(m.min), max(m.max)
    FROM ${touched} t JOIN ts_rollups_1m m ON m.series_id = t.series_id AND m.ts >= t.hour AND m.ts < t.hour + ${HOUR_MS}
    GROUP BY m.series_id, t.hour, m.part`);
}

export async function setState(client: ClientBase, key: string, value: number): Promise<void> {
  await client.query(
    'INSERT INTO ts_ledger_state VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
    [key, value],
  );
}
