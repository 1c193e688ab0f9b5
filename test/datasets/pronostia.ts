import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  computeWaveformFeatures,
  type FeatureParameters,
  type WaveformFeatures,
} from '#core/features/waveform-features.ts';
import {
  assess,
  INITIAL_INDICATOR,
  type FeatureValues,
  type IndicatorParameters,
  type IndicatorState,
} from '#core/inference/health-indicator.ts';

/** Where the public data sets are: `TRIBO_DATASETS`, else `shared/datasets` beside the repository. */
export const DATASETS_FOLDER =
  process.env['TRIBO_DATASETS'] ?? join(import.meta.dirname, '..', '..', '..', 'shared', 'datasets');

const FOLDER = join(DATASETS_FOLDER, 'pronostia');

/** One bearing of the FEMTO run-to-failure set: its snapshots from new to destroyed. */
export interface PronostiaBearing {
  readonly name: string;
  readonly rpm: number;
  readonly sampleRateHz: number;
  readonly intervalSeconds: number;
  readonly snapshots: number;
  /** Acceleration of one snapshot, in g. */
  readonly samplesOf: (snapshot: number) => Float64Array;
}

/** The bearings, or `undefined` where the data set is absent. */
export function pronostiaBearings(): PronostiaBearing[] | undefined {
  const manifestFile = join(FOLDER, 'manifest.json');
  if (!existsSync(manifestFile)) return undefined;
  const entries = JSON.parse(readFileSync(manifestFile, 'utf8')) as ManifestEntry[];
  return entries.map((entry) => {
    const bytes = readFileSync(join(FOLDER, entry.file));
    const length = entry.samplesPerSnapshot;
    return {
      name: entry.file.replace(/\.i16$/, ''),
      rpm: entry.rpm,
      sampleRateHz: entry.fs,
      intervalSeconds: entry.intervalSeconds,
      snapshots: entry.snapshots,
      samplesOf: (snapshot) =>
        Float64Array.from({ length }, (_, i) => entry.scale * bytes.readInt16LE(2 * (snapshot * length + i))),
    };
  });
}

/** The rig as far as its makers describe it: a 250 W motor, whose support nobody classed. */
export function pronostiaFeatures(
  bearing: PronostiaBearing,
  snapshot: number,
  parameters?: Partial<FeatureParameters>,
): WaveformFeatures {
  const waveform = {
    samples: bearing.samplesOf(snapshot),
    sampleRateHz: bearing.sampleRateHz,
    unit: 'g',
    rpm: bearing.rpm,
  };
  return computeWaveformFeatures(waveform, { machine: { powerKw: 0.25, bearings: [] }, parameters });
}

/** What the indicator did over a life. */
export interface LifeVerdict {
  readonly snapshots: number;
  /** Snapshots at which an alert was raised. */
  readonly alerts: readonly number[];
  /** Of those, the ones in the first half of life. */
  readonly falseAlarms: number;
  /** From the first snapshot in the second half of life at which an alert stood to the last one; `undefined` without one. */
  readonly leadSeconds: number | undefined;
  /** Highest smoothed score in the first half of life. */
  readonly highestInFirstHalf: number;
}

/** Runs the indicator over a life of feature sets, in order. */
export function judgeLife(
  life: readonly FeatureValues[],
  intervalSeconds: number,
  parameters: IndicatorParameters,
): LifeVerdict {
  const alerts: number[] = [];
  let highestInFirstHalf = 0;
  let detected: number | undefined;
  let state: IndicatorState = INITIAL_INDICATOR;
  for (const [index, values] of life.entries()) {
    const next = assess(state, values, parameters);
    state = next.state;
    if (next.assessment.phase !== 'watching') continue;
    if (next.assessment.transition === 'raised') alerts.push(index);
    if (index < life.length / 2) highestInFirstHalf = Math.max(highestInFirstHalf, next.assessment.smoothed);
    else if (next.assessment.alerting) detected ??= index;
  }
  return {
    snapshots: life.length,
    alerts,
    falseAlarms: alerts.filter((index) => index < life.length / 2).length,
    leadSeconds: detected === undefined ? undefined : (life.length - 1 - detected) * intervalSeconds,
    highestInFirstHalf,
  };
}

interface ManifestEntry {
  readonly file: string;
  readonly snapshots: number;
  readonly rpm: number;
  readonly fs: number;
  readonly samplesPerSnapshot: number;
  readonly intervalSeconds: number;
  readonly scale: number;
}
