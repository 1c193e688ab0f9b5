import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { PortError } from '#core/errors.ts';
import { columnsOf, HISTORY_FORM, orderOf, type HistoryPart } from './history-parts.ts';

/** Runs work on an empty database in memory, which writes what has no room there beside the file. */
export async function inScratch<Result>(
  file: string,
  work: (duckDb: DuckDBConnection) => Promise<Result>,
): Promise<Result> {
  const temporary = { temp_directory: `${dirname(file)}/.duckdb-temp` };
  const instance = await DuckDBInstance.create(':memory:', { threads: '1', memory_limit: '256MiB', ...temporary });
  const duckDb = await instance.connect();
  try {
    return await work(duckDb);
  } finally {
    duckDb.closeSync();
    instance.closeSync();
    await rm(temporary.temp_directory, { recursive: true, force: true });
  }
}

/** Writes the rows of a query, which has the columns of the part, as its file: whole, or not at all. Returns how many. */
export async function writePart(
  duckDb: DuckDBConnection,
  { name, kind }: HistoryPart,
  rows: string,
  file: string,
): Promise<number> {
  const unfinished = `${file}.unfinished`;
  const columns = columnsOf(kind).map(([column, type]) => `${column}::${type} AS ${column}`);
  try {
    // Rows come from a sort whatever they are read from, so that groups of rows end at the same places.
    const copied = await duckDb.runAndReadAll(`
      COPY (SELECT ${columns.join()} FROM (${rows}) ORDER BY ${orderOf(kind).join()}) TO ${quoted(unfinished)}
      (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880, KV_METADATA { form: '${HISTORY_FORM}', part: '${name}' })`);
    await rename(unfinished, file);
    return Number(copied.getRows()[0]![0]);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}

/** SQL of a part's rows. */
export function readPart(file: string): string {
  return `read_parquet(${quoted(file)})`;
}

/** Reads the whole file, apart from any store. @throws PortError invalid_argument: it is damaged, of another form, or another part. */
export async function checkPart({ name, kind }: HistoryPart, file: string): Promise<void> {
  await inScratch(file, async (duckDb) => {
    const said = await reading(file, async () => {
      const found = await duckDb.runAndReadAll(
        `SELECT decode(key), decode(value) FROM parquet_kv_metadata(${quoted(file)})`,
      );
      return new Map(found.getRows() as [string, string][]);
    });
    const form = said.get('form');
    if (form !== HISTORY_FORM) {
      throw new PortError(
        'invalid_argument',
        `${file} has the form ${form ?? 'of no export'}, this site ${HISTORY_FORM}: export and import with one release of Tribo`,
      );
    }
    if (said.get('part') !== name) {
      throw new PortError('invalid_argument', `${file} is the part ${said.get('part')}, not ${name}`);
    }
    const columns = columnsOf(kind).map(([column]) => column);
    await reading(file, () => duckDb.run(`SELECT bit_xor(hash(${columns.join()})) FROM ${readPart(file)}`));
  });
}

async function reading<Result>(file: string, read: () => Promise<Result>): Promise<Result> {
  try {
    return await read();
  } catch (cause) {
    const problem = `${file} is damaged, or no part of an export: ${String((cause as { message?: unknown }).message)}`;
    throw new PortError('invalid_argument', `${problem}; export it again`, { cause });
  }
}

/** A path or text as SQL. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
