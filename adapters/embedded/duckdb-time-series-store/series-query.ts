import type { DuckDBConnection, DuckDBResultReader } from '@duckdb/node-api';
import type { Aggregate, SeriesQuery, SeriesResult } from '#core/ports/time-series-store.ts';
import { checkSeriesQuery, seriesInOneUnit, type SeriesInOneUnit } from '#core/settlement/series-units.ts';
import { readingsTable, rollupsTable, type Part, type PartList } from './parts.ts';
import { HOUR_MS, MINUTE_MS } from './rollups.ts';
import type { StoreMemory } from './store-memory.ts';

/** What a query takes from memory at the moment its transaction begins. */
export interface SeriesView extends SeriesInOneUnit {
  readonly parts: PartList;
  /** The rollups count what was accepted up to here. */
  readonly rolledOrd: number;
  /** False where no minute of these series waits to be computed again. */
  readonly revisited: boolean;
  /** Readings up to this time may have been dropped. */
  readonly rawFloorMs: number;
}

export function seriesView(memory: StoreMemory, query: SeriesQuery): SeriesView {
  checkSeriesQuery(query);
  const entries = [...(memory.dictionary.find(query.machine)?.series.values() ?? [])]
    .filter(({ metric }) => metric === query.metric)
    .map(({ id, unit }) => ({ id, unit, newestTs: memory.latest.get(id)?.ts ?? -Infinity }));
  const taken = seriesInOneUnit(entries, query);
  const { series } = taken;
  return {
    ...taken,
    parts: memory.parts,
    rolledOrd: memory.state.get(['rolled-order']) ?? 0,
    revisited: series.some((id) => memory.revisited.has(id)),
    rawFloorMs: memory.state.get(['raw-floor-ms']) ?? -1,
  };
}

/** Points of one metric from the tiers that hold them. */
export async function querySeries(
  reader: DuckDBConnection,
  view: SeriesView,
  query: SeriesQuery,
): Promise<SeriesResult> {
  const { sql, source } = query.stepMs === 0 ? rawPoints(view, query) : buckets(view, query);
  const names = query.stepMs === 0 ? ['value'] : query.aggregates;
  if (view.series.length === 0 || sql === undefined) {
    const columns = Object.fromEntries(names.map((name) => [name, new Float64Array()]));
    return { unit: view.unit, leftOut: view.leftOut, source, truncated: false, ts: new Float64Array(), columns };
  }
  const result = await reader.runAndReadAll(`${sql} LIMIT ${query.limit + 1}`);
  return { unit: view.unit, leftOut: view.leftOut, source, ...points(result, names, query.limit) };
}

interface Plan {
  /** Undefined where no part holds the range. */
  readonly sql: string | undefined;
  readonly source: SeriesResult['source'];
}

function rawPoints(view: SeriesView, { fromMs, toMs }: SeriesQuery): Plan {
  const rows = latestAccepted(view, fromMs, toMs);
  return { sql: rows && `SELECT ts::DOUBLE, value FROM (${rows}) ORDER BY ts`, source: 'raw' };
}

function buckets(view: SeriesView, query: SeriesQuery): Plan {
  const { stepMs, aggregates } = query;
  const fromMs = Math.floor(query.fromMs / stepMs) * stepMs;
  const toMs = Math.ceil(query.toMs / stepMs) * stepMs;
  const { rows, source } =
    stepMs % MINUTE_MS === 0 ? rolledUpRows(view, fromMs, toMs, stepMs) : rawAsRollups(view, fromMs, toMs);
  const columns = aggregates.map((each) => AGGREGATES[each]).join();
  const sql =
    rows.length === 0
      ? undefined
      : `SELECT (ts // ${stepMs} * ${stepMs})::DOUBLE AS bucket, ${columns} FROM (${rows.join(' UNION ALL ')}) GROUP BY bucket ORDER BY bucket`;
  return { sql, source };
}

const AGGREGATES: Readonly<Record<Aggregate, string>> = {
  mean: 'sum(sum) / sum(n)',
  min: 'min(min)',
  max: 'max(max)',
  count: 'sum(n)::DOUBLE',
};

interface Rows {
  readonly rows: readonly string[];
  readonly source: SeriesResult['source'];
}

function oneReading(value: string): string {
  return `ts, 1 AS n, ${value} AS sum, ${value} AS min, ${value} AS max`;
}

function rawAsRollups(view: SeriesView, fromMs: number, toMs: number): Rows {
  const rows = latestAccepted(view, fromMs, toMs);
  return { rows: rows === undefined ? [] : [`SELECT ${oneReading('value')} FROM (${rows})`], source: 'raw' };
}

/**
 * Partial rows whose sums are the buckets: rollups, the readings accepted since the last roll-up, and, where a reading came late or twice
 * and the rollups have not followed yet, the minute's own readings instead of its rollups. Hours serve steps of whole hours, and the
 * times whose minutes are no longer kept.
 */
function rolledUpRows(view: SeriesView, fromMs: number, toMs: number, stepMs: number): Rows {
  const { parts } = view;
  const inHours = stepMs % HOUR_MS === 0;
  const minuteParts = parts.overlapping('1m', fromMs, toMs);
  const rows: string[] = [];
  const tiers = new Set<'1m' | '1h'>();
  for (const part of minuteParts) {
    const hasHours = inHours && parts.closed('1h').some((hours) => hours.name === part.name);
    if (hasHours && !view.revisited) continue;
    const whichHours = hasHours ? `AND (series_id, ts // ${HOUR_MS} * ${HOUR_MS}) IN (${pendingHours(view)})` : '';
    rows.push(`${rollupRows(view, part, fromMs, toMs)} ${whichHours} ${settledMinutes(view, 'ts')}`);
    if (!hasHours) tiers.add('1m');
  }
  for (const part of parts.overlapping('1h', fromMs, toMs)) {
    const hasMinutes = parts.closed('1m').some((minutes) => minutes.name === part.name);
    if (!inHours && hasMinutes) continue;
    const whichHours = hasMinutes && view.revisited ? `AND (series_id, ts) NOT IN (${pendingHours(view)})` : '';
    rows.push(`${rollupRows(view, part, fromMs, toMs)} ${whichHours}`);
    tiers.add('1h');
  }
  for (const part of parts.open('raw')) {
    rows.push(
      `SELECT ${oneReading(inUnit(view, 'value'))} FROM ${readingsTable(part)} WHERE ${within(view, fromMs, toMs)} AND ord > ${view.rolledOrd}
       ${settledMinutes(view, `ts // ${MINUTE_MS} * ${MINUTE_MS}`)}`,
    );
  }
  if (view.revisited) {
    const readings = latestAccepted(view, fromMs, toMs, pendingMinutes(view));
    if (readings !== undefined) rows.push(`SELECT ${oneReading('value')} FROM (${readings})`);
  }
  return { rows, source: tiers.size === 2 ? 'mixed' : ([...tiers][0] ?? (inHours ? '1h' : '1m')) };
}

function rollupRows(view: SeriesView, part: Part, fromMs: number, toMs: number): string {
  const [sum, min, max] = [inUnit(view, 'sum', 'n'), inUnit(view, 'min'), inUnit(view, 'max')];
  return `SELECT ts, n, ${sum} AS sum, ${min} AS min, ${max} AS max
    FROM ${rollupsTable(part)} WHERE ${within(view, fromMs, toMs)}`;
}

/** A column that sums up `count` values, in the unit of the curve. */
function inUnit({ conversions }: SeriesView, column: string, count = '1'): string {
  if (conversions.size === 0) return column;
  const cases = [...conversions].map(
    ([id, { factor, offset }]) =>
      `WHEN ${id} THEN ${column} * ${factor.toExponential()} + ${count} * ${offset.toExponential()}`,
  );
  return `(CASE series_id ${cases.join(' ')} ELSE ${column} END)`;
}

/** Leaves out the minutes that wait to be computed again. */
function settledMinutes(view: SeriesView, minute: string): string {
  return view.revisited ? `AND (series_id, ${minute}) NOT IN (${pendingMinutes(view)})` : '';
}

function pendingMinutes({ series, rawFloorMs }: SeriesView): string {
  return `SELECT series_id, minute_ms FROM revisits WHERE series_id IN (${series.join()}) AND minute_ms > ${rawFloorMs}`;
}

function pendingHours({ series, rawFloorMs }: SeriesView): string {
  return `SELECT series_id, minute_ms // ${HOUR_MS} * ${HOUR_MS} FROM revisits
    WHERE series_id IN (${series.join()}) AND minute_ms > ${rawFloorMs}`;
}

/** Readings as (ts, value); of several of one time the latest accepted. */
function latestAccepted(view: SeriesView, fromMs: number, toMs: number, minutes?: string): string | undefined {
  const rows = view.parts.overlapping('raw', fromMs, toMs).map(
    (part) =>
      `SELECT ts, ${inUnit(view, 'value')} AS value, ord FROM ${readingsTable(part)} WHERE ${within(view, fromMs, toMs)}
         ${minutes === undefined ? '' : `AND (series_id, ts // ${MINUTE_MS} * ${MINUTE_MS}) IN (${minutes})`}`,
  );
  return rows.length === 0
    ? undefined
    : `SELECT ts, arg_max(value, ord) AS value FROM (${rows.join(' UNION ALL ')}) GROUP BY ts`;
}

function within({ series }: SeriesView, fromMs: number, toMs: number): string {
  return `series_id IN (${series.join()}) AND ts >= ${fromMs} AND ts < ${toMs}`;
}

function points(result: DuckDBResultReader, names: readonly string[], limit: number) {
  const columns = result.getColumns();
  const column = (index: number) => Float64Array.from((columns[index] ?? []).slice(0, limit) as number[]);
  return {
    truncated: result.currentRowCount > limit,
    ts: column(0),
    columns: Object.fromEntries(names.map((name, index) => [name, column(index + 1)])),
  };
}
