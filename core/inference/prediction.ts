import { derivedId } from '../derivation/derived-event.ts';
import type { MachineKey } from '../domain/ids.ts';
import type { OperatingState } from '../domain/plant.ts';
import type { DerivedDocument } from '../ports/time-series-store.ts';

/**
 * What a sensor's vibration says of its machine.
 *
 * `learning`: the baseline is being learnt, its model waits to be promoted, or it has too few scores to judge by. `healthy`, `degraded` (the judged score is at least half of the
 * threshold) and `alarm` (it reached the threshold, and has not fallen far enough since) are judgements of the model. `unknown`: the features
 * cannot be compared with the baseline; neither good nor bad.
 */
export type HealthVerdict = 'learning' | 'healthy' | 'degraded' | 'alarm' | 'unknown';

/** The part of the threshold from which a machine counts as degraded. */
export const DEGRADED_AT = 0.5;

/** The body of a `prediction` document. Its values are `<sensor>.anomaly_score` and `<sensor>.health`, once there is a judged score. */
export interface PredictionBody {
  readonly verdict: HealthVerdict;
  /** Why there is no judgement, or how far learning has come. */
  readonly reason?: string;
  /** The model that judged. */
  readonly model?: { readonly name: string; readonly version: number; readonly sha256: string };
  /** The judged score from which on it is an alarm. */
  readonly threshold?: number;
  /** This waveform's own score; the judged one, a running median, is the value `anomaly_score`. */
  readonly score?: number;
  /** What deviates most, first: signed deviations from the baseline, and the value over its baseline value where the model tells. */
  readonly contributions?: readonly PredictionContribution[];
  /** Times of the first and last waveform that the judgement rests on. */
  readonly window: { readonly fromMs: number; readonly toMs: number };
  readonly waveformId?: string;
  /** Id of the features document that was judged. */
  readonly featuresId: string;
  readonly operatingState?: OperatingState;
  /** Since when this baseline holds: the event that began it, or the first waveform seen. */
  readonly baseline: { readonly sinceMs: number; readonly startedBy: 'first-data' | 'bearing-change' | 'repair' };
}

export interface PredictionContribution {
  readonly feature: string;
  readonly z: number;
  readonly ratio?: number;
}

/** How many contributions are told. */
export const MAX_CONTRIBUTIONS = 10;

/** Version of the judgement; part of the id of every prediction. */
const PREDICTION_VERSION = 'tribo-health/1.0.0';

/** A prediction of a features document; the same document always gives the same id. */
export function predictionDocument(
  machine: MachineKey,
  features: Pick<DerivedDocument, 'id' | 'ts' | 'sensor'>,
  judged: { readonly score: number; readonly threshold: number } | undefined,
  body: PredictionBody,
): DerivedDocument {
  const sensor = features.sensor ?? '';
  const values = judged
    ? { [`${sensor}.anomaly_score`]: judged.score, [`${sensor}.health`]: health(judged.score, judged.threshold) }
    : {};
  return {
    kind: 'prediction',
    id: derivedId('prediction', PREDICTION_VERSION, machine, [sensor, features.id]),
    revision: 1,
    ts: features.ts,
    sensor,
    values,
    units: Object.fromEntries(Object.keys(values).map((name) => [name, '1'])),
    body,
  };
}

/** 1: as in its healthy beginning; 0.5: at the threshold; 0: at twice the threshold or beyond. */
export function health(score: number, threshold: number): number {
  return Math.min(1, Math.max(0, 1 - score / (2 * threshold)));
}
