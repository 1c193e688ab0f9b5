import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import type { ClientBase } from 'pg';
import type { ExportQuery } from '#core/ports/time-series-store.ts';
import { copyTo } from './copy.ts';
import { acceptedWhenOf, DAY_MS } from './partitions.ts';

/**
 * Writes the readings of the range as `readings-<day>.parquet`, one file a UTC day that has any. PostgreSQL gives its rows as CSV, of which
 * DuckDB makes Parquet: neither holds a day in memory.
 */
export async function exportReadings(
  client: ClientBase,
  query: ExportQuery,
  folder: string,
): Promise<{ path: string; rows: number }[]> {
  const { fromMs, toMs, machines } = query;
  const seriesIds = machines && (await seriesOf(client, machines));
  if (seriesIds?.length === 0) return [];
  const ofSeries = seriesIds ? `AND series_id IN (${seriesIds.join()})` : '';
  const acceptedWhen = await acceptedWhenOf(client, fromMs, toMs);
  const within = (from: number, to: number) => `ts >= ${from} AND ts < ${to} AND ${acceptedWhen} ${ofSeries}`;
  const found = await client.query(
    `SELECT DISTINCT ts / ${DAY_MS} AS day FROM ts_readings WHERE ${within(fromMs, toMs)} ORDER BY day`,
  );
  const days = (found.rows as { day: number }[]).map(({ day }) => day);
  if (days.length === 0) return [];
  await mkdir(folder, { recursive: true });
  const instance = await DuckDBInstance.create(':memory:', { threads: '1', memory_limit: '256MiB' });
  const duckDb = await instance.connect();
  try {
    const files: { path: string; rows: number }[] = [];
    for (const day of days) {
      const startMs = day * DAY_MS;
      const path = join(folder, `readings-${new Date(startMs).toISOString().slice(0, 10)}.parquet`);
      const where = within(Math.max(fromMs, startMs), Math.min(toMs, startMs + DAY_MS));
      files.push({ path, rows: await exportDay(client, duckDb, where, path) });
    }
    return files;
  } finally {
    duckDb.closeSync();
    instance.closeSync();
  }
}

async function seriesOf(client: ClientBase, machines: readonly string[]): Promise<number[]> {
  const { rows } = await client.query(
    'SELECT series_id FROM ts_series JOIN ts_machines USING (machine_id) WHERE machine_key = ANY ($1)',
    [machines],
  );
  return (rows as { series_id: number }[]).map(({ series_id }) => series_id);
}

const COLUMNS = `{ tenant: 'VARCHAR', site: 'VARCHAR', machine: 'VARCHAR', metric: 'VARCHAR', unit: 'VARCHAR', ts: 'BIGINT',
  value: 'DOUBLE', quality: 'VARCHAR', accepted_order: 'BIGINT' }`;

async function exportDay(client: ClientBase, duckDb: DuckDBConnection, where: string, path: string): Promise<number> {
  const [csv, unfinished] = [`${path}.csv`, `${path}.unfinished`];
  try {
    const rows = `
      SELECT split_part(machine_key, '/', 1), split_part(machine_key, '/', 2), split_part(machine_key, '/', 3), metric, unit, ts, value,
        (ARRAY['good', 'uncertain', 'bad'])[quality % 8 + 1], ord
      FROM ts_readings JOIN ts_series USING (series_id) JOIN ts_machines USING (machine_id) WHERE ${where}`;
    await pipeline(await copyTo(client, `(${rows})`, 'csv'), createWriteStream(csv));
    const copied = await duckDb.runAndReadAll(`
      COPY (
        SELECT * REPLACE (epoch_ms(ts) AS ts)
        FROM read_csv(${quoted(csv)}, header = false, nullstr = '', allow_quoted_nulls = false, columns = ${COLUMNS})
      ) TO ${quoted(unfinished)} (FORMAT parquet, COMPRESSION zstd)`);
    await rename(unfinished, path);
    return Number(copied.getRows()[0]![0]);
  } finally {
    for (const each of [csv, unfinished]) await rm(each, { force: true });
  }
}

function quoted(path: string): string {
  return `'${path.replaceAll("'", "''")}'`;
}
