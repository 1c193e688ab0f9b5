import type { OperatingState } from '../domain/plant.ts';
import type { DerivedDocument } from '../ports/time-series-store.ts';

/** What rules look at in a derived document, whatever else its stage put in. */
export interface DocumentFacts {
  /** By bare name, without the sensor. */
  readonly values: Readonly<Record<string, number>>;
  readonly units: Readonly<Record<string, string>>;
  /** `A` to `D`; absent where there is no verdict. */
  readonly zone?: string;
  /** What the zone was found by: the broadband velocity, and above which one each zone begins. Absent where the document does not say. */
  readonly zoning?: {
    readonly velocityMmPerS: number;
    readonly beginsAboveMmPerS: Readonly<Record<'B' | 'C' | 'D', number>>;
    /** The machine's kind, by which the boundaries are chosen: `group 2, rigid support`. Absent where the document does not say. */
    readonly machineKind?: string;
    /** The table and its assumptions. */
    readonly basis?: string;
  };
  readonly waveformId?: string;
  /** Of a window of readings. */
  readonly fromMs?: number;
  /** What the machine was doing then; absent where the document does not say. */
  readonly operatingState?: OperatingState;
  readonly model?: { readonly id: string; readonly version: string };
  readonly score?: number;
  /** The score above which the model itself speaks of an anomaly. */
  readonly threshold?: number;
  /** How far a model is that learns what is normal; absent where it judges. */
  readonly learning?: { readonly reason: string; readonly sinceMs?: number };
  /** What deviates most, and how many times its baseline it is. */
  readonly leading?: { readonly feature: string; readonly ratio?: number };
}

const OPERATING_STATES: readonly unknown[] = ['running', 'stopped', 'maintenance'] satisfies OperatingState[];

/** Reads the facts of a document. What has another shape than expected is absent, never guessed. */
export function documentFacts({ values, units, sensor, body }: DerivedDocument): DocumentFacts {
  const prefix = sensor === undefined ? '' : `${sensor}.`;
  const bare = bareNames(values, prefix);
  const record = recordOf(body);
  const { verdict } = recordOf(record['isoZone']);
  const zoning = zoningOf(recordOf(record['isoZone']));
  const model = recordOf(record['model']);
  const { waveformId, fromMs, operatingState, threshold } = record;
  const modelId = model['id'] ?? model['name'];
  const { version } = model;
  const limit = threshold ?? bare['threshold'];
  const leading = leadingOf(record['contributions']);
  const learning = learningOf(record);
  const score = bare['anomaly_score'] ?? bare['score'];
  return {
    values: bare,
    units: bareNames(units ?? {}, prefix),
    ...(typeof verdict === 'string' && /^[A-D]$/.test(verdict) && { zone: verdict }),
    ...(zoning && { zoning }),
    ...(typeof waveformId === 'string' && { waveformId }),
    ...(typeof fromMs === 'number' && { fromMs }),
    ...(OPERATING_STATES.includes(operatingState) && { operatingState: operatingState as OperatingState }),
    ...(typeof modelId === 'string' && {
      model: { id: modelId, version: typeof version === 'number' || typeof version === 'string' ? `${version}` : '' },
    }),
    ...(score !== undefined && { score }),
    ...(typeof limit === 'number' && { threshold: limit }),
    ...(leading && { leading }),
    ...(learning && { learning }),
  };
}

function zoningOf(isoZone: Readonly<Record<string, unknown>>): DocumentFacts['zoning'] {
  const { velocityRmsMmPerS, boundaries, group, support, basis } = isoZone;
  const { abMmPerS, bcMmPerS, cdMmPerS } = recordOf(boundaries);
  if (typeof velocityRmsMmPerS !== 'number') return undefined;
  if (typeof abMmPerS !== 'number' || typeof bcMmPerS !== 'number' || typeof cdMmPerS !== 'number') return undefined;
  return {
    velocityMmPerS: velocityRmsMmPerS,
    beginsAboveMmPerS: { B: abMmPerS, C: bcMmPerS, D: cdMmPerS },
    ...(typeof group === 'number' &&
      typeof support === 'string' && { machineKind: `group ${group}, ${support} support` }),
    ...(typeof basis === 'string' && { basis }),
  };
}

function learningOf({ verdict, reason, baseline }: Readonly<Record<string, unknown>>): DocumentFacts['learning'] {
  if (verdict !== 'learning' || typeof reason !== 'string') return undefined;
  const { sinceMs } = recordOf(baseline);
  return { reason, ...(typeof sinceMs === 'number' && { sinceMs }) };
}

function leadingOf(contributions: unknown): DocumentFacts['leading'] {
  const { feature, ratio } = recordOf(Array.isArray(contributions) ? contributions[0] : undefined);
  if (typeof feature !== 'string') return undefined;
  return { feature, ...(typeof ratio === 'number' && { ratio }) };
}

function bareNames<Value>(record: Readonly<Record<string, Value>>, prefix: string): Readonly<Record<string, Value>> {
  if (prefix === '') return record;
  const bare: Record<string, Value> = {};
  for (const [name, value] of Object.entries(record)) {
    bare[name.startsWith(prefix) ? name.slice(prefix.length) : name] = value;
  }
  return bare;
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
