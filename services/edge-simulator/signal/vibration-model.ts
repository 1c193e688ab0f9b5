import type { BearingGeometry } from '#core/features/bearing.ts';
import type { FaultSeverities } from './faults.ts';

/** What a healthy machine sounds like at its sensor, at nominal speed and full load, and what its bearing would do to it. */
export interface VibrationModel {
  readonly nominalRpm: number;
  /** Velocity RMS of the shaft's 1x, 2x, 3x..., in mm/s. */
  readonly shaftHarmonicsMmPerS: readonly number[];
  readonly gear?: GearModel;
  /** Blades or vanes that pass a cutwater. */
  readonly blades?: { readonly count: number; readonly velocityMmPerS: number };
  /** Twice the supply frequency, from the motor's magnetic pull. */
  readonly magneticPull?: { readonly supplyHz: number; readonly velocityMmPerS: number };
  /** RMS of the broadband noise over the whole band of the recording, in g. */
  readonly noiseG: number;
  /** Modes of bearing housing and sensor mount that impacts excite. At least one. */
  readonly resonances: readonly Resonance[];
  readonly bearing: BearingGeometry;
  /** Peak acceleration that one impact of a bearing defect of severity 1 causes, in g. */
  readonly impactG: number;
}

interface GearModel {
  readonly pinionTeeth: number;
  readonly wheelTeeth: number;
  /** Acceleration RMS of the mesh frequency and its harmonics, in g. */
  readonly meshG: readonly number[];
  /** Amplitude modulation of the mesh by the pinion's and the wheel's rotation: each makes a pair of sidebands of half of it. */
  readonly pinionModulation: number;
  readonly wheelModulation: number;
}

export interface Resonance {
  readonly frequencyHz: number;
  /** Part of critical damping; 0.02 to 0.08 for bolted housings. */
  readonly dampingRatio: number;
  /** Share of the impact that this mode takes. */
  readonly gain: number;
}

/** What the machine is doing while it is recorded; constant over one record. */
export interface OperatingPoint {
  readonly rpm: number;
  /** 0 (idle) to about 1 (rated). */
  readonly load: number;
  readonly faults: FaultSeverities;
}

/** Standard gravity, in mm/s2. */
export const GRAVITY_MM_PER_S2 = 9806.65;
