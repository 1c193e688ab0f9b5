import type { DuckDBConnection } from '@duckdb/node-api';
import { Dictionary } from './dictionary.ts';
import { LatestValues } from './latest-values.ts';
import { loadParts, readingsTable, type PartList } from './parts.ts';
import { SettlementState } from './settlement-state.ts';

/** What memory holds of one open database. */
export interface StoreMemory {
  readonly dictionary: Dictionary;
  readonly state: SettlementState;
  readonly latest: LatestValues;
  parts: PartList;
  /** Series with minutes whose rollup is to be computed again; at least those. */
  readonly revisited: Set<number>;
  /** Readings settled since the last roll-up. */
  rowsToRollUp: number;
}

export async function loadMemory(connection: DuckDBConnection): Promise<StoreMemory> {
  const dictionary = await Dictionary.load(connection);
  const state = await SettlementState.load(connection);
  const parts = await loadParts(connection);
  const latest = await LatestValues.load(connection, dictionary.seriesCount, parts.open('raw').map(readingsTable));
  const revisited = await connection.runAndReadAll('SELECT DISTINCT series_id FROM revisits');
  return {
    dictionary,
    state,
    latest,
    parts,
    revisited: new Set(revisited.getRows().map(([series]) => series as number)),
    rowsToRollUp: parts.open('raw').reduce((rows, part) => rows + part.rows, 0),
  };
}
