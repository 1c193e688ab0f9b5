import type { Machine, OperatingState } from './plant.ts';
import { convertUnit } from './units.ts';

/** The metric that carries a machine's speed; negative while it runs in reverse. Without a unit and a catalogue that has one, in {@link SPEED_UNIT}. */
export const SPEED_METRIC = 'rpm';
/** Revolutions per minute. */
export const SPEED_UNIT = '/min';

/** In which unit a metric is where neither the reading nor the machine's catalogue says. */
const USUAL_UNITS: ReadonlyMap<string, string> = new Map([
  [SPEED_METRIC, SPEED_UNIT],
  ['current', 'A'],
]);

/** A reading as far as speed and operating state follow from it. */
export interface ToldReading {
  readonly value: number;
  /** As it was sent; undefined where it is the catalogue's. */
  readonly unit: string | undefined;
}

/** Undefined where nothing tells it; `problem` is why a reading that is there does not. */
export interface ToldState {
  readonly state: OperatingState | undefined;
  readonly problem?: string;
}

type Described = Pick<Machine, 'operatingState' | 'metrics'>;

/**
 * Whether the machine runs, by the reading that tells it. Maintenance that people noted overrules it. `runningAbove` is in the unit that the
 * catalogue gives the metric, else in r/min for a speed and in A for a current; a reading that was sent in another is converted to it, and
 * one that does not convert tells nothing.
 */
export function operatingStateOf(
  { operatingState: source, metrics }: Described,
  readingOf: (metric: string) => ToldReading | undefined,
): ToldState {
  if (source.from === 'always') return { state: source.state };
  const reading = readingOf(source.metric);
  if (reading === undefined) return UNTOLD;
  if (source.from === 'tag') {
    if (reading.value === source.running) return RUNNING;
    return reading.value === source.maintenance ? MAINTENANCE : STOPPED;
  }
  const value = comparable(reading, source.metric, metrics);
  if (typeof value !== 'number') return value;
  const magnitude = source.metric === SPEED_METRIC ? Math.abs(value) : value;
  return magnitude > source.runningAbove ? RUNNING : STOPPED;
}

/** The speed in r/min that a reading of {@link SPEED_METRIC} tells, signed; or in words, why it tells none. */
export function speedOf({ value, unit }: ToldReading, metrics: Machine['metrics']): number | string {
  const sent = unit ?? unitOfMetric(SPEED_METRIC, metrics) ?? SPEED_UNIT;
  return convertUnit(value, sent, SPEED_UNIT) ?? notConverted(SPEED_METRIC, value, sent, SPEED_UNIT);
}

const UNTOLD: ToldState = { state: undefined };
const RUNNING: ToldState = { state: 'running' };
const STOPPED: ToldState = { state: 'stopped' };
const MAINTENANCE: ToldState = { state: 'maintenance' };

/** The value in the unit of `runningAbove`. Most readings come in it, without saying so. */
function comparable({ value, unit }: ToldReading, metric: string, metrics: Machine['metrics']): number | ToldState {
  if (unit === undefined) return value;
  const wanted = unitOfMetric(metric, metrics);
  if (wanted === undefined) return value;
  return convertUnit(value, unit, wanted) ?? { state: undefined, problem: notConverted(metric, value, unit, wanted) };
}

function unitOfMetric(metric: string, metrics: Machine['metrics']): string | undefined {
  return metrics.find(({ name }) => name === metric)?.unit ?? USUAL_UNITS.get(metric);
}

function notConverted(metric: string, value: number, unit: string, wanted: string): string {
  return `the reading ${metric} = ${value} ${unit} is left out: ${unit} does not convert to ${wanted}`;
}
