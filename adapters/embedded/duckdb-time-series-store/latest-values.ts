import type { DuckDBConnection } from '@duckdb/node-api';
import { LatestValues } from '#core/settlement/latest-values.ts';

/** Takes the values kept by the last sealing, and the rows that came after it. */
export async function loadLatestValues(
  connection: DuckDBConnection,
  seriesCount: number,
  openReadings: readonly string[],
): Promise<LatestValues> {
  const latest = new LatestValues();
  latest.reserve(seriesCount);
  const result = await connection.runAndReadAll(newestRows(['latest', ...openReadings]));
  for (const [series, ts, value, quality] of result.getRows()) {
    latest.update(series as number, Number(ts), value as number, quality as number);
  }
  return latest;
}

/** The newest row of each series in tables of readings; of rows of the same time, the last accepted. */
export function newestRows(tables: readonly string[]): string {
  const rows = tables.map((table) => `SELECT series_id, ts, value, quality, ord FROM ${table}`).join(' UNION ALL ');
  return `
    WITH readings AS (${rows})
    SELECT series_id, ts, arg_max(value, ord) AS value, arg_max(quality, ord) AS quality, max(ord) AS ord
    FROM readings JOIN (SELECT series_id, max(ts) AS ts FROM readings GROUP BY series_id) USING (series_id, ts)
    GROUP BY ALL`;
}
