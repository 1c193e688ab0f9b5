import {
  blobValue,
  DuckDBDataChunk,
  DuckDBDataChunkWriter,
  type DuckDBAppender,
  type DuckDBConnection,
  type DuckDBType,
  type DuckDBValue,
  type DuckDBVector,
} from '@duckdb/node-api';
import type { CellValue } from '#core/settlement/batch-writer.ts';

const CHUNK_ROWS = 2048;

/**
 * Bulk insertion into one table through one reused data chunk: a caller sets its columns' items at `row` and calls `endRow`.
 * No object is made a row. Rows land in the connection's open transaction no later than `flush`.
 */
export class TableAppender<Columns extends readonly DuckDBVector[]> {
  readonly columns: Columns;
  row = 0;
  readonly #chunk: DuckDBDataChunk;
  readonly #appender: DuckDBAppender;

  static async open<Columns extends readonly DuckDBVector[]>(
    connection: DuckDBConnection,
    table: string,
    types: readonly DuckDBType[],
  ): Promise<TableAppender<Columns>> {
    return new TableAppender<Columns>(await connection.createAppender(table), types);
  }

  private constructor(appender: DuckDBAppender, types: readonly DuckDBType[]) {
    this.#appender = appender;
    this.#chunk = DuckDBDataChunk.create(types, CHUNK_ROWS);
    this.columns = types.map((_, column) => this.#chunk.getColumnVector(column)) as unknown as Columns;
  }

  endRow(): void {
    this.row += 1;
    if (this.row === CHUNK_ROWS) this.#emit();
  }

  flush(): void {
    if (this.row > 0) this.#emit();
    this.#appender.flushSync();
  }

  /** Forgets what was not flushed. The appender is of no further use after a failed flush: open another. */
  discard(): void {
    this.row = 0;
    try {
      this.#appender.clear();
      this.#appender.closeSync();
    } catch {
      // An appender whose flush failed refuses to close as well; its memory goes with its finalizer.
    }
  }

  #emit(): void {
    for (const column of this.columns) column.flush();
    this.#chunk.rowCount = this.row;
    this.#appender.appendDataChunk(this.#chunk);
    this.row = 0;
    // Frees the strings of the chunk; its columns keep their memory.
    this.#chunk.reset();
  }
}

/** Inserts a few rows of any types in the connection's open transaction. */
export async function insertRows(
  connection: DuckDBConnection,
  table: string,
  rows: readonly (readonly CellValue[])[],
): Promise<void> {
  if (rows.length === 0) return;
  const appender = await connection.createAppender(table);
  try {
    const writer = DuckDBDataChunkWriter.forAppender(appender);
    for (const row of rows) writer.appendRow(row.map(duckDbValue));
    writer.flush();
    appender.flushSync();
  } finally {
    try {
      appender.closeSync();
    } catch {
      // The flush has already thrown.
    }
  }
}

function duckDbValue(value: CellValue): DuckDBValue {
  return value instanceof Uint8Array ? blobValue(value) : value;
}
