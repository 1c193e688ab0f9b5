import type { DuckDBConnection } from '@duckdb/node-api';
import type { AskedEvent } from '#core/settlement/duplicates.ts';
import { eventsTable, type PartList } from './parts.ts';
import { insertRows } from './table-appender.ts';

/** The places of those that were settled before, in the terms of core/settlement/duplicates.ts. */
export async function findStored(
  connection: DuckDBConnection,
  parts: PartList,
  asked: readonly AskedEvent[],
): Promise<number[]> {
  const times = asked.map(({ ts }) => ts);
  await connection.run(
    'CREATE OR REPLACE TEMP TABLE asked (place INTEGER, machine_id INTEGER, kind UTINYINT, ts BIGINT, event_id VARCHAR)',
  );
  const rows = asked.map(({ place, machineId, kind, ts, eventId }) => [place, machineId, kind, BigInt(ts), eventId]);
  await insertRows(connection, 'asked', rows);
  const stored = parts
    .overlapping('raw', Math.min(...times), Math.max(...times) + 1)
    .map((part) => `SELECT place FROM asked JOIN ${eventsTable(part)} USING (machine_id, ts, kind, event_id)`);
  const result = await connection.runAndReadAll(
    [
      ...stored,
      'SELECT place FROM asked JOIN rejections USING (machine_id, event_id)',
      'SELECT place FROM asked JOIN dead_letters USING (machine_id, event_id)',
    ].join(' UNION '),
  );
  return result.getRows().map(([place]) => place as number);
}
