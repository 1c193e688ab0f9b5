import type { DuckDBConnection } from '@duckdb/node-api';
import { SettlementState, type StateChange } from '#core/settlement/settlement-state.ts';
import { insertRows } from './table-appender.ts';

/**
 * The table `ledger_state`, an append-only journal in which the newest row of a key counts. This process owns the file, so memory answers
 * every question.
 */
export class LedgerState {
  readonly state: SettlementState;
  #version: number;

  static async load(connection: DuckDBConnection): Promise<LedgerState> {
    const found = await connection.runAndReadAll(
      'SELECT key, arg_max(value, version), max(version) FROM ledger_state GROUP BY key',
    );
    const rows = found.getRows();
    const state = new SettlementState(rows.map(([key, value]) => [key as string, Number(value)]));
    // Not as arguments of one call, which takes some 100,000: keys are never forgotten.
    return new LedgerState(
      state,
      rows.reduce((newest, [, , version]) => Math.max(newest, Number(version)), 0),
    );
  }

  private constructor(state: SettlementState, version: number) {
    this.state = state;
    this.#version = version;
  }

  /** Writes the change in the connection's open transaction. No two transactions have the same version. */
  async write(connection: DuckDBConnection, change: StateChange): Promise<void> {
    this.#version += 1;
    const version = BigInt(this.#version);
    await insertRows(
      connection,
      'ledger_state',
      [...change.values].map(([key, value]) => [key, BigInt(value), version]),
    );
  }
}

/** Takes the rows away that newer ones of their key have replaced. */
export const COMPACT_LEDGER_STATE = `
  DELETE FROM ledger_state WHERE (key, version) NOT IN (SELECT (key, max(version)) FROM ledger_state GROUP BY key)`;
