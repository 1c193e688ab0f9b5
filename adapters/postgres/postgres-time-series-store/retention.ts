import type { ClientBase } from 'pg';
import type { RetentionPolicy } from '#core/ports/time-series-store.ts';
import { ROLLUP_PART_DAYS } from '../../history-parts.ts';
import { DAY_MS, dropDay, partsOf } from './partitions.ts';
import { HOUR_MS, setState } from './rollups.ts';

/** Drops what was accepted too long ago, in the client's open transaction, in which nobody settles or maintains. Returns rows deleted. */
export async function dropOld(client: ClientBase, policy: RetentionPolicy, nowMs: number): Promise<number> {
  const keptFrom = (days: number) => Math.floor(nowMs / DAY_MS - days);
  let rows = await dropDays(client, keptFrom(policy.rawDays));
  rows += await dropParts(client, '1m', keptFrom(policy.rollup1mDays));
  rows += await dropParts(client, '1h', keptFrom(policy.rollup1hDays));
  return rows + (await deleteOldRows(client, nowMs - policy.waveformDays * DAY_MS));
}

async function dropDays(client: ClientBase, keptFrom: number): Promise<number> {
  const found = await client.query('SELECT day, row_count, max_ts FROM ts_days WHERE day < $1', [keptFrom]);
  const old = found.rows as { day: number; row_count: number; max_ts: number }[];
  if (old.length === 0) return 0;
  // A whole hour, so that none is computed again of which only some minutes can be.
  const floorMs = (Math.floor(Math.max(...old.map(({ max_ts }) => max_ts)) / HOUR_MS) + 1) * HOUR_MS;
  await client.query(
    `INSERT INTO ts_ledger_state AS s VALUES ('["raw-floor-ms"]', $1) ON CONFLICT (key) DO UPDATE SET value = greatest(s.value, excluded.value)`,
    [floorMs],
  );
  for (const { day } of old) await dropDay(client, day);
  return old.reduce((rows, { row_count }) => rows + row_count, 0);
}

async function dropParts(client: ClientBase, tier: '1m' | '1h', keptFrom: number): Promise<number> {
  const old = (await partsOf(client, tier)).filter((part) => (part + 1) * ROLLUP_PART_DAYS <= keptFrom);
  let dropped = 0;
  for (const part of old) {
    const { rows } = await client.query(`SELECT count(*) AS rows FROM ts_rollups_${tier}_p${part}`);
    dropped += (rows as { rows: number }[])[0]!.rows;
    await client.query(`DROP TABLE ts_rollups_${tier}_p${part}`);
  }
  const last = old.at(-1);
  if (tier === '1m' && last !== undefined) await setState(client, '["minute-floor"]', last + 1);
  return dropped;
}

/** Waveforms, documents and rejections accepted before that time; the waveforms' objects become orphans. Returns rows deleted. */
async function deleteOldRows(client: ClientBase, beforeMs: number): Promise<number> {
  await client.query(
    'INSERT INTO ts_orphaned_objects SELECT DISTINCT object_key FROM ts_waveforms WHERE accepted_at_ms < $1',
    [beforeMs],
  );
  let rows = 0;
  for (const statement of [
    'DELETE FROM ts_waveforms WHERE accepted_at_ms < $1',
    'DELETE FROM ts_documents WHERE accepted_at_ms < $1',
    'DELETE FROM ts_rejections WHERE at_ms < $1',
  ]) {
    rows += (await client.query(statement, [beforeMs])).rowCount ?? 0;
  }
  await client.query('DELETE FROM ts_orphaned_objects WHERE object_key IN (SELECT object_key FROM ts_waveforms)');
  return rows;
}

const MAX_ORPHANS = 10_000;

/** The orphaned objects, after those that a caller was given before are forgotten. */
export async function nextOrphans(client: ClientBase, given: readonly string[]): Promise<string[]> {
  await client.query('DELETE FROM ts_orphaned_objects WHERE object_key = ANY ($1)', [given]);
  const { rows } = await client.query(
    `SELECT DISTINCT object_key FROM ts_orphaned_objects ORDER BY object_key LIMIT ${MAX_ORPHANS}`,
  );
  return (rows as { object_key: string }[]).map(({ object_key }) => object_key);
}

/** Which of the keys no stored waveform and no dead letter refers to. */
export async function findUnreferenced(client: ClientBase, keys: readonly string[]): Promise<string[]> {
  const { rows } = await client.query(
    `SELECT key FROM unnest($1::text[]) AS k (key)
     WHERE NOT EXISTS (SELECT FROM ts_waveforms WHERE object_key = key)
       AND NOT EXISTS (SELECT FROM ts_dead_letters WHERE position(convert_to(key, 'UTF8') IN payload) > 0)`,
    [keys],
  );
  return (rows as { key: string }[]).map(({ key }) => key);
}
