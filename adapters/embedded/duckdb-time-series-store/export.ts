import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import type { ExportQuery, TimeRange } from '#core/ports/time-series-store.ts';
import { DAY_MS, readingsTable, type PartList } from './parts.ts';
import type { StoreMemory } from './store-memory.ts';

/** What memory says of the readings to export. */
export interface ExportView {
  readonly parts: PartList;
  /** The series to take; undefined takes all. */
  readonly seriesIds: readonly number[] | undefined;
}

export function exportView({ parts, dictionary }: StoreMemory, { machines }: ExportQuery): ExportView {
  const seriesIds = machines?.flatMap((machine) =>
    [...(dictionary.find(machine)?.series.values() ?? [])].map(({ id }) => id),
  );
  return { parts, seriesIds };
}

/**
 * Writes the readings of the range as `readings-<day>.parquet`, one file a UTC day that has any. Rows of the same metric and time are all
 * there: the one with the highest `accepted_order` is the one that counts.
 */
export async function exportReadings(
  reader: DuckDBConnection,
  { parts, seriesIds }: ExportView,
  { fromMs, toMs }: TimeRange,
  folder: string,
): Promise<{ path: string; rows: number }[]> {
  const tables = parts.overlapping('raw', fromMs, toMs).map(readingsTable);
  if (tables.length === 0 || seriesIds?.length === 0) return [];
  await mkdir(folder, { recursive: true });
  const isWanted = seriesIds ? ` AND series_id IN (${seriesIds.join(', ')})` : '';
  const rowsWithin = (from: number, to: number) =>
    tables.map((table) => `SELECT * FROM ${table} WHERE ts >= ${from} AND ts < ${to}${isWanted}`).join(' UNION ALL ');
  const days = await reader.runAndReadAll(
    `SELECT DISTINCT ts // ${DAY_MS} AS day FROM (${rowsWithin(fromMs, toMs)}) ORDER BY day`,
  );
  const files: { path: string; rows: number }[] = [];
  for (const [day] of days.getRows()) {
    const startMs = Number(day) * DAY_MS;
    const path = join(folder, `readings-${new Date(startMs).toISOString().slice(0, 10)}.parquet`);
    const rows = rowsWithin(Math.max(fromMs, startMs), Math.min(toMs, startMs + DAY_MS));
    files.push({ path, rows: await copyToParquet(reader, rows, path) });
  }
  return files;
}

async function copyToParquet(reader: DuckDBConnection, rows: string, path: string): Promise<number> {
  const unfinished = `${path}.unfinished`;
  try {
    const copied = await reader.runAndReadAll(`
      COPY (
        SELECT split_part(machine_key, '/', 1) AS tenant, split_part(machine_key, '/', 2) AS site,
          split_part(machine_key, '/', 3) AS machine, metric, nullif(unit, '') AS unit, epoch_ms(ts) AS ts, value,
          ['good', 'uncertain', 'bad'][quality % 8 + 1] AS quality, ord AS accepted_order
        FROM (${rows}) JOIN series USING (series_id) JOIN machines USING (machine_id)
      ) TO '${unfinished.replaceAll("'", "''")}' (FORMAT parquet, COMPRESSION zstd)`);
    await rename(unfinished, path);
    return Number(copied.getRows()[0]![0]);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}
