import { float64, tableFromArrays, tableToIPC, timestamp, TimeUnit } from '@uwdata/flechette';
import type { SeriesResult } from '#core/ports/time-series-store.ts';
import { HttpProblem } from '../../shared/http/problem.ts';
import { route, type Reply, type Route } from '../http/route.ts';
import { machineAddressSchema, seriesQuerySchema, seriesSchema, type Series } from '../schemas/machines.ts';
import { placeOf } from '../views.ts';
import { ownMachine } from './machine-access.ts';

const JSON_TYPE = 'application/json';
const CSV_TYPE = 'text/csv';
const ARROW_TYPE = 'application/vnd.apache.arrow.stream';
type ArrowType = ReturnType<typeof float64> | ReturnType<typeof timestamp>;

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const MAX_STEP_MS = 366 * 86_400_000;

export function seriesRoutes(): readonly Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/machines/{machine}/series',
      tag: 'Readings',
      summary: 'Points of one metric, raw or in buckets; as JSON columns, CSV or Arrow by Accept.',
      access: 'viewer',
      params: machineAddressSchema,
      query: seriesQuerySchema,
      response: {
        status: 200,
        description:
          'The points. CSV and Arrow have the rest in headers: x-tribo-unit and x-tribo-left-out (JSON, absent where nothing is), both percent-encoded, x-tribo-source and x-tribo-truncated',
        schema: seriesSchema,
        alternatives: [CSV_TYPE, ARROW_TYPE],
      },
      handle: async (call, services) => {
        const { params, query, principal, signal } = call;
        const { key, registered } = ownMachine({ tenant: principal.tenant, site: query.site, ...params }, services);
        const { metric, from: fromMs, to: toMs, limit } = query;
        if (toMs <= fromMs) throw emptyRange();
        const stepMs = stepOf(query.step);
        const type = call.accepts([JSON_TYPE, CSV_TYPE, ARROW_TYPE]);
        const aggregates = query.aggregate ?? ['mean', 'min', 'max'];
        const unit = query.unit ?? registered.machine.metrics.find(({ name }) => name === metric)?.unit;
        const inUnit = unit === undefined ? {} : { unit };
        const result = await services.store.series(
          { machine: key, metric, ...inUnit, fromMs, toMs, stepMs, aggregates, limit },
          { signal },
        );
        const asked = { ...placeOf(key), metric, stepMs, fromMs, toMs };
        return type === JSON_TYPE ? { json: jsonSeries(result, asked) } : table(result, type);
      },
    }),
  ];
}

function stepOf(step: string): number {
  const [, count = '0', unit = 'ms'] = /^(\d+)([a-z]*)$/.exec(step) ?? [];
  const stepMs = Number(count) * (UNIT_MS[unit === '' ? 'ms' : unit] ?? 1);
  if (stepMs <= MAX_STEP_MS) return stepMs;
  throw new HttpProblem('invalid-request', {
    detail: 'step is longer than a year.',
    pointer: 'query:step',
    remedy: 'Ask for shorter buckets.',
  });
}

function jsonSeries(
  { unit, leftOut, source, truncated, ts, columns }: SeriesResult,
  asked: Pick<Series, 'site' | 'machine' | 'metric' | 'stepMs' | 'fromMs' | 'toMs'>,
): Series {
  return {
    ...asked,
    ...(unit !== undefined && { unit }),
    leftOut: [...leftOut],
    source,
    truncated,
    ts: Array.from(ts),
    columns: Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, Array.from(values)])),
  };
}

/** What JSON says beside the points is in headers here. */
function table({ unit, leftOut, source, truncated, ts, columns }: SeriesResult, type: string): Reply {
  const headers = {
    ...(leftOut.length > 0 && { 'x-tribo-left-out': encodeURIComponent(JSON.stringify(leftOut)) }),
    'x-tribo-source': source,
    'x-tribo-truncated': String(truncated),
    ...(unit !== undefined && { 'x-tribo-unit': encodeURIComponent(unit) }),
  };
  if (type === CSV_TYPE) return { bytes: csv(ts, columns), type: `${CSV_TYPE}; charset=utf-8`, headers };
  const types: Record<string, ArrowType> = { ts: timestamp(TimeUnit.MILLISECOND, 'UTC') };
  for (const name of Object.keys(columns)) types[name] = float64();
  const ipc = tableToIPC(tableFromArrays({ ts, ...columns }, { types }), { format: 'stream' });
  if (!ipc) throw new Error('no Arrow bytes were made');
  return { bytes: ipc, type: ARROW_TYPE, headers };
}

function csv(ts: Float64Array, columns: Readonly<Record<string, Float64Array>>): string {
  const values = Object.values(columns);
  const lines = [['ts', ...Object.keys(columns)].join(',')];
  for (const [index, at] of ts.entries()) {
    lines.push([new Date(at).toISOString(), ...values.map((column) => column[index])].join(','));
  }
  return `${lines.join('\r\n')}\r\n`;
}

function emptyRange(): HttpProblem {
  return new HttpProblem('invalid-request', {
    detail: 'to is not after from.',
    pointer: 'query:to',
    remedy: 'The range is half open, from <= ts < to: give a later to.',
  });
}
