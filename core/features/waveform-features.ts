import type { IsoZone } from './iso-20816.ts';
import type { Spectrum } from './spectrum.ts';
import type { FeatureContext, FeatureProvenance, WaveformInput } from './waveform.ts';

export { DEFAULT_FEATURE_PARAMETERS } from './waveform.ts';
export type {
  FeatureContext,
  FeatureMachine,
  FeatureParameters,
  FeatureProvenance,
  OperatingState,
  WaveformInput,
} from './waveform.ts';
export type { IsoZone, IsoZoneBoundaries, IsoZoneLetter, NoZoneCode } from './iso-20816.ts';
export type { MarkKind, Spectrum, SpectrumMark } from './spectrum.ts';
export type { BearingGeometry } from './bearing.ts';

/** Everything that is computed of one waveform. */
export interface WaveformFeatures {
  /**
   * Flat, finite values with their unit as the end of the name (`g`, `m_s2`, `mm_s`; none for ratios):
   * `rms_g`, `peak_g`, `peak_to_peak_g`, `crest_factor`, `kurtosis`, `skewness`, `shape_factor`, `impulse_factor`,
   * `velocity_rms_mm_s`, `band_10_100_hz_rms_g`..., `shaft_1x_g`..., `env_rms_g`, `env_band_kurtosis`,
   * `env_bpfo_g`, `env_bpfo_ratio`, `env_bpfo_sideband_g`, and the same for `bpfi`, `2xbsf` and `ftf`.
   * What cannot be computed of this record (no speed, too coarse a resolution) is absent, never zero.
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
export function computeWaveformFeatures(_waveform: WaveformInput, _context: FeatureContext): WaveformFeatures {
  throw new Error('follows in the next commit');
}

/** One-sided amplitude spectrum, in the waveform's unit: a tone of amplitude a at a line reads a. */
export function amplitudeSpectrum(_waveform: WaveformInput, _context: FeatureContext): Spectrum {
  throw new Error('follows in the next commit');
}

/** One-sided amplitude spectrum of the envelope in the band chosen by spectral kurtosis, its mean removed. */
export function envelopeSpectrum(_waveform: WaveformInput, _context: FeatureContext): Spectrum {
  throw new Error('follows in the next commit');
}
