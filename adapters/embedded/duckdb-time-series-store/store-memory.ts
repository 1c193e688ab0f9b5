import type { DuckDBConnection } from '@duckdb/node-api';
import type { MachineKey } from '#core/domain/ids.ts';
import { Dictionary } from '#core/settlement/dictionary.ts';
import type { LatestValues } from '#core/settlement/latest-values.ts';
import type { SettlementState } from '#core/settlement/settlement-state.ts';
import { loadLatestValues } from './latest-values.ts';
import { LedgerState } from './ledger-state.ts';
import { loadParts, readingsTable, type PartList } from './parts.ts';

/** What memory holds of one open database. */
export interface StoreMemory {
  readonly dictionary: Dictionary;
  readonly ledger: LedgerState;
  readonly state: SettlementState;
  readonly latest: LatestValues;
  parts: PartList;
  /** Series with minutes whose rollup is to be computed again; at least those. */
  readonly revisited: Set<number>;
  /** Readings settled since the last roll-up. */
  rowsToRollUp: number;
}

export async function loadMemory(connection: DuckDBConnection): Promise<StoreMemory> {
  const dictionary = await loadDictionary(connection);
  const ledger = await LedgerState.load(connection);
  const parts = await loadParts(connection);
  const latest = await loadLatestValues(connection, dictionary.seriesCount, parts.open('raw').map(readingsTable));
  const revisited = await connection.runAndReadAll('SELECT DISTINCT series_id FROM revisits');
  return {
    dictionary,
    ledger,
    state: ledger.state,
    latest,
    parts,
    revisited: new Set(revisited.getRows().map(([series]) => series as number)),
    rowsToRollUp: parts.open('raw').reduce((rows, part) => rows + part.rows, 0),
  };
}

async function loadDictionary(connection: DuckDBConnection): Promise<Dictionary> {
  const machines = await connection.runAndReadAll('SELECT machine_key FROM machines ORDER BY machine_id');
  const series = await connection.runAndReadAll('SELECT machine_id, metric, unit FROM series ORDER BY series_id');
  return Dictionary.from(
    machines.getRows().map(([key]) => key as MachineKey),
    series.getRows().map(([machineId, metric, unit]) => ({
      machineId: machineId as number,
      metric: metric as string,
      unit: unit as string | null,
    })),
  );
}
