import type { DuckDBConnection } from '@duckdb/node-api';

export const DAY_MS = 86_400_000;

/** `raw` holds readings with the events that brought them; the others hold partial aggregates of a minute or an hour. */
export type Tier = 'raw' | '1m' | '1h';

/**
 * A piece of a tier: tables of their own, so that old data goes by dropping tables and new data never touches old. Rows land in an open
 * part as they are accepted; maintenance moves them, sorted by series and time, into the closed part of their days of acceptance.
 */
export interface Part {
  readonly tier: Tier;
  /** The ending of its tables' names: `g12` for an open part, `d20301` for a closed one. */
  readonly name: string;
  /** The newest day since 1970 on which rows of the part were accepted: retention counts from it. */
  day: number;
  rows: number;
  /** Of the rows' own time; an empty part has minTs above maxTs. */
  minTs: number;
  maxTs: number;
}

/** The parts there are at one moment, oldest first. */
export class PartList {
  readonly #parts: readonly Part[];

  constructor(parts: readonly Part[]) {
    this.#parts = parts;
  }

  of(tier: Tier): readonly Part[] {
    return this.#parts.filter((part) => part.tier === tier);
  }

  /** The last of them takes new rows. */
  open(tier: Tier): readonly Part[] {
    return this.of(tier)
      .filter((part) => part.name.startsWith('g'))
      .sort((a, b) => generation(a) - generation(b));
  }

  closed(tier: Tier): readonly Part[] {
    return this.of(tier).filter((part) => part.name.startsWith('d'));
  }

  overlapping(tier: Tier, fromMs: number, toMs: number): readonly Part[] {
    return this.of(tier).filter((part) => part.minTs < toMs && part.maxTs >= fromMs);
  }

  with(...added: readonly Part[]): PartList {
    const names = new Set(added.map((part) => `${part.tier} ${part.name}`));
    return new PartList([...this.#parts.filter((part) => !names.has(`${part.tier} ${part.name}`)), ...added]);
  }

  without(...removed: readonly Part[]): PartList {
    return new PartList(this.#parts.filter((part) => !removed.includes(part)));
  }

  /** The name of the next open part of the tier. */
  nextOpenName(tier: Tier): string {
    return `g${1 + Math.max(0, ...this.open(tier).map(generation))}`;
  }
}

function generation(part: Part): number {
  return Number(part.name.slice(1));
}

export function readingsTable(part: Part): string {
  return `readings_${part.name}`;
}

export function eventsTable(part: Part): string {
  return `events_${part.name}`;
}

export function rollupsTable(part: Part): string {
  return `rollups_${part.tier}_${part.name}`;
}

const READING_COLUMNS = 'series_id INTEGER, ts BIGINT, value DOUBLE, quality UTINYINT, ord BIGINT';
const EVENT_COLUMNS = 'machine_id INTEGER, ts BIGINT, kind UTINYINT, items INTEGER, event_id VARCHAR, ord BIGINT';
/** Rows are partial: a bucket is the sum of its rows in all parts of the tier. */
const ROLLUP_COLUMNS = 'series_id INTEGER, ts BIGINT, n BIGINT, sum DOUBLE, min DOUBLE, max DOUBLE, conflicts BIGINT';

/** An empty part; {@link createPart} makes its tables. */
export function newPart(tier: Tier, name: string, day: number): Part {
  return { tier, name, day, rows: 0, minTs: Infinity, maxTs: -Infinity };
}

export function createPart(part: Part): string {
  const tables =
    part.tier === 'raw'
      ? `CREATE TABLE ${readingsTable(part)} (${READING_COLUMNS}); CREATE TABLE ${eventsTable(part)} (${EVENT_COLUMNS});`
      : `CREATE TABLE ${rollupsTable(part)} (${ROLLUP_COLUMNS});`;
  return `${tables} ${recordPart(part)}`;
}

/** Writes the part's figures. Those of an open part are measured when it is loaded: a write with every settlement would cost more. */
export function recordPart({ tier, name, day, rows, minTs, maxTs }: Part): string {
  const span = minTs <= maxTs ? `${minTs}, ${maxTs}` : 'NULL, NULL';
  return `DELETE FROM parts WHERE tier = '${tier}' AND name = '${name}';
    INSERT INTO parts VALUES ('${tier}', '${name}', ${day}, ${rows}, ${span});`;
}

export function dropPart(part: Part): string {
  const tables =
    part.tier === 'raw'
      ? `DROP TABLE ${readingsTable(part)}; DROP TABLE ${eventsTable(part)};`
      : `DROP TABLE ${rollupsTable(part)};`;
  return `${tables} DELETE FROM parts WHERE tier = '${part.tier}' AND name = '${part.name}';`;
}

/** The closed part once it has taken the other's rows. */
export function widened(closed: Part, other: Part): Part {
  return {
    ...closed,
    day: Math.max(closed.day, other.day),
    rows: closed.rows + other.rows,
    minTs: Math.min(closed.minTs, other.minTs),
    maxTs: Math.max(closed.maxTs, other.maxTs),
  };
}

export async function loadParts(connection: DuckDBConnection): Promise<PartList> {
  const rows = await connection.runAndReadAll(
    'SELECT tier, name, day, row_count, min_ts, max_ts FROM parts ORDER BY day, name',
  );
  const parts = rows.getRows().map(([tier, name, day, rowCount, minTs, maxTs]): Part => ({
    tier: tier as Tier,
    name: name as string,
    day: day as number,
    rows: Number(rowCount),
    minTs: minTs === null ? Infinity : Number(minTs),
    maxTs: maxTs === null ? -Infinity : Number(maxTs),
  }));
  const list = new PartList(parts);
  for (const part of [...list.open('raw'), ...list.open('1m')]) await measure(connection, part);
  return list;
}

async function measure(connection: DuckDBConnection, part: Part): Promise<void> {
  const rows =
    part.tier === 'raw'
      ? `SELECT ts FROM ${readingsTable(part)} UNION ALL SELECT ts FROM ${eventsTable(part)}`
      : `SELECT ts FROM ${rollupsTable(part)}`;
  const result = await connection.runAndReadAll(`SELECT count(*), min(ts), max(ts) FROM (${rows})`);
  const [count, minTs, maxTs] = result.getRows()[0]!;
  part.rows = Number(count);
  part.minTs = minTs === null ? Infinity : Number(minTs);
  part.maxTs = maxTs === null ? -Infinity : Number(maxTs);
}
