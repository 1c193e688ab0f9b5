import { randomUUID } from 'node:crypto';
import { finished } from 'node:stream/promises';
import type { Client } from 'pg';
import type { Postgres } from '#test/peers/postgres.ts';

export interface FloorOptions {
  readonly postgres: Postgres;
  readonly seconds: number;
  /** A transaction. */
  readonly messages: number;
  /** A message. */
  readonly metrics: number;
}

export interface FloorRate {
  readonly rowsPerS: number;
  readonly cpuUsPerRow: number;
}

/** COPY alone, the same rows a transaction made beforehand, into a table without index. */
export async function bareCopy({ postgres, seconds, messages, metrics }: FloorOptions): Promise<FloorRate> {
  const rows = binaryRows(messages, metrics);
  return measured(postgres, seconds, messages * metrics, async (client) => {
    await client.query('CREATE TABLE bare (message int, series int, ts bigint, value float8, quality smallint)');
    return async () => {
      await client.query('BEGIN');
      await copy(client, 'bare', '(FORMAT binary)', rows);
      await client.query('COMMIT');
    };
  });
}

/**
 * What a program without the adapter would do for the same promises, by SQL: in one transaction a batch's messages and rows by COPY into tables of the
 * session, receipts of those that are new, their rows into the day's partition with its BRIN index, their minutes' rollups, the ledger's counter and the
 * progress. The rows are made beforehand; the messages' names are not.
 */
export async function bareSettle(options: FloorOptions & { readonly machines: number }): Promise<FloorRate> {
  const { postgres, seconds, messages, metrics, machines } = options;
  const perMachine = Math.ceil(messages / machines);
  const series = (row: number): number => (Math.floor(row / metrics) % machines) * metrics + (row % metrics);
  const rows = binaryRows(messages, metrics, series, (row) => Math.floor(row / metrics / machines) * 1000);
  let batch = 0;
  return measured(postgres, seconds, messages * metrics, async (client) => {
    await client.query(SCHEMA);
    return async () => {
      const baseMs = batch++ * perMachine * 1000;
      const names = Array.from({ length: messages }, (_, i) => `${i}\tmachine-${i % machines}\te-${batch}-${i}\n`);
      await client.query('BEGIN');
      await copy(client, 'new_messages', '', names.join(''));
      await copy(client, 'new_rows', '(FORMAT binary)', rows);
      await client.query(SETTLE.replaceAll('$base', String(baseMs)));
      await client.query('COMMIT');
    };
  });
}

const SCHEMA = `
  CREATE TEMP TABLE new_messages (message int, machine text, event_id text) ON COMMIT DELETE ROWS;
  CREATE TEMP TABLE new_rows (message int, series int, ts bigint, value float8, quality smallint) ON COMMIT DELETE ROWS;
  CREATE TABLE receipts (machine text, event_id text, PRIMARY KEY (machine, event_id));
  CREATE TABLE readings (series int, ts bigint, value float8, quality smallint) PARTITION BY RANGE (ts);
  CREATE TABLE readings_now PARTITION OF readings DEFAULT;
  CREATE INDEX ON readings USING brin (series, ts);
  CREATE TABLE minutes (series int, minute bigint, count bigint, sum float8, least float8, most float8,
    PRIMARY KEY (series, minute));
  CREATE TABLE progress (stored bigint, last bigint);
  INSERT INTO progress VALUES (0, 0)`;

const SETTLE = `
  WITH fresh AS (
    INSERT INTO receipts SELECT machine, event_id FROM new_messages ON CONFLICT DO NOTHING RETURNING machine, event_id
  ), own AS (
    SELECT series, ts + $base AS ts, value, quality
    FROM fresh JOIN new_messages USING (machine, event_id) JOIN new_rows USING (message)
  ), stored AS (
    INSERT INTO readings SELECT series, ts, value, quality FROM own RETURNING series, ts, value
  ), rolled AS (
    INSERT INTO minutes AS had SELECT series, ts / 60000, count(*), sum(value), min(value), max(value)
    FROM stored GROUP BY 1, 2
    ON CONFLICT (series, minute) DO UPDATE SET count = had.count + excluded.count, sum = had.sum + excluded.sum,
      least = least(had.least, excluded.least), most = greatest(had.most, excluded.most)
    RETURNING 1
  )
  UPDATE progress SET stored = stored + (SELECT count(*) FROM stored), last = $base + (SELECT count(*) * 0 FROM rolled)`;

/** Batches one after another on a connection of its own, in a schema that is dropped at the end. */
async function measured(
  postgres: Postgres,
  seconds: number,
  batchRows: number,
  prepare: (client: Client) => Promise<() => Promise<void>>,
): Promise<FloorRate> {
  const { Client } = (await import('pg')).default;
  const { host, port, database, user } = postgres.freshConnection();
  const client = new Client({ host, port, database, user });
  await client.connect();
  const schema = `floor_${randomUUID().slice(0, 8)}`;
  await client.query(`CREATE SCHEMA ${schema}; SET search_path TO ${schema}`);
  const settle = await prepare(client);
  const [startedAt, cpuBefore] = [performance.now(), process.cpuUsage()];
  let batches = 0;
  for (; performance.now() - startedAt < seconds * 1000; batches++) await settle();
  const { user: userUs, system: systemUs } = process.cpuUsage(cpuBefore);
  const rows = batches * batchRows;
  const rowsPerS = rows / ((performance.now() - startedAt) / 1000);
  await client.query(`DROP SCHEMA ${schema} CASCADE`);
  await client.end();
  return { rowsPerS, cpuUsPerRow: (userUs + systemUs) / rows };
}

async function copy(client: Client, table: string, format: string, rows: Buffer | string): Promise<void> {
  const { from } = (await import('pg-copy-streams')).default;
  const stream = client.query(from(`COPY ${table} FROM STDIN ${format}`));
  stream.end(rows);
  await finished(stream);
}

/** Rows of (message, series, time, value, quality) in COPY's binary format. */
function binaryRows(
  messages: number,
  metrics: number,
  series: (row: number) => number = () => 0,
  ts: (row: number) => number = () => 0,
): Buffer {
  const header = Buffer.alloc(19);
  header.write('PGCOPY\n\xff\r\n\0', 'latin1');
  const rows = Array.from({ length: messages * metrics }, (_, index) => {
    const row = Buffer.alloc(ROW_BYTES);
    row.writeInt16BE(5, 0);
    row.writeInt32BE(4, 2);
    row.writeInt32BE(Math.floor(index / metrics), 6);
    row.writeInt32BE(4, 10);
    row.writeInt32BE(series(index), 14);
    row.writeInt32BE(8, 18);
    row.writeBigInt64BE(BigInt(ts(index)), 22);
    row.writeInt32BE(8, 30);
    row.writeDoubleBE(50 + Math.sin(index), 34);
    row.writeInt32BE(2, 42);
    return row;
  });
  return Buffer.concat([header, ...rows, Buffer.from('ffff', 'hex')]);
}

const ROW_BYTES = 48;
