import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { ClientBase } from 'pg';
import {
  columnsOf,
  importedLedger,
  isToBeTaken,
  nameOf,
  ORDS_A_DAY,
  partOf,
  ROLLUP_PART_DAYS,
  type HistoryPart,
  type NotedPart,
} from '../../history-parts.ts';
import { checkPart, inScratch, quoted, readPart } from '../../history-parquet.ts';
import { copyFrom } from './copy.ts';
import { makeDay, makePart } from './partitions.ts';
import { HOUR_MS } from './rollups.ts';
import { raiseVersion, widenDay } from './settler.ts';
import { loadState } from './store-memory.ts';

/** What is taken in, ready for PostgreSQL. */
export interface PreparedPart {
  readonly part: HistoryPart;
  readonly csv: string;
  readonly rows: number;
  readonly minTs: number;
  readonly maxTs: number;
  readonly lastOrd: number;
  readonly ledger: readonly (readonly [key: string, value: number])[];
}

/** Whether the part is to be taken in: see {@link isToBeTaken}. */
export async function isMissing(client: ClientBase, noted: NotedPart): Promise<boolean> {
  const { rows } = await client.query('SELECT name, part_id AS "partId" FROM ts_moved_parts');
  return isToBeTaken(noted, rows as NotedPart[], await loadState(client));
}

/** Runs work on the file's rows as CSV, which goes away afterwards. @throws PortError invalid_argument: see {@link checkPart}. */
export async function prepared<Result>(
  name: string,
  file: string,
  work: (part: PreparedPart) => Promise<Result>,
): Promise<Result> {
  const part = partOf(name);
  await checkPart(part, file);
  const csv = `${file}.csv`;
  try {
    return await work(await prepare(part, file, csv));
  } finally {
    await rm(csv, { force: true });
  }
}

function prepare(part: HistoryPart, file: string, csv: string): Promise<PreparedPart> {
  const { kind } = part;
  const columns = columnsOf(kind);
  const has = (wanted: string) => columns.some(([column]) => column === wanted);
  const texts = columns.flatMap(([column, type]) => (type === 'VARCHAR' || type === 'BLOB' ? [column] : []));
  return inScratch(file, async (duckDb) => {
    await duckDb.run(`
      COPY (SELECT ${columns.map((column) => cell(part, ...column)).join()} FROM ${readPart(file)}) TO ${quoted(csv)}
      (FORMAT csv, HEADER false, QUOTE '"', ESCAPE '"', NULLSTR ''${texts.length > 0 ? `, FORCE_QUOTE (${texts.join()})` : ''})`);
    const figures = await duckDb.runAndReadAll(`
      SELECT count(*), ${has('ts') ? 'min(ts), max(ts)' : 'NULL, NULL'}, ${has('ord') ? 'max(ord)' : 'NULL'} FROM ${readPart(file)}`);
    const [rows, minTs, maxTs, lastOrd] = figures.getRows()[0]!;
    const ledger =
      kind === 'ledger' ? (await duckDb.runAndReadAll(`SELECT key, value FROM ${readPart(file)}`)).getRows() : [];
    return {
      ...{ part, csv, rows: Number(rows) },
      minTs: Number(minTs ?? Number.MAX_SAFE_INTEGER),
      maxTs: Number(maxTs ?? -1),
      lastOrd: lastOrd === null ? 0 : Number(lastOrd) + baseOf(part),
      ledger: ledger.map(([key, value]) => [key as string, Number(value)] as const),
    };
  });
}

/** PostgreSQL's text holds no NUL; its bytes are written in hex. */
function cell(part: HistoryPart, column: string, type: string): string {
  if (type === 'VARCHAR') return `replace(${column}, chr(0), '\uFFFD') AS ${column}`;
  if (type === 'BLOB') return `'\\x' || lower(hex(${column})) AS ${column}`;
  return column === 'ord' ? `ord + ${baseOf(part)} AS ord` : column;
}

function baseOf({ kind, day }: HistoryPart): number {
  return kind === 'readings' || kind === 'events' ? day * ORDS_A_DAY : 0;
}

/** Takes the part in, with the note of it, in the client's open transaction. Returns false where it was taken in before. */
export async function importPart(client: ClientBase, noted: NotedPart, prepared: PreparedPart): Promise<boolean> {
  await client.query(`SELECT FROM ts_head WHERE name = 'settlement' FOR UPDATE`);
  if (!(await isMissing(client, noted))) return false;
  await takeRows(client, prepared);
  if (prepared.lastOrd > 0) {
    // The rollups have counted what was moved.
    for (const key of ['["accepted-order"]', '["rolled-order"]']) await raise(client, key, prepared.lastOrd);
  }
  await client.query('INSERT INTO ts_moved_parts VALUES ($1, $2)', [noted.name, noted.partId]);
  await raiseVersion(client);
  return true;
}

async function takeRows(client: ClientBase, prepared: PreparedPart): Promise<void> {
  const { kind, day } = prepared.part;
  switch (kind) {
    case 'readings':
    case 'events': {
      const table = `ts_${kind}_d${day}`;
      await makeDay(client, day);
      await copyIn(client, table, prepared);
      const rows = kind === 'readings' ? prepared.rows : 0;
      await widenDay(client, { ...prepared, day, rows });
      if (kind === 'readings') await client.query(SUMMARIZE, [table]);
      return;
    }
    case 'rollups-1m':
    case 'rollups-1h':
      return takeRollups(client, prepared, kind === 'rollups-1m' ? '1m' : '1h');
    case 'ledger':
      for (const [key, value] of importedLedger(prepared.ledger)) {
        await raise(client, key, key === RAW_FLOOR ? (Math.floor(value / HOUR_MS) + 1) * HOUR_MS : value);
      }
      return;
    default:
      return copyIn(client, `ts_${kind.replace('-', '_')}`, prepared);
  }
}

async function takeRollups(client: ClientBase, prepared: PreparedPart, tier: '1m' | '1h'): Promise<void> {
  const { day } = prepared.part;
  const number = day / ROLLUP_PART_DAYS;
  const table = `ts_rollups_${tier}_p${number}`;
  await makePart(client, tier, number);
  await client.query(`ALTER TABLE ${table} ALTER part SET DEFAULT ${number}`);
  await copyIn(client, table, prepared);
  await client.query(`ALTER TABLE ${table} ALTER part DROP DEFAULT`);
  if (tier === '1m') return;
  const minutes = await client.query('SELECT FROM ts_moved_parts WHERE name = $1', [nameOf('rollups-1m', day)]);
  if (minutes.rowCount === 0) await raise(client, '["minute-floor"]', number + 1);
}

async function copyIn(client: ClientBase, table: string, { part, csv }: PreparedPart): Promise<void> {
  const columns = columnsOf(part.kind).map(([column]) => column);
  await pipeline(createReadStream(csv), await copyFrom(client, `${table} (${columns.join()})`, 'csv'));
}

async function raise(client: ClientBase, key: string, value: number): Promise<void> {
  await client.query(
    'INSERT INTO ts_ledger_state AS s VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = greatest(s.value, excluded.value)',
    [key, value],
  );
}

const RAW_FLOOR = '["raw-floor-ms"]';
/** Block ranges that are not summarised are looked through by every query. */
const SUMMARIZE = `
  SELECT brin_summarize_new_values(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
  WHERE i.indrelid = $1::regclass AND a.amname = 'brin'`;
