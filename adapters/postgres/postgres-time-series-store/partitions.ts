import type { ClientBase } from 'pg';
import { ORDS_A_DAY, ROLLUP_PART_DAYS } from '../../history-parts.ts';

export const DAY_MS = 86_400_000;

/** SQL of the rollups' part that a row's `ord` belongs to. */
export const PART_OF_ORD = `(ord / ${ORDS_A_DAY * ROLLUP_PART_DAYS})::int`;

export function dayOfOrd(ord: number): number {
  return Math.floor(ord / ORDS_A_DAY);
}

/** Makes the partitions for what is accepted on that day, in the client's open transaction. */
export async function makeDay(client: ClientBase, day: number): Promise<void> {
  for (const parent of ['ts_readings', 'ts_events']) {
    await attach(
      client,
      parent,
      `${parent}_d${day}`,
      `FROM (${day * ORDS_A_DAY}) TO (${(day + 1) * ORDS_A_DAY})`,
      undefined,
    );
  }
  for (const tier of ['1m', '1h'] as const) await makePart(client, tier, Math.floor(day / ROLLUP_PART_DAYS));
}

export async function makePart(client: ClientBase, tier: '1m' | '1h', part: number): Promise<void> {
  // Rows of rollups are updated while their bucket lasts: in place, as long as their page has room.
  await attach(client, `ts_rollups_${tier}`, `ts_rollups_${tier}_p${part}`, `IN (${part})`, 80);
}

/** Attaching, unlike creating in place, neither waits for queries nor makes them wait. */
async function attach(
  client: ClientBase,
  parent: string,
  name: string,
  values: string,
  fillfactor: number | undefined,
) {
  const found = await client.query('SELECT to_regclass($1) AS found', [name]);
  if ((found.rows as { found: string | null }[])[0]?.found) return;
  const storage = fillfactor === undefined ? '' : `WITH (fillfactor = ${fillfactor})`;
  await client.query(`CREATE TABLE ${name} (LIKE ${parent} INCLUDING ALL) ${storage}`);
  await client.query(`ALTER TABLE ${parent} ATTACH PARTITION ${name} FOR VALUES ${values}`);
}

export async function dropDay(client: ClientBase, day: number): Promise<void> {
  await client.query(`DROP TABLE ts_readings_d${day}, ts_events_d${day}`);
  await client.query('DELETE FROM ts_days WHERE day = $1', [day]);
}

/** The parts of a tier that there are, in order. */
export async function partsOf(client: ClientBase, tier: '1m' | '1h'): Promise<number[]> {
  const { rows } = await client.query(
    `SELECT substring(c.relname FROM '[0-9]+$')::int AS part FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = 'ts_rollups_${tier}'::regclass ORDER BY part`,
  );
  return (rows as { part: number }[]).map(({ part }) => part);
}

/**
 * A condition on `ord` that leaves the partitions alone which hold nothing of the range, also for a planner that has not seen the rows. The
 * days are read in the same snapshot as what it is used for.
 */
export async function acceptedWhenOf(client: ClientBase, fromMs: number, toMs: number): Promise<string> {
  const { rows } = await client.query('SELECT day FROM ts_days WHERE min_ts < $1 AND max_ts >= $2 ORDER BY day', [
    toMs,
    fromMs,
  ]);
  const spans: [first: number, last: number][] = [];
  for (const { day } of rows as { day: number }[]) {
    const span = spans.at(-1);
    if (span?.[1] === day - 1) span[1] = day;
    else spans.push([day, day]);
  }
  if (spans.length === 0) return 'false';
  const conditions = spans.map(
    ([first, last]) => `(ord >= ${first * ORDS_A_DAY} AND ord < ${(last + 1) * ORDS_A_DAY})`,
  );
  return `(${conditions.join(' OR ')})`;
}
