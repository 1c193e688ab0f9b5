import { unitConversion, type UnitConversion } from '../domain/units.ts';
import { PortError } from '../errors.ts';
import type { SeriesQuery, SeriesResult } from '../ports/time-series-store.ts';
import { UNKEPT_UNIT } from './dictionary.ts';

/** More points than this are no chart. */
const MAX_POINTS = 2_000_000;

/** @throws PortError invalid_argument */
export function checkSeriesQuery({ fromMs, toMs, stepMs, limit, aggregates }: SeriesQuery): void {
  if (![fromMs, toMs, stepMs, limit].every(Number.isSafeInteger) || stepMs < 0 || limit < 1 || limit > MAX_POINTS) {
    throw new PortError('invalid_argument', `from, to and step are whole milliseconds, limit is 1 to ${MAX_POINTS}`);
  }
  if (stepMs > 0 && aggregates.length === 0) throw new PortError('invalid_argument', 'a bucket needs an aggregate');
}

/** A series of the metric and machine asked for. */
export interface MetricSeries {
  readonly id: number;
  readonly unit: string | undefined;
  /** -Infinity where it has no value yet. */
  readonly newestTs: number;
}

/** The series of a metric that are one curve. */
export interface SeriesInOneUnit {
  readonly unit: string | undefined;
  readonly leftOut: SeriesResult['leftOut'];
  readonly series: readonly number[];
  /** Of the series whose values are in another unit. */
  readonly conversions: ReadonlyMap<number, UnitConversion>;
}

/** The metric in the unit asked for, else the newest stated; what does not convert to it is no part of the same curve. */
export function seriesInOneUnit(
  entries: readonly MetricSeries[],
  { unit: asked, fromMs }: Pick<SeriesQuery, 'unit' | 'fromMs'>,
): SeriesInOneUnit {
  const all = entries
    .filter(({ newestTs }) => newestTs >= fromMs)
    .sort((left, right) => right.newestTs - left.newestTs);
  const unit = asked ?? all.find((entry) => isStated(entry.unit))?.unit;
  const series: number[] = [];
  const conversions = new Map<number, UnitConversion>();
  const leftOut = new Set<string | null>();
  for (const entry of all) {
    const conversion = conversionOf(entry.unit, unit);
    if (conversion === undefined) leftOut.add(entry.unit ?? null);
    else series.push(entry.id);
    if (conversion && (conversion.factor !== 1 || conversion.offset !== 0)) conversions.set(entry.id, conversion);
  }
  return { unit, leftOut: [...leftOut], series, conversions };
}

const SAME: UnitConversion = { factor: 1, offset: 0 };

function conversionOf(kept: string | undefined, wanted: string | undefined): UnitConversion | undefined {
  if (wanted === undefined || kept === UNKEPT_UNIT) return SAME;
  return kept === undefined ? undefined : unitConversion(kept, wanted);
}

function isStated(unit: string | undefined): boolean {
  return unit !== undefined && unit !== UNKEPT_UNIT;
}
