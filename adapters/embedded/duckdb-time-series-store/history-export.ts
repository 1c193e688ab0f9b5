import type { DuckDBConnection } from '@duckdb/node-api';
import { PortError } from '#core/errors.ts';
import {
  columnsOf,
  ORDS_A_DAY,
  partOf,
  type HistoryDays,
  type HistoryPart,
  type PartKind,
} from '../../history-parts.ts';
import { writePart } from '../../history-parquet.ts';
import { newestRows } from './latest-values.ts';
import { eventsTable, readingsTable, rollupsTable, type Part, type PartList, type Tier } from './parts.ts';
import { HOUR_MS } from './rollups.ts';

/** What was accepted from one order up to another, and counts as of one day. */
interface RawDay {
  readonly day: number;
  readonly fromOrd: number;
  /** Exclusive. */
  readonly toOrd: number;
  readonly parts: readonly Part[];
}

/** The parts' spans, read once for a state of the store. */
export class HistoryExport {
  readonly #parts: PartList;
  readonly #rawDays: readonly RawDay[];

  /** Rollups must have caught up, and have no open part. */
  static async of(reader: DuckDBConnection, parts: PartList): Promise<HistoryExport> {
    return new HistoryExport(parts, await rawDaysOf(reader, parts.of('raw')));
  }

  private constructor(parts: PartList, rawDays: readonly RawDay[]) {
    this.#parts = parts;
    this.#rawDays = rawDays;
  }

  async days(reader: DuckDBConnection): Promise<HistoryDays> {
    const filled = async (tier: Tier) => {
      const days: number[] = [];
      for (const part of this.#parts.closed(tier)) {
        const found = await reader.runAndReadAll(`SELECT count(*) FROM ${rollupsTable(part)}`);
        if (Number(found.getRows()[0]![0]) > 0) days.push(firstDayOf(part));
      }
      return days.sort((left, right) => left - right);
    };
    return { raw: this.#rawDays.map(({ day }) => day), minutes: await filled('1m'), hours: await filled('1h') };
  }

  /** Writes the part, and returns the number of its rows. @throws PortError not_found */
  async write(reader: DuckDBConnection, name: string, file: string): Promise<number> {
    const part = partOf(name);
    return writePart(reader, part, this.#rowsOf(part), file);
  }

  #rowsOf(part: HistoryPart): string {
    const { kind } = part;
    switch (kind) {
      case 'readings':
        return this.#rawRows(part, readingsTable);
      case 'events':
        return this.#rawRows(part, eventsTable);
      case 'rollups-1m':
        return this.#rollupRows(part, '1m');
      case 'rollups-1h':
        return this.#rollupRows(part, '1h');
      case 'latest':
        return newestRows(['latest', ...this.#parts.open('raw').map(readingsTable)]);
      case 'orphaned-objects':
        return 'SELECT DISTINCT object_key FROM orphaned_objects';
      case 'ledger':
        return LEDGER_ROWS;
      case 'machines':
      case 'series':
        return `SELECT * FROM ${kind}`;
      default:
        return numberedRows(kind);
    }
  }

  #rawRows({ kind, name, day }: HistoryPart, table: (part: Part) => string): string {
    const found = this.#rawDays.find((each) => each.day === day);
    if (!found) throw new PortError('not_found', `the history has no part ${name}`);
    const { fromOrd, toOrd, parts } = found;
    // Where the day was moved here, its order begins with it; else with its first event.
    const base = fromOrd > day * ORDS_A_DAY ? day * ORDS_A_DAY : fromOrd - 1;
    const columns = columnsOf(kind).map(([column]) => (column === 'ord' ? `ord - ${base} AS ord` : column));
    return parts
      .map((part) => `SELECT ${columns.join()} FROM ${table(part)} WHERE ord >= ${fromOrd} AND ord < ${toOrd}`)
      .join(' UNION ALL ');
  }

  #rollupRows({ name, day }: HistoryPart, tier: Tier): string {
    const part = this.#parts.closed(tier).find((each) => firstDayOf(each) === day);
    if (!part) throw new PortError('not_found', `the history has no part ${name}`);
    return `
      SELECT series_id, ts, sum(n) AS n, sum(sum) AS sum, min(min) AS min, max(max) AS max, sum(conflicts) AS conflicts
      FROM ${rollupsTable(part)} GROUP BY series_id, ts`;
  }
}

/** Rollups' closed parts are named by their first day. */
function firstDayOf({ name }: Part): number {
  return Number(name.slice(1));
}

/**
 * Days of acceptance as a store needs them that keeps each in a partition by the order of acceptance: a day never follows a later one. Here a
 * clock that went back may have mixed them; then what was accepted after a later day's first event counts as of that.
 */
async function rawDaysOf(reader: DuckDBConnection, parts: readonly Part[]): Promise<RawDay[]> {
  const spans: { part: Part; firstOrd: number; lastOrd: number }[] = [];
  for (const part of parts) {
    const tables = [readingsTable(part), eventsTable(part)];
    const each = tables.map((table) => `SELECT min(ord) AS first, max(ord) AS last FROM ${table}`);
    const found = await reader.runAndReadAll(`SELECT min(first), max(last) FROM (${each.join(' UNION ALL ')})`);
    const [first, last] = found.getRows()[0]!;
    if (first !== null) spans.push({ part, firstOrd: Number(first), lastOrd: Number(last) });
  }
  spans.sort((left, right) => left.firstOrd - right.firstOrd);
  const begins: { day: number; fromOrd: number }[] = [];
  for (const { part, firstOrd } of spans) {
    if (part.day > (begins.at(-1)?.day ?? -1)) begins.push({ day: part.day, fromOrd: firstOrd });
  }
  return begins.map(({ day, fromOrd }, at) => {
    const toOrd = begins[at + 1]?.fromOrd ?? Number.MAX_SAFE_INTEGER;
    const within = spans.filter(({ firstOrd, lastOrd }) => firstOrd < toOrd && lastOrd >= fromOrd);
    return { day, fromOrd, toOrd, parts: within.map(({ part }) => part) };
  });
}

type NumberedKind = Extract<PartKind, 'waveforms' | 'documents' | 'rejections' | 'dead-letters'>;

function numberedRows(kind: NumberedKind): string {
  const columns = columnsOf(kind).map(([column]) =>
    column === 'ord' ? 'dense_rank() OVER (ORDER BY ord) AS ord' : column,
  );
  return `SELECT ${columns.join()} FROM ${kind.replace('-', '_')}`;
}

/** Readings up to a time may have been dropped: to the end of its hour, as every store takes it. */
const LEDGER_ROWS = `
  SELECT key, CASE key WHEN '["raw-floor-ms"]' THEN (value // ${HOUR_MS} + 1) * ${HOUR_MS} - 1 ELSE value END AS value
  FROM (SELECT key, arg_max(value, version) AS value FROM ledger_state GROUP BY key)
  WHERE starts_with(key, '["settled",') OR starts_with(key, '["conflicts",') OR key = '["raw-floor-ms"]'`;
