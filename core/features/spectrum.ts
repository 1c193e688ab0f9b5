import type { FeatureProvenance } from './waveform.ts';

/** What a line of a spectrum is expected from. */
export type MarkKind = 'shaft' | 'bpfo' | 'bpfi' | '2xbsf' | 'ftf';

/** A frequency to mark in a chart of a spectrum. */
export interface SpectrumMark {
  readonly kind: MarkKind;
  /** The bearing's id; absent for shaft marks. */
  readonly bearing?: string | undefined;
  readonly harmonic: number;
  /** -2, -1, 1, 2...: the sideband of that harmonic; 0 is the harmonic itself. */
  readonly sideband: number;
  /** Short text for the chart, for instance `BPFO x2 -1`. */
  readonly label: string;
  /** Where kinematics puts it, in hertz. */
  readonly frequencyHz: number;
  /** Half the width that was searched for slip, in hertz. */
  readonly toleranceHz: number;
  /** Where it was found, in hertz, and the amplitude there. */
  readonly foundHz: number;
  readonly foundAmplitude: number;
}

/** A one-sided spectrum; line k is at `k * frequencyStepHz`. */
export interface Spectrum {
  readonly kind: 'amplitude' | 'envelope';
  readonly unit: string;
  readonly frequencyStepHz: number;
  /** Peak amplitude of a tone at each line, in `unit`. */
  readonly amplitudes: Float64Array;
  /** Shaft and defect frequencies; empty when the speed is unknown. */
  readonly marks: readonly SpectrumMark[];
  readonly provenance: FeatureProvenance;
}
