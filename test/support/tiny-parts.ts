import type { MaintenanceLimits } from '#adapters/embedded/duckdb-time-series-store/maintenance.ts';

/** Limits of a DuckDB store so low that every case sees sorted parts, joined rollups and repairs in several steps. */
export const TINY_PARTS: Partial<MaintenanceLimits> = {
  sealRows: 1,
  joinRollupRows: 1,
  rollUpRows: 1,
  rollUpAfterMs: 0,
  repairMinutes: 3,
  checkpointBytes: 1,
};
