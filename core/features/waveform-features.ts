import { isoZone, velocityBandHz, velocityObstacle, velocityRmsMmPerS, type IsoZone } from './iso-20816.ts';
import { bandMeanSquare, type PowerSpectrum } from './power-spectrum.ts';
import {
  amplitudePower,
  prepareRecord,
  provenanceOf,
  recordEnvelope,
  type RecordEnvelope,
  type VibrationRecord,
} from './record.ts';
import {
  combinedAmplitude,
  commonAmplitude,
  DEFECT_KINDS,
  measureDefect,
  measureShaft,
  type MeasuredDefect,
} from './spectral-lines.ts';
import { timeStatistics } from './time-statistics.ts';
import type { FeatureContext, FeatureProvenance, WaveformInput } from './waveform.ts';

export { DEFAULT_FEATURE_PARAMETERS } from './waveform.ts';
export type {
  FeatureContext,
  FeatureMachine,
  FeatureParameters,
  FeatureProvenance,
  WaveformInput,
} from './waveform.ts';
export type { IsoZone } from './iso-20816.ts';
export { amplitudeSpectrum, envelopeSpectrum } from './spectrum.ts';
export type { Spectrum } from './spectrum.ts';

/** Everything that is computed of one waveform. */
export interface WaveformFeatures {
  /**
   * Flat, finite values with their unit as the end of the name (`g`, `m_s2`, `mm_s`...; none for ratios). What cannot be computed of
   * this record (no speed, too coarse a resolution, no movement) is absent, never zero.
   *
   * - `mean_g`; about the mean: `rms_g`, `peak_g`, `peak_to_peak_g`, `crest_factor`, `kurtosis` (3 for Gaussian noise), `skewness`,
   *   `shape_factor`, `impulse_factor`
   * - `velocity_rms_mm_s`: broadband, by ISO 20816-3's method
   * - `band_10_100_hz_rms_g`...: RMS in a band; the last one, `band_10000_hz_up_rms_g`, ends at half the sample rate
   * - `shaft_1x_g`...: amplitude of a harmonic of the shaft's rotation
   * - `env_mean_g`, `env_rms_g` (about its mean), `env_band_kurtosis` (spectral kurtosis of the band, 0 for noise)
   * - for each defect `bpfo`, `bpfi`, `2xbsf`, `ftf`: `env_bpfo_g` (combined amplitude of its harmonics in the envelope spectrum),
   *   `env_bpfo_ratio` (geometric mean of the harmonics over the median line: how far the family stands out; about 2 to 4 in noise),
   *   `env_bpfi_sideband_g` (combined sidebands; inner race and ball). With several bearings these are of the bearing with the highest
   *   ratio, and each bearing has its own
   *   `env_<bearing>_bpfo_g` and `_ratio` beside them.
   */
  readonly values: Readonly<Record<string, number>>;
  readonly isoZone: IsoZone;
  readonly provenance: FeatureProvenance;
}

/**
 * The full feature set of one waveform. Pure; reuses transform plans and buffers from a bounded cache.
 *
 * @throws RangeError when the waveform has too few, too many or non-finite samples, or a parameter is out of range.
 */
export function computeWaveformFeatures(waveform: WaveformInput, context: FeatureContext): WaveformFeatures {
  const record = prepareRecord(waveform, context);
  const values: Record<string, number> = {};
  addTimeValues(values, record);
  const power = amplitudePower(record);
  addBandValues(values, power, record);
  addShaftValues(values, power, record);
  const zone = addVelocity(values, power, record);
  const envelope = recordEnvelope(record);
  if (envelope) addEnvelopeValues(values, envelope, record);
  return { values, isoZone: zone, provenance: provenanceOf(record, power, envelope) };
}

function addTimeValues(values: Record<string, number>, { centred, mean, unit }: VibrationRecord): void {
  const statistics = timeStatistics(centred);
  const { suffix } = unit;
  values[`mean_${suffix}`] = mean;
  values[`rms_${suffix}`] = statistics.rms;
  values[`peak_${suffix}`] = statistics.peak;
  values[`peak_to_peak_${suffix}`] = statistics.peakToPeak;
  if (!statistics.ratios) return;
  values['crest_factor'] = statistics.ratios.crestFactor;
  values['kurtosis'] = statistics.ratios.kurtosis;
  values['skewness'] = statistics.ratios.skewness;
  values['shape_factor'] = statistics.ratios.shapeFactor;
  values['impulse_factor'] = statistics.ratios.impulseFactor;
}

function addBandValues(values: Record<string, number>, power: PowerSpectrum, record: VibrationRecord): void {
  const { unit, sampleRateHz, parameters } = record;
  const edges = parameters.bandEdgesHz.filter((edge) => edge < sampleRateHz / 2);
  for (const [index, low] of edges.entries()) {
    const high = edges[index + 1];
    const meanSquare = bandMeanSquare(power, low, high ?? Infinity);
    values[`band_${low}_${high === undefined ? 'hz_up' : `${high}_hz`}_rms_${unit.suffix}`] = Math.sqrt(meanSquare);
  }
}

function addShaftValues(values: Record<string, number>, power: PowerSpectrum, record: VibrationRecord): void {
  const { rpm, parameters, unit } = record;
  if (rpm === undefined) return;
  for (const line of measureShaft(power, rpm / 60, parameters)) {
    values[`shaft_${line.harmonic}x_${unit.suffix}`] = line.amplitude;
  }
}

function addVelocity(values: Record<string, number>, power: PowerSpectrum, record: VibrationRecord): IsoZone {
  const { rpm, unit, sampleRateHz, machine } = record;
  const bandHz = velocityBandHz(rpm);
  const obstacle = velocityObstacle(unit, 1 / power.resolutionHz, sampleRateHz, bandHz);
  const velocityRms = obstacle ? undefined : velocityRmsMmPerS(power, unit, bandHz);
  if (velocityRms !== undefined) values['velocity_rms_mm_s'] = velocityRms;
  return isoZone(machine, { rpm, bandHz, velocityRmsMmPerS: velocityRms, obstacle });
}

function addEnvelopeValues(values: Record<string, number>, envelope: RecordEnvelope, record: VibrationRecord): void {
  const { unit, defects, parameters } = record;
  values[`env_mean_${unit.suffix}`] = envelope.mean;
  values[`env_rms_${unit.suffix}`] = envelope.rms;
  values['env_band_kurtosis'] = envelope.band.kurtosis;
  const background = medianAmplitude(envelope.spectrum);
  const perBearing = new Set(defects.map((defect) => defect.bearing)).size > 1;
  for (const kind of DEFECT_KINDS) {
    let worst: DefectEvidence | undefined;
    for (const defect of defects) {
      const measured = defect.kind === kind ? measureDefect(envelope.spectrum, defect, parameters) : undefined;
      if (!measured) continue;
      const evidence = defectEvidence(measured, background);
      if (perBearing) addDefectValues(values, `env_${defect.bearing}_${kind}`, evidence, unit.suffix);
      if (!worst || evidence.ratio > worst.ratio) worst = evidence;
    }
    if (worst) addDefectValues(values, `env_${kind}`, worst, unit.suffix);
  }
}

interface DefectEvidence {
  readonly amplitude: number;
  readonly ratio: number;
  readonly sidebandAmplitude: number | undefined;
}

function defectEvidence({ harmonics, sidebands }: MeasuredDefect, background: number): DefectEvidence {
  return {
    amplitude: combinedAmplitude(harmonics),
    ratio: background > 0 ? commonAmplitude(harmonics) / background : 0,
    sidebandAmplitude: sidebands.length > 0 ? combinedAmplitude(sidebands) : undefined,
  };
}

function addDefectValues(
  values: Record<string, number>,
  name: string,
  { amplitude, ratio, sidebandAmplitude }: DefectEvidence,
  suffix: string,
): void {
  values[`${name}_${suffix}`] = amplitude;
  values[`${name}_ratio`] = ratio;
  if (sidebandAmplitude !== undefined) values[`${name}_sideband_${suffix}`] = sidebandAmplitude;
}

/** Enough lines for a median; sorting thousands of them would cost more than the transform. */
const MEDIAN_LINES = 512;

function medianAmplitude({ meanSquares, amplitudeFactor }: PowerSpectrum): number {
  const stride = Math.max(1, Math.ceil(meanSquares.length / MEDIAN_LINES));
  const sample = new Float64Array(Math.ceil(meanSquares.length / stride));
  for (let i = 0; i < sample.length; i++) sample[i] = meanSquares[i * stride]!;
  sample.sort();
  return Math.sqrt(amplitudeFactor * sample[sample.length >> 1]!);
}
