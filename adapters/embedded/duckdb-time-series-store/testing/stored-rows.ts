import { join } from 'node:path';
import { DuckDBInstance, type DuckDBConnection, type DuckDBValue } from '@duckdb/node-api';
import type { MachineKey } from '#core/domain/ids.ts';
import { DERIVED } from '#core/settlement/latest-values.ts';

export interface StoredEventRow {
  readonly eventId: string;
  readonly ts: number;
}

export interface ReadingRow {
  readonly metric: string;
  readonly ts: number;
  readonly value: number;
}

/**
 * What is in the file of a store that is closed, read by SQL past the store itself: an oracle that takes neither the store's counters nor
 * its memory for true, and sees events and the readings that they brought apart.
 */
export class StoredRows implements Disposable {
  readonly #instance: DuckDBInstance;
  readonly #connection: DuckDBConnection;

  static async open(directory: string): Promise<StoredRows> {
    const instance = await DuckDBInstance.create(join(directory, 'timeseries.duckdb'));
    const connection = await instance.connect();
    const parts = await connection.runAndReadAll(`SELECT name FROM parts WHERE tier = 'raw'`);
    const names = parts.getRows().map(([name]) => name as string);
    for (const [table, columns] of Object.entries(COLUMNS)) {
      const all = names.map((name) => `SELECT ${columns} FROM ${table}_${name}`);
      await connection.run(`CREATE TEMP VIEW all_${table} AS ${all.join(' UNION ALL ')}`);
    }
    return new StoredRows(instance, connection);
  }

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection) {
    this.#instance = instance;
    this.#connection = connection;
  }

  /** Readings and waveforms of all machines: what the ledger has to count as stored. */
  async items(): Promise<number> {
    const [[items] = []] = await this.#rows(
      `SELECT (SELECT count(*) FROM all_readings WHERE ${MEASURED}) + (SELECT count(*) FROM waveforms)`,
    );
    return Number(items);
  }

  async eventsOf(machine: MachineKey): Promise<StoredEventRow[]> {
    const rows = await this.#rows(
      'SELECT event_id, ts FROM all_events JOIN machines USING (machine_id) WHERE machine_key = $machine',
      { machine },
    );
    return rows.map(([eventId, ts]) => ({ eventId: eventId as string, ts: Number(ts) }));
  }

  async readingsOf(machine: MachineKey): Promise<ReadingRow[]> {
    const rows = await this.#rows(
      `SELECT metric, ts, value FROM all_readings JOIN series USING (series_id) JOIN machines USING (machine_id)
       WHERE machine_key = $machine AND ${MEASURED}`,
      { machine },
    );
    return rows.map(([metric, ts, value]) => ({ metric: metric as string, ts: Number(ts), value: value as number }));
  }

  [Symbol.dispose](): void {
    this.#connection.closeSync();
    this.#instance.closeSync();
  }

  async #rows(sql: string, values: Record<string, DuckDBValue> = {}): Promise<DuckDBValue[][]> {
    return (await this.#connection.runAndReadAll(sql, values)).getRows();
  }
}

const COLUMNS = { events: 'machine_id, ts, event_id', readings: 'series_id, ts, value, quality' } as const;

/** Values that a stage computed are stored as readings too, but nobody sent them, and no ledger counts them. */
const MEASURED = `quality < ${DERIVED}`;
