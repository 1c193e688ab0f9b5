import { DERIVED } from '#core/settlement/latest-values.ts';
import { ROLLUP_PART_DAYS } from '../../history-parts.ts';
import { newPart, readingsTable, rollupsTable, type Part, type PartList, type Tier } from './parts.ts';

export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;

/** The closed part that takes rows accepted on that day: an existing one, or a new one. */
export function closedPart(parts: PartList, tier: Tier, day: number): Part {
  const firstDay = tier === 'raw' ? day : Math.floor(day / ROLLUP_PART_DAYS) * ROLLUP_PART_DAYS;
  const name = `d${firstDay}`;
  return parts.closed(tier).find((part) => part.name === name) ?? newPart(tier, name, day);
}

/** SQL that counts the readings accepted after `fromOrd` up to `toOrd` into the open part of the minute tier. */
export function rollUp(readings: readonly Part[], into: Part, fromOrd: number, toOrd: number): string {
  const rows = readings
    .map((part) => `SELECT series_id, ts, value FROM ${readingsTable(part)} WHERE ord > ${fromOrd} AND ord <= ${toOrd}`)
    .join(' UNION ALL ');
  return `
    INSERT INTO ${rollupsTable(into)}
    SELECT series_id, ts // ${MINUTE_MS} * ${MINUTE_MS}, count(*), sum(value), min(value), max(value), 0
    FROM (${rows}) GROUP BY ALL`;
}

const JOINED = 'sum(n)::BIGINT, sum(sum), min(min), max(max), sum(conflicts)::BIGINT';

/** SQL that joins the partial rows of an open part into its closed part, sorted. */
export function joinMinutes(open: Part, minutes: Part): string {
  return `
    INSERT INTO ${rollupsTable(minutes)}
    SELECT series_id, ts, ${JOINED} FROM ${rollupsTable(open)} GROUP BY series_id, ts ORDER BY series_id, ts`;
}

/** SQL that sums rows of minutes up to hours; `where` restricts the minutes. */
export function joinHours(minutes: Part, hours: Part, where = 'true'): string {
  return `
    INSERT INTO ${rollupsTable(hours)}
    SELECT series_id, ts // ${HOUR_MS} * ${HOUR_MS} AS hour, ${JOINED}
    FROM ${rollupsTable(minutes)} WHERE ${where} GROUP BY series_id, hour ORDER BY series_id, hour`;
}

/**
 * SQL for minutes computed again from all their readings accepted up to `toOrd`: the latest accepted of a time counts, and each further
 * value that devices sent for that time is a conflict. `minutes` is a table of (series_id, minute_ms) within the bounds.
 */
export function recomputed(
  readings: readonly Part[],
  minutes: string,
  bounds: { readonly fromMs: number; readonly toMs: number; readonly toOrd: number },
): string {
  const rows = readings
    .map(
      (part) => `
        SELECT series_id, minute_ms, ts, value, quality, ord
        FROM ${readingsTable(part)} JOIN ${minutes} USING (series_id)
        WHERE ts >= ${bounds.fromMs} AND ts < ${bounds.toMs} AND ord <= ${bounds.toOrd}
          AND ts // ${MINUTE_MS} * ${MINUTE_MS} = minute_ms`,
    )
    .join(' UNION ALL ');
  return `
    SELECT series_id, minute_ms AS ts, count(*) AS n, sum(value) AS sum, min(value) AS min, max(value) AS max,
      sum(conflicts)::BIGINT AS conflicts
    FROM (
      SELECT series_id, minute_ms, ts, arg_max(value, ord) AS value,
        greatest(count(*) FILTER (from_device) - 1, 0) AS conflicts
      FROM (
        SELECT series_id, minute_ms, ts, value, max(ord) AS ord, bool_or(quality < ${DERIVED}) AS from_device
        FROM (${rows}) GROUP BY ALL
      )
      GROUP BY series_id, minute_ms, ts
    )
    GROUP BY series_id, minute_ms`;
}
