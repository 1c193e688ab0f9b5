import { derivedEvent, derivedId, type DerivedFrom } from '../derivation/derived-event.ts';
import type { MachineEvent } from '../domain/event.ts';
import type { MachineKey } from '../domain/ids.ts';
import { differenceUnit, isUnitText } from '../domain/units.ts';
import type { DeclaredUnit, WindowResult } from '../features/windows.ts';
import type { DerivedDocument } from '../ports/time-series-store.ts';

/** Of the values' definition; part of the documents' ids. */
const WINDOWS_VERSION = '2';

/** In one document, at about 400 bytes each: a machine may have more metrics than an event has room for. */
const MAX_METRICS = 1000;

/** The body of a `window` document: its values are those of the metrics over [fromMs, toMs). */
export interface WindowBody {
  readonly fromMs: number;
  readonly toMs: number;
  /** Readings by metric. */
  readonly counts: Readonly<Record<string, number>>;
}

/**
 * The windows that were closed or corrected together, as events for the stream `windows`: one document for all metrics (1000 at most) of the same window
 * and revision, its time the window's end, its values `<metric>:mean`, `:deviation`, `:min`, `:max`, `:slope` (per second) and `:ewma`: names that
 * no metric of a device can have. Their units follow from the readings', else the declared ones. What is not defined (the deviation of one
 * reading) is absent.
 */
export function windowEvents(
  origin: DerivedFrom,
  results: readonly WindowResult[],
  declaredUnit: DeclaredUnit = () => undefined,
): MachineEvent[] {
  const windows = new Map<string, WindowResult[]>();
  for (const result of results) {
    const key = `${result.startMs}/${result.endMs}/${result.revision}`;
    const together = windows.get(key);
    if (together) together.push(result);
    else windows.set(key, [result]);
  }
  return [...windows.values()].flatMap((together) => {
    const documents: MachineEvent[] = [];
    for (let at = 0; at < together.length; at += MAX_METRICS) {
      const document = windowDocument(origin.key, together.slice(at, at + MAX_METRICS), declaredUnit);
      documents.push(derivedEvent(origin, 'features', document));
    }
    return documents;
  });
}

function windowDocument(
  key: MachineKey,
  results: readonly WindowResult[],
  declaredUnit: DeclaredUnit,
): DerivedDocument {
  const { startMs, endMs, revision } = results[0]!;
  const values: Record<string, number> = {};
  const units: Record<string, string> = {};
  const counts: Record<string, number> = {};
  for (const { metric, count, mean, deviation, min, max, slopePerSecond, ewma, ...result } of results) {
    counts[metric] = count;
    const unit = result.unit ?? declaredUnit(key, metric);
    const difference = unit && differenceUnit(unit);
    const put = (statistic: string, value: number | null, itsUnit: string | undefined): void => {
      if (value === null) return;
      values[`${metric}:${statistic}`] = value;
      if (isUnitText(itsUnit)) units[`${metric}:${statistic}`] = itsUnit;
    };
    put('mean', mean, unit);
    put('min', min, unit);
    put('max', max, unit);
    put('ewma', ewma, unit);
    put('deviation', deviation, difference);
    put('slope', slopePerSecond, difference && `${difference}/s`);
  }
  const body: WindowBody = { fromMs: startMs, toMs: endMs, counts };
  const metrics = Object.keys(counts).sort();
  return {
    kind: 'window',
    id: derivedId('window', WINDOWS_VERSION, key, [String(startMs), String(endMs), String(revision), ...metrics]),
    revision,
    ts: endMs,
    values,
    ...(Object.keys(units).length > 0 && { units }),
    body,
  };
}
