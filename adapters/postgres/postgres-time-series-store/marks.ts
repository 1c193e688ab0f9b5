// Numbers of the ledger's state as SQL, so that a statement reads them in its own snapshot.

/** Rollups and newest values count what was accepted up to here. */
export const ROLLED_ORD = `coalesce((SELECT value FROM ts_ledger_state WHERE key = '["rolled-order"]'), 0)`;
/** Minutes of the parts below this are no longer kept. */
export const MINUTE_FLOOR = `coalesce((SELECT value FROM ts_ledger_state WHERE key = '["minute-floor"]'), 0)`;
/** Readings of the time up to here may have been dropped: their rollups cannot be computed again. */
export const RAW_FLOOR = `coalesce((SELECT value FROM ts_ledger_state WHERE key = '["raw-floor-ms"]'), 0)`;
