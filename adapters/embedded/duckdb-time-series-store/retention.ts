import { listValue, type DuckDBConnection } from '@duckdb/node-api';
import { DAY_MS, type Part } from './parts.ts';

/** True when even the newest row of the part was accepted before that many days ago. */
export function isOlderThan(part: Part, days: number, nowMs: number): boolean {
  return (part.day + 1) * DAY_MS <= nowMs - days * DAY_MS;
}

/** Deletes waveforms, documents and rejections accepted before that time; the waveforms' objects become orphans. Returns rows deleted. */
export async function deleteOldRows(connection: DuckDBConnection, beforeMs: number): Promise<number> {
  const old = `accepted_at_ms < ${beforeMs}`;
  await connection.run(`INSERT INTO orphaned_objects SELECT DISTINCT object_key FROM waveforms WHERE ${old}`);
  let rows = 0;
  for (const statement of [
    `DELETE FROM waveforms WHERE ${old}`,
    `DELETE FROM documents WHERE ${old}`,
    `DELETE FROM rejections WHERE at_ms < ${beforeMs}`,
  ]) {
    rows += (await connection.run(statement)).rowsChanged;
  }
  await connection.run('DELETE FROM orphaned_objects WHERE object_key IN (SELECT object_key FROM waveforms)');
  return rows;
}

const MAX_ORPHANS = 10_000;

/**
 * Objects that no waveform refers to. A caller deletes what it was given before it asks again: so the keys of the last answer are
 * forgotten now, and after a crash they are given once more.
 */
export class Orphans {
  #given: readonly string[] = [];

  async next(connection: DuckDBConnection): Promise<readonly string[]> {
    if (this.#given.length > 0) {
      await connection.run('DELETE FROM orphaned_objects WHERE object_key IN (SELECT unnest($given))', {
        given: listValue(this.#given),
      });
    }
    const result = await connection.runAndReadAll(
      `SELECT DISTINCT object_key FROM orphaned_objects ORDER BY object_key LIMIT ${MAX_ORPHANS}`,
    );
    this.#given = result.getRows().map(([key]) => key as string);
    return this.#given;
  }
}

/** Which of the keys no stored waveform and no dead letter refers to. */
export async function findUnreferenced(connection: DuckDBConnection, keys: readonly string[]): Promise<string[]> {
  if (keys.length === 0) return [];
  const result = await connection.runAndReadAll(
    `SELECT key FROM (SELECT unnest($keys) AS key)
     WHERE key NOT IN (SELECT object_key FROM waveforms)
       AND NOT EXISTS (FROM dead_letters WHERE contains(payload::VARCHAR, key))`,
    { keys: listValue(keys) },
  );
  return result.getRows().map(([key]) => key as string);
}
