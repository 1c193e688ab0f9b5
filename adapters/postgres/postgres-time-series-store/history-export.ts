import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { ClientBase } from 'pg';
import { PortError } from '#core/errors.ts';
import { columnsOf, ORDS_A_DAY, ROLLUP_PART_DAYS, type HistoryDays, type HistoryPart } from '../../history-parts.ts';
import { inScratch, quoted, writePart } from '../../history-parquet.ts';
import { copyTo } from './copy.ts';
import { partsOf } from './partitions.ts';

/** Which parts there are. The client's transaction sees a state in which rollups have caught up. */
export async function historyDays(client: ClientBase): Promise<HistoryDays> {
  const days = await client.query('SELECT day FROM ts_days ORDER BY day');
  const raw = await filled(
    client,
    (days.rows as { day: number }[]).map(({ day }) => day),
    (day) => [`ts_readings_d${day}`, `ts_events_d${day}`],
  );
  const ofTier = async (tier: '1m' | '1h') => {
    const parts = await filled(client, await partsOf(client, tier), (part) => [`ts_rollups_${tier}_p${part}`]);
    return parts.map((part) => part * ROLLUP_PART_DAYS);
  };
  return { raw, minutes: await ofTier('1m'), hours: await ofTier('1h') };
}

/** Those of the numbers of which one of the tables has rows. */
async function filled(
  client: ClientBase,
  numbers: readonly number[],
  tablesOf: (number: number) => readonly string[],
): Promise<number[]> {
  const found: number[] = [];
  for (const number of numbers) {
    const hasRows = tablesOf(number).map((table) => `EXISTS (SELECT FROM ${table})`);
    const { rows } = await client.query(`SELECT ${hasRows.join(' OR ')} AS filled`);
    if ((rows as { filled: boolean }[])[0]!.filled) found.push(number);
  }
  return found;
}

/** Writes the part's rows as CSV, text in hex: so nothing in it is for a reader to interpret. @throws PortError not_found */
export async function exportCsv(client: ClientBase, part: HistoryPart, csv: string): Promise<void> {
  const columns = columnsOf(part.kind).map(([column, type]) => {
    if (type === 'VARCHAR') return `encode(convert_to(${column}, 'UTF8'), 'hex')`;
    return type === 'BLOB' ? `encode(${column}, 'hex')` : column;
  });
  const rows = `(SELECT ${columns.join()} FROM (${await rowsOf(client, part)}) r)`;
  await pipeline(await copyTo(client, rows, 'csv'), createWriteStream(csv));
}

/** Makes the part of its CSV, through DuckDB as every store does. Returns the number of its rows. */
export function partOfCsv(part: HistoryPart, csv: string, file: string): Promise<number> {
  return inScratch(file, (duckDb) => writePart(duckDb, part, readCsv(part, csv), file));
}

async function rowsOf(client: ClientBase, part: HistoryPart): Promise<string> {
  const { kind, day } = part;
  switch (kind) {
    case 'readings':
    case 'events': {
      const columns = names(part).map((column) => (column === 'ord' ? `ord - ${day * ORDS_A_DAY} AS ord` : column));
      return `SELECT ${columns.join()} FROM ${await tableOf(client, part, `ts_${kind}_d${day}`)}`;
    }
    case 'rollups-1m':
    case 'rollups-1h': {
      const table = `ts_${kind.replace('-', '_')}_p${day / ROLLUP_PART_DAYS}`;
      return `SELECT ${names(part).join()} FROM ${await tableOf(client, part, table)}`;
    }
    case 'orphaned-objects':
      return 'SELECT DISTINCT object_key FROM ts_orphaned_objects';
    case 'ledger':
      return LEDGER_ROWS;
    case 'machines':
    case 'series':
    case 'latest':
      return `SELECT ${names(part).join()} FROM ts_${kind}`;
    default: {
      const columns = names(part).map((column) =>
        column === 'ord' ? 'dense_rank() OVER (ORDER BY ord) AS ord' : column,
      );
      return `SELECT ${columns.join()} FROM ts_${kind.replace('-', '_')}`;
    }
  }
}

function names({ kind }: HistoryPart): string[] {
  return columnsOf(kind).map(([column]) => column);
}

async function tableOf(client: ClientBase, { name }: HistoryPart, table: string): Promise<string> {
  const { rows } = await client.query('SELECT to_regclass($1) AS found', [table]);
  if ((rows as { found: string | null }[])[0]!.found !== null) return table;
  throw new PortError('not_found', `the history has no part ${name}`);
}

/** Here the floor is the first time that is whole again. */
const LEDGER_ROWS = `
  SELECT key, CASE key WHEN '["raw-floor-ms"]' THEN value - 1 ELSE value END AS value FROM ts_ledger_state
  WHERE starts_with(key, '["settled",') OR starts_with(key, '["conflicts",') OR key = '["raw-floor-ms"]'`;

/** More than a dead letter or a document takes in hex. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;

function readCsv({ kind }: HistoryPart, csv: string): string {
  const columns = columnsOf(kind);
  const inHex = (type: string) => type === 'VARCHAR' || type === 'BLOB';
  const types = columns.map(([column, type]) => `${column}: '${inHex(type) ? 'VARCHAR' : type}'`);
  const select = columns.map(([column, type]) => {
    if (!inHex(type)) return column;
    return `${type === 'VARCHAR' ? `decode(unhex(${column}))` : `unhex(${column})`} AS ${column}`;
  });
  return `
    SELECT ${select.join()} FROM read_csv(${quoted(csv)}, auto_detect = false, header = false, delim = ',', quote = '"', escape = '"',
      nullstr = '', allow_quoted_nulls = false, parallel = false, max_line_size = ${MAX_LINE_BYTES}, buffer_size = ${2 * MAX_LINE_BYTES},
      columns = { ${types.join()} })`;
}
