import type { ClientBase } from 'pg';
import type { Aggregate, SeriesQuery, SeriesResult } from '#core/ports/time-series-store.ts';
import { seriesInOneUnit, type MetricSeries, type SeriesInOneUnit } from '#core/settlement/series-units.ts';
import { acceptedWhenOf } from './partitions.ts';
import { HOUR_MS, MINUTE_MS, hourOf, minuteOf } from './rollups.ts';
import { MINUTE_FLOOR, RAW_FLOOR, ROLLED_ORD } from './marks.ts';
import { newestReadings } from './store-memory.ts';

/** Points of one metric from the tiers that hold them; the client's transaction sees one state of the store. */
export async function querySeries(client: ClientBase, query: SeriesQuery): Promise<SeriesResult> {
  const taken = seriesInOneUnit(await metricSeries(client, query), query);
  const { unit, leftOut } = taken;
  const names = query.stepMs === 0 ? ['value'] : query.aggregates;
  if (taken.series.length === 0) {
    const columns = Object.fromEntries(names.map((name) => [name, new Float64Array()]));
    const source = query.stepMs === 0 || query.stepMs % MINUTE_MS !== 0 ? 'raw' : '1m';
    return { unit, leftOut, source, truncated: false, ts: new Float64Array(), columns };
  }
  const { text, source } = await (query.stepMs === 0 ? rawPoints : buckets)(client, taken, query);
  const result = await client.query<number[]>({ text: `${text} LIMIT ${query.limit + 1}`, rowMode: 'array' });
  const rows = result.rows.slice(0, query.limit);
  const column = (at: number) => Float64Array.from(rows, (row) => row[at]!);
  const columns = Object.fromEntries(names.map((name, at) => [name, column(at + 1)]));
  return { unit, leftOut, source, truncated: result.rows.length > query.limit, ts: column(0), columns };
}

async function metricSeries(client: ClientBase, { machine, metric }: SeriesQuery): Promise<MetricSeries[]> {
  const found = await client.query(
    'SELECT series_id, unit FROM ts_series JOIN ts_machines USING (machine_id) WHERE machine_key = $1 AND metric = $2 ORDER BY series_id',
    [machine, metric],
  );
  const series = found.rows as { series_id: number; unit: string | null }[];
  if (series.length === 0) return [];
  const { rows } = await client.query(newestReadings('series_id = ANY ($1)'), [series.map((each) => each.series_id)]);
  const newest = new Map((rows as { series_id: number; ts: number }[]).map((row) => [row.series_id, row.ts]));
  return series.map((each) => ({
    id: each.series_id,
    unit: each.unit ?? undefined,
    newestTs: newest.get(each.series_id) ?? -Infinity,
  }));
}

interface Plan {
  readonly text: string;
  readonly source: SeriesResult['source'];
}

async function rawPoints(client: ClientBase, taken: SeriesInOneUnit, { fromMs, toMs }: SeriesQuery): Promise<Plan> {
  const acceptedWhen = await acceptedWhenOf(client, fromMs, toMs);
  const text = `SELECT ts, value FROM (${latestAccepted(taken, `${within(taken, fromMs, toMs)} AND ${acceptedWhen}`)}) r ORDER BY ts`;
  return { text, source: 'raw' };
}

async function buckets(client: ClientBase, taken: SeriesInOneUnit, query: SeriesQuery): Promise<Plan> {
  const { stepMs, aggregates } = query;
  const fromMs = Math.floor(query.fromMs / stepMs) * stepMs;
  const toMs = Math.ceil(query.toMs / stepMs) * stepMs;
  const { rows, source } = await (stepMs % MINUTE_MS === 0 ? rolledUpRows : rawRows)(
    client,
    taken,
    fromMs,
    toMs,
    stepMs,
  );
  const columns = aggregates.map((each) => AGGREGATES[each]).join();
  const text = `
    SELECT ts / ${stepMs} * ${stepMs} AS bucket, ${columns} FROM (${rows.join(' UNION ALL ')}) r GROUP BY bucket ORDER BY bucket`;
  return { text, source };
}

const AGGREGATES: Readonly<Record<Aggregate, string>> = {
  mean: 'sum(sum) / sum(n)::float8',
  min: 'min(min)',
  max: 'max(max)',
  count: 'sum(n)::float8',
};

interface Rows {
  readonly rows: readonly string[];
  readonly source: SeriesResult['source'];
}

async function rawRows(client: ClientBase, taken: SeriesInOneUnit, fromMs: number, toMs: number): Promise<Rows> {
  const where = `${within(taken, fromMs, toMs)} AND ${await acceptedWhenOf(client, fromMs, toMs)}`;
  return { rows: [`SELECT ${oneReading('value')} FROM (${latestAccepted(taken, where)}) o`], source: 'raw' };
}

/**
 * Partial rows whose sums are the buckets: rollups, the readings accepted since the last roll-up, and, where a reading came late or twice and
 * the rollups have not followed yet, the minute's own readings instead of its rollups. Hours serve steps of whole hours, and the parts whose
 * minutes are no longer kept.
 */
async function rolledUpRows(
  client: ClientBase,
  taken: SeriesInOneUnit,
  fromMs: number,
  toMs: number,
  stepMs: number,
): Promise<Rows> {
  const range = within(taken, fromMs, toMs);
  const acceptedWhen = await acceptedWhenOf(client, fromMs, toMs);
  const { isRevisited, minuteFloor, hasHoursAlone } = await tiersOf(client, taken, range);
  const pending = (time: string) => `(series_id, ${time}) IN (${pendingMinutes(taken)})`;
  const pendingHour = (time: string) => `(series_id, ${time}) IN (${pendingHours(taken)})`;
  const settled = (time: string) => (isRevisited ? `AND NOT ${pending(time)}` : '');
  const rollups = `ts, n, ${inUnit(taken, 'sum', 'n')} AS sum, ${inUnit(taken, 'min')} AS min, ${inUnit(taken, 'max')} AS max`;
  const rows: string[] = [];
  if (stepMs % HOUR_MS === 0) {
    rows.push(
      `SELECT ${rollups} FROM ts_rollups_1h WHERE ${range} ${isRevisited ? `AND NOT ${pendingHour('ts')}` : ''}`,
    );
    if (isRevisited) {
      rows.push(
        `SELECT ${rollups} FROM ts_rollups_1m WHERE ${range} AND ${pendingHour(hourOf('ts'))} ${settled('ts')}`,
      );
    }
  } else {
    rows.push(`SELECT ${rollups} FROM ts_rollups_1m WHERE ${range} ${settled('ts')}`);
    if (hasHoursAlone) rows.push(`SELECT ${rollups} FROM ts_rollups_1h WHERE ${range} AND part < ${minuteFloor}`);
  }
  const readings = `FROM ts_readings WHERE ${range} AND ${acceptedWhen}`;
  rows.push(
    `SELECT ${oneReading(inUnit(taken, 'value'))} ${readings} AND ord > ${ROLLED_ORD} ${settled(minuteOf('ts'))}`,
  );
  if (isRevisited) {
    const where = `${range} AND ${acceptedWhen} AND ${pending(minuteOf('ts'))}`;
    rows.push(`SELECT ${oneReading('value')} FROM (${latestAccepted(taken, where)}) o`);
  }
  return { rows, source: stepMs % HOUR_MS === 0 ? '1h' : hasHoursAlone ? 'mixed' : '1m' };
}

async function tiersOf(client: ClientBase, taken: SeriesInOneUnit, range: string) {
  const { rows } = await client.query(`
    SELECT EXISTS (${pendingMinutes(taken)}) AS "isRevisited", ${MINUTE_FLOOR} AS "minuteFloor",
      EXISTS (SELECT FROM ts_rollups_1h WHERE ${range} AND part < ${MINUTE_FLOOR}) AS "hasHoursAlone"`);
  return (rows as { isRevisited: boolean; minuteFloor: number; hasHoursAlone: boolean }[])[0]!;
}

function pendingMinutes(taken: SeriesInOneUnit): string {
  return `SELECT series_id, minute_ms FROM ts_revisits WHERE ${isOneOf(taken)} AND minute_ms >= ${RAW_FLOOR}`;
}

function pendingHours(taken: SeriesInOneUnit): string {
  return `SELECT series_id, ${hourOf('minute_ms')} FROM ts_revisits WHERE ${isOneOf(taken)} AND minute_ms >= ${RAW_FLOOR}`;
}

function oneReading(value: string): string {
  return `ts, 1::bigint AS n, ${value} AS sum, ${value} AS min, ${value} AS max`;
}

/** Readings as (ts, value); of several of one time the latest accepted. */
function latestAccepted(taken: SeriesInOneUnit, where: string): string {
  return `SELECT DISTINCT ON (ts) ts, ${inUnit(taken, 'value')} AS value FROM ts_readings WHERE ${where} ORDER BY ts, ord DESC`;
}

function within(taken: SeriesInOneUnit, fromMs: number, toMs: number): string {
  return `${isOneOf(taken)} AND ts >= ${fromMs} AND ts < ${toMs}`;
}

function isOneOf({ series }: SeriesInOneUnit): string {
  return `series_id IN (${series.join()})`;
}

/** The column in the unit asked for; one that holds the sum of several values has the offset as often. */
function inUnit({ conversions }: SeriesInOneUnit, column: string, times = '1'): string {
  if (conversions.size === 0) return column;
  const cases = [...conversions].map(
    ([id, { factor, offset }]) => `WHEN ${id} THEN ${column} * '${factor}'::float8 + ${times} * '${offset}'::float8`,
  );
  return `(CASE series_id ${cases.join(' ')} ELSE ${column} END)`;
}
