import type { DuckDBConnection } from '@duckdb/node-api';
import { StateChange } from '#core/settlement/settlement-state.ts';
import {
  columnsOf,
  importedLedger,
  isToBeTaken,
  ORDS_A_DAY,
  partOf,
  ROLLUP_PART_DAYS,
  type HistoryPart,
  type NotedPart,
} from '../../history-parts.ts';
import { checkPart, readPart } from '../../history-parquet.ts';
import {
  createPart,
  eventsTable,
  readingsTable,
  recordPart,
  rollupsTable,
  widened,
  type Part,
  type Tier,
} from './parts.ts';
import { closedPart } from './rollups.ts';
import type { StoreMemory } from './store-memory.ts';
import { insertRows } from './table-appender.ts';

/**
 * Takes a part in, in one transaction with the note of it; false where it was before. Memory is not as the tables are afterwards: it is to be
 * loaded anew. @throws PortError already_exists, invalid_argument.
 */
export async function importPart(
  connection: DuckDBConnection,
  memory: StoreMemory,
  noted: NotedPart,
  file: string,
): Promise<boolean> {
  const part = partOf(noted.name);
  const found = await connection.runAndReadAll('SELECT name, part_id FROM moved_parts');
  const before = found.getRows().map(([name, partId]) => ({ name: name as string, partId: partId as string }));
  if (!isToBeTaken(noted, before, memory.state)) return false;
  await checkPart(part, file);
  const change = new StateChange(memory.state);
  try {
    await connection.run('BEGIN');
    await takeRows(connection, memory, change, part, file);
    await memory.ledger.write(connection, change);
    await insertRows(connection, 'moved_parts', [[noted.name, noted.partId]]);
    await connection.run('COMMIT');
    return true;
  } catch (error) {
    await connection.run('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

async function takeRows(
  connection: DuckDBConnection,
  memory: StoreMemory,
  change: StateChange,
  part: HistoryPart,
  file: string,
): Promise<void> {
  const { kind, day } = part;
  const rows = readPart(file);
  switch (kind) {
    case 'readings':
    case 'events': {
      const base = day * ORDS_A_DAY;
      const columns = columnsOf(kind).map(([column]) => (column === 'ord' ? `ord + ${base}` : column));
      const table = kind === 'readings' ? readingsTable : eventsTable;
      const into = closedPart(memory.parts, 'raw', day);
      await fill(connection, memory, into, table(into), `SELECT ${columns.join()} FROM ${rows}`, kind === 'readings');
      return raiseOrder(connection, change, `SELECT max(ord) + ${base} FROM ${rows}`);
    }
    case 'rollups-1m':
    case 'rollups-1h': {
      const tier: Tier = kind === 'rollups-1m' ? '1m' : '1h';
      // Of which of its days the newest row is nobody says: it is kept as if of the last.
      const into = { ...closedPart(memory.parts, tier, day), day: day + ROLLUP_PART_DAYS - 1 };
      const select = `SELECT series_id, ts, n, sum, min, max, ${tier === '1m' ? 'conflicts' : '0'} FROM ${rows}`;
      return fill(connection, memory, into, rollupsTable(into), select, true);
    }
    case 'latest':
      // Of no account among those that come later.
      await connection.run(`INSERT INTO latest SELECT series_id, ts, value, quality, 0 FROM ${rows}`);
      return;
    case 'ledger': {
      const found = await connection.runAndReadAll(`SELECT key, value FROM ${rows}`);
      const moved = found.getRows().map(([key, value]) => [key as string, Number(value)] as const);
      for (const [key, value] of importedLedger(moved)) change.values.set(key, value);
      return;
    }
    default: {
      const columns = columnsOf(kind).map(([column]) => column);
      await connection.run(
        `INSERT INTO ${kind.replace('-', '_')} (${columns.join()}) SELECT ${columns.join()} FROM ${rows}`,
      );
      if (columns.includes('ord')) await raiseOrder(connection, change, `SELECT max(ord) FROM ${rows}`);
    }
  }
}

/** Fills a table of a closed part. `isCounted`: its rows count as those of the part. */
async function fill(
  connection: DuckDBConnection,
  { parts }: StoreMemory,
  into: Part,
  table: string,
  select: string,
  isCounted: boolean,
): Promise<void> {
  if (!parts.closed(into.tier).some(({ name }) => name === into.name)) await connection.run(createPart(into));
  await connection.run(`INSERT INTO ${table} ${select}`);
  const found = await connection.runAndReadAll(`SELECT count(*), min(ts), max(ts) FROM ${table}`);
  const [rows, minTs, maxTs] = found.getRows()[0]!;
  if (minTs === null) return;
  const added = { ...into, rows: isCounted ? Number(rows) : 0, minTs: Number(minTs), maxTs: Number(maxTs) };
  await connection.run(recordPart(widened(into, added)));
}

/** What is accepted from now on comes after what was moved; the rollups have counted that. */
async function raiseOrder(connection: DuckDBConnection, change: StateChange, newest: string): Promise<void> {
  const found = await connection.runAndReadAll(newest);
  const ord = Number(found.getRows()[0]![0] ?? 0);
  change.raise(['accepted-order'], ord);
  change.raise(['rolled-order'], ord);
}
