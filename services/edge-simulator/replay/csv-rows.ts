import { createReadStream } from 'node:fs';
import { CsvError, parse } from 'csv-parse';
import { isPortError, PortError } from '#core/errors.ts';
import { systemErrorCode } from '../system-error.ts';

export interface CsvRow {
  readonly cells: readonly string[];
  /** Line of the file, from 1. */
  readonly line: number;
  /** Where the next row begins in the file. */
  readonly endByte: number;
}

export interface CsvRange {
  readonly delimiter: string;
  readonly beginByte?: number;
  /** Exclusive. */
  readonly endByte?: number;
  /** Lines before `beginByte`. */
  readonly linesBefore?: number;
}

/**
 * The rows of a file, or of a part of it, by the block that is read: csv-parse hands each row over by callback, which is several times
 * as fast as its object stream, and the next block is read when the consumer asks for it. Empty lines are left out.
 */
export async function* csvRowBlocks(path: string, range: CsvRange): AsyncGenerator<CsvRow[], void, undefined> {
  const { delimiter, beginByte = 0, endByte, linesBefore = 0 } = range;
  if (endByte !== undefined && endByte <= beginByte) return;
  let rows: CsvRow[] = [];
  const parser = parse({
    delimiter,
    bom: beginByte === 0,
    trim: delimiter === ' ',
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: MAX_ROW_CHARACTERS,
    on_record: (cells: string[], { lines, bytes }) => {
      rows.push({ cells, line: linesBefore + lines, endByte: beginByte + bytes });
      return null;
    },
  });
  parser.resume();
  const file = createReadStream(path, {
    start: beginByte,
    ...(endByte === undefined ? {} : { end: endByte - 1 }),
    highWaterMark: BLOCK_BYTES,
  });
  try {
    for await (const block of file) {
      await done((callback) => parser.write(block, callback));
      const full = rows;
      rows = [];
      yield full;
    }
    // The last row may end without a line feed: it comes when the parser knows that nothing follows.
    await done((callback) => parser.end(callback));
    yield rows;
  } catch (error) {
    throw readError(path, linesBefore, error);
  } finally {
    parser.on('error', () => undefined);
    parser.destroy();
    file.destroy();
  }

  function done(act: (callback: (error?: Error | null) => void) => unknown): Promise<void> {
    return new Promise((resolve, reject) => {
      parser.once('error', reject);
      act((error) => {
        parser.off('error', reject);
        if (error) reject(error);
        else resolve();
      });
    });
  }
}

const BLOCK_BYTES = 256 * 1024;
const MAX_ROW_CHARACTERS = 1024 * 1024;

function readError(path: string, linesBefore: number, error: unknown): unknown {
  if (error instanceof CsvError) {
    const lines = typeof error['lines'] === 'number' ? error['lines'] : 0;
    return new PortError(
      'invalid_argument',
      `${path}:${linesBefore + lines} is not delimited text: ${error.message}; correct the line, or the mapping's delimiter`,
      { cause: error },
    );
  }
  const code = systemErrorCode(error);
  if (code === undefined || isPortError(error)) return error;
  return new PortError('not_found', `${path} cannot be read (${code})`, { cause: error });
}
