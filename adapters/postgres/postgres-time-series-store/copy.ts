import { Buffer } from 'node:buffer';
import { finished } from 'node:stream/promises';
import type { ClientBase } from 'pg';
import type { CellValue, WrittenEvent } from '#core/settlement/batch-writer.ts';
import type { WrittenReadings } from '#core/settlement/written-readings.ts';
import { loadSdk } from '../../sdk.ts';

type ColumnType = 'int2' | 'int4' | 'int8' | 'float8' | 'text' | 'bytea';

/** The columns of the tables that settlements write, in their order. */
const COLUMNS = {
  ts_machines: ['int4', 'text'],
  ts_series: ['int4', 'int4', 'text', 'text'],
  ts_revisits: ['int4', 'int8', 'int8'],
  ts_waveforms: [
    ...(['int8', 'int4', 'text', 'text', 'int8', 'float8', 'text', 'text', 'float8', 'int8', 'float8'] as const),
    ...(['text', 'text', 'int8'] as const),
  ],
  ts_documents: ['int8', 'int4', 'text', 'text', 'int8', 'int8', 'text', 'text', 'int8'],
  ts_rejections: ['int8', 'int4', 'text', 'int4', 'text', 'text', 'text', 'text', 'int8', 'text'],
  ts_dead_letters: ['int8', 'text', 'int4', 'text', 'text', 'text', 'bytea', 'text', 'text', 'int8'],
} as const satisfies Readonly<Record<string, readonly ColumnType[]>>;

/** Inserts rows in the client's open transaction. */
export async function copyRows(
  client: ClientBase,
  table: string,
  rows: readonly (readonly CellValue[])[],
): Promise<void> {
  if (rows.length === 0) return;
  const types: readonly ColumnType[] = COLUMNS[table as keyof typeof COLUMNS];
  const cells = rows.map((row) => row.map((value, at) => cell(types[at]!, value)));
  const size = cells.reduce((sum, row) => sum + 2 + row.reduce((bytes, each) => bytes + 4 + (each?.length ?? 0), 0), 0);
  const copy = new BinaryCopy(size);
  for (const row of cells) {
    copy.beginRow(row.length);
    for (const each of row) copy.bytes(each);
  }
  await send(client, table, copy);
}

const READING_BYTES = 2 + 5 * 4 + 8 + 8 + 8 + 4 + 2;

/** Inserts the readings by series, and as they were accepted within a series: see schema.ts. */
export async function copyReadings(client: ClientBase, written: WrittenReadings): Promise<void> {
  if (written.count === 0) return;
  const copy = new BinaryCopy(written.count * READING_BYTES);
  for (const at of bySeries(written)) {
    copy.beginRow(5);
    copy.int8(written.ord[at]!);
    copy.int8(written.ts[at]!);
    copy.float8(written.value[at]!);
    copy.int4(written.series[at]!);
    copy.int2(written.quality[at]!);
  }
  await send(client, 'ts_readings', copy);
}

/** A typed array of numbers sorts several times as fast as one with a comparison. */
function* bySeries({ count, series }: WrittenReadings): Generator<number> {
  const keys = new Float64Array(count);
  for (let at = 0; at < count; at++) keys[at] = series[at]! * count + at;
  keys.sort();
  for (const key of keys) yield key % count;
}

export async function copyEvents(client: ClientBase, events: readonly WrittenEvent[]): Promise<void> {
  if (events.length === 0) return;
  const ids = events.map(({ eventId }) => text(eventId));
  const copy = new BinaryCopy(ids.reduce((bytes, id) => bytes + 2 + 6 * 4 + 8 + 8 + 4 + 4 + 2 + id.length, 0));
  events.forEach(({ ord, ts, machineId, items, kind }, at) => {
    copy.beginRow(6);
    copy.int8(ord);
    copy.int8(ts);
    copy.int4(machineId);
    copy.int4(items);
    copy.int2(kind);
    copy.bytes(ids[at]!);
  });
  await send(client, 'ts_events', copy);
}

/** PostgreSQL's text holds no NUL. */
export function storableText(value: string): string {
  return value.replaceAll('\0', '\uFFFD');
}

function text(value: string): Buffer {
  return Buffer.from(storableText(value));
}

function cell(type: ColumnType, value: CellValue): Uint8Array | null {
  if (value === null) return null;
  if (type === 'text') return text(value as string);
  if (type === 'bytea') return value as Uint8Array;
  const number = Number(value);
  const bytes = Buffer.alloc(type === 'int2' ? 2 : type === 'int4' ? 4 : 8);
  if (type === 'float8') bytes.writeDoubleBE(number);
  else if (type === 'int8') bytes.writeBigInt64BE(BigInt(number));
  else bytes.writeIntBE(number, 0, bytes.length);
  return bytes;
}

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
const HEADER_BYTES = SIGNATURE.length + 8;

/** The binary format of COPY, see https://www.postgresql.org/docs/15/sql-copy.html#id-1.9.3.55.9.4 */
class BinaryCopy {
  readonly #buffer: Buffer;
  #at = HEADER_BYTES;

  constructor(bytes: number) {
    this.#buffer = Buffer.allocUnsafe(HEADER_BYTES + bytes + 2);
    SIGNATURE.copy(this.#buffer);
    this.#buffer.fill(0, SIGNATURE.length, HEADER_BYTES);
  }

  beginRow(cells: number): void {
    this.#at = this.#buffer.writeInt16BE(cells, this.#at);
  }

  int2(value: number): void {
    this.#at = this.#buffer.writeInt16BE(value, this.#buffer.writeInt32BE(2, this.#at));
  }

  int4(value: number): void {
    this.#at = this.#buffer.writeInt32BE(value, this.#buffer.writeInt32BE(4, this.#at));
  }

  /** A whole number that a double holds exactly. */
  int8(value: number): void {
    const high = Math.floor(value / 2 ** 32);
    const at = this.#buffer.writeInt32BE(high, this.#buffer.writeInt32BE(8, this.#at));
    this.#at = this.#buffer.writeUInt32BE(value - high * 2 ** 32, at);
  }

  float8(value: number): void {
    this.#at = this.#buffer.writeDoubleBE(value, this.#buffer.writeInt32BE(8, this.#at));
  }

  bytes(value: Uint8Array | null): void {
    this.#at = this.#buffer.writeInt32BE(value?.length ?? -1, this.#at);
    if (value === null) return;
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
  }

  end(): Buffer {
    this.#at = this.#buffer.writeInt16BE(-1, this.#at);
    return this.#buffer.subarray(0, this.#at);
  }
}

async function send(client: ClientBase, table: string, copy: BinaryCopy): Promise<void> {
  const stream = await copyFrom(client, table, 'binary');
  stream.end(copy.end());
  await finished(stream);
}

/** The library of COPY, loaded as client.ts loads that of the connections. */
async function copyStreams() {
  return loadSdk('PostgreSQL', async () => (await import('pg-copy-streams')).default);
}

/** Longer than any: the statement's own limit is lifted by who exports or backs up. */
const NO_LIMIT_MS = 2 ** 31 - 1;

/** The rows of a table, or of a query in parentheses. */
export async function copyTo(client: ClientBase, rows: string, format: 'binary' | 'csv') {
  const { to } = await copyStreams();
  const stream = client.query(
    Object.assign(to(`COPY ${rows} TO STDOUT (FORMAT ${format})`), { query_timeout: NO_LIMIT_MS }),
  );
  // By this the client takes notice that the statement is over, and stops its clock; the stream does not call it.
  stream.once('close', () => (stream as { callback?: () => void }).callback?.());
  return stream;
}

/** A stream that takes what {@link copyTo} gave in the format, into a table or some columns of it. */
export async function copyFrom(client: ClientBase, table: string, format: 'binary' | 'csv') {
  const { from } = await copyStreams();
  return client.query(
    Object.assign(from(`COPY ${table} FROM STDIN (FORMAT ${format})`), { query_timeout: NO_LIMIT_MS }),
  );
}
