import type { BearingGeometry } from './bearing.ts';
import type { TaperKind } from './transform-cache.ts';

/** One recorded waveform, evenly sampled. */
export interface WaveformInput {
  /** {@link MIN_SAMPLES} to {@link MAX_SAMPLES} finite samples in `unit`. Not changed. */
  readonly samples: Float64Array | Float32Array;
  readonly sampleRateHz: number;
  /**
   * Of the samples: a UCUM code or a customary spelling of one, as in core/domain/units.ts. `g` is standard gravity. What is neither an
   * acceleration nor a velocity is carried into the feature names, and gives no velocity and no zone: units are never guessed.
   */
  readonly unit: string;
  /** Shaft speed while recording, in revolutions per minute; else the machine's nominal speed is taken. */
  readonly rpm?: number | undefined;
  /** Where `rpm` comes from: the waveform itself, unless it is the machine's own reading at about that time. */
  readonly rpmSource?: 'waveform' | 'reading' | undefined;
  /** Time of that reading, where it is known. */
  readonly rpmReadAtMs?: number | undefined;
}

/** Shortest waveform that is accepted. */
export const MIN_SAMPLES = 16;

/** Longest waveform that is accepted: 16 MiB of 16-bit samples, the largest body the HTTP entry takes. */
export const MAX_SAMPLES = 8_388_608;

/** What a machine is doing; only `running` (or unknown) is judged by ISO 20816-3. */
export type OperatingState = 'running' | 'stopped' | 'maintenance';

/** The facts about a machine that its features depend on. */
export interface FeatureMachine {
  /** Rated power, in kilowatts. */
  readonly powerKw?: number | undefined;
  /** Nominal shaft speed, in revolutions per minute. */
  readonly nominalRpm?: number | undefined;
  /** Shaft height H, in millimetres. */
  readonly shaftHeightMm?: number | undefined;
  readonly support?: 'rigid' | 'flexible' | undefined;
  /** At most {@link BEARING_LIMITS.perMachine}. */
  readonly bearings: readonly BearingGeometry[];
  readonly operatingState?: OperatingState | undefined;
}

/** What the samples of a waveform are to be read against. */
export interface FeatureContext {
  readonly machine: FeatureMachine;
  /** Overrides of {@link DEFAULT_FEATURE_PARAMETERS}. */
  readonly parameters?: Partial<FeatureParameters> | undefined;
}

/** Parameters of the waveform features; all of them are repeated in the provenance of every result. */
export interface FeatureParameters {
  /** Taper of the amplitude spectrum. */
  readonly taper: TaperKind;
  /** Samples in a segment of the amplitude spectrum; `record` takes the whole record as one segment, the finest resolution. */
  readonly segmentSamples: 'record' | number;
  /** Overlap of neighbouring segments, 0 to below 1. Without effect on a single segment. */
  readonly segmentOverlap: number;
  /** Edges of the energy bands, ascending, in hertz; edges at or above half the sample rate are left out, the last band ends there. */
  readonly bandEdgesHz: readonly number[];
  /** Harmonics of the shaft's rotation that are measured, from 1x. */
  readonly shaftHarmonics: number;
  /** Harmonics of each bearing defect frequency that are summed. */
  readonly defectHarmonics: number;
  /** Sidebands on each side of each defect harmonic that are summed. */
  readonly defectSidebands: number;
  /** Defect frequencies are searched within this part of their kinematic value: rolling elements slip. */
  readonly slipTolerance: number;
  /** Shaft harmonics are searched within this part of their nominal value. */
  readonly speedTolerance: number;
  /** Halvings that the search for the envelope band goes through, 0 to 6: level k tries 2^k and 3 * 2^(k-1) bands. */
  readonly envelopeBandLevels: number;
  /** Fixed envelope band in hertz; searched by spectral kurtosis when absent. */
  readonly envelopeBandHz?: readonly [number, number] | undefined;
}

export const DEFAULT_FEATURE_PARAMETERS: FeatureParameters = {
  taper: 'hann',
  segmentSamples: 'record',
  segmentOverlap: 0.5,
  bandEdgesHz: [10, 100, 500, 1000, 2500, 5000, 10000, 20000],
  shaftHarmonics: 5,
  defectHarmonics: 4,
  defectSidebands: 2,
  slipTolerance: 0.03,
  speedTolerance: 0.02,
  envelopeBandLevels: 3,
};

/** How a result came to be; enough to compute it again. */
export interface FeatureProvenance {
  readonly softwareVersion: string;
  readonly parameters: FeatureParameters;
  readonly unit: string;
  readonly sampleRateHz: number;
  readonly samples: number;
  /** Length of the transform over the record: `samples`, or the next length with no prime factor above 5. */
  readonly zeroPaddedTo: number;
  /** Shaft speed that was used, in revolutions per minute, and where it came from. */
  readonly rpm?: number | undefined;
  readonly rpmSource: 'waveform' | 'reading' | 'machine' | 'unknown';
  /** Time of the reading that told the speed. */
  readonly rpmReadAtMs?: number | undefined;
  /** Band the envelope was taken in; absent when the record is too short for one. */
  readonly envelopeBandHz?: readonly [number, number] | undefined;
  readonly envelopeBandSource: 'parameter' | 'spectral-kurtosis' | 'none';
  /** Band of the velocity RMS; absent when there is no velocity. */
  readonly velocityBandHz?: readonly [number, number] | undefined;
  /** Distance of the lines of the amplitude and of the envelope spectrum, in hertz; absent for what was not computed. */
  readonly amplitudeStepHz?: number | undefined;
  readonly envelopeStepHz?: number | undefined;
  /** How amplitudes are scaled, in words. */
  readonly scaling: string;
}

/** Version of the feature algorithms: raised whenever the same waveform would give another value. */
export const FEATURES_VERSION = 'tribo-features/1.0.2';

/**
 * The defaults with a context's overrides.
 *
 * @throws RangeError that names the parameter, when one is out of range.
 */
export function resolveParameters(overrides: Partial<FeatureParameters> | undefined): FeatureParameters {
  if (!overrides) return DEFAULT_FEATURE_PARAMETERS;
  const parameters = { ...DEFAULT_FEATURE_PARAMETERS, ...overrides };
  const { segmentSamples, bandEdgesHz, envelopeBandHz } = parameters;
  if (segmentSamples !== 'record') requireWithin('segmentSamples', segmentSamples, MIN_SAMPLES, MAX_SAMPLES);
  requireWithin('segmentOverlap', parameters.segmentOverlap, 0, 0.95);
  requireWithin('shaftHarmonics', parameters.shaftHarmonics, 0, 50);
  requireWithin('defectHarmonics', parameters.defectHarmonics, 1, 20);
  requireWithin('defectSidebands', parameters.defectSidebands, 0, 10);
  requireWithin('slipTolerance', parameters.slipTolerance, 0, 0.1);
  requireWithin('speedTolerance', parameters.speedTolerance, 0, 0.1);
  requireWithin('envelopeBandLevels', parameters.envelopeBandLevels, 0, 6);
  requireWithin('the number of bandEdgesHz', bandEdgesHz.length, 0, 64);
  requireAscending('bandEdgesHz', bandEdgesHz);
  if (envelopeBandHz) requireAscending('envelopeBandHz', envelopeBandHz);
  return parameters;
}

function requireWithin(name: string, value: number, low: number, high: number): void {
  if (!(value >= low && value <= high)) throw new RangeError(`${name} must be ${low}..${high}, got ${value}`);
}

function requireAscending(name: string, edges: readonly number[]): void {
  const ascending = edges.every((edge, i) => Number.isFinite(edge) && edge >= 0 && edge > (edges[i - 1] ?? -1));
  if (!ascending) throw new RangeError(`${name} must be ascending and not negative, got ${edges.join(', ')}`);
}
