import { lineAmplitudes, type PowerSpectrum } from './power-spectrum.ts';
import { amplitudePower, prepareRecord, provenanceOf, recordEnvelope, type VibrationRecord } from './record.ts';
import { isResolved, measureDefect, measureShaft, type LineKind, type MeasuredLine } from './spectral-lines.ts';
import type { FeatureContext, FeatureProvenance, WaveformInput } from './waveform.ts';

/** A one-sided spectrum; line k is at `k * frequencyStepHz`. */
export interface Spectrum {
  readonly kind: 'amplitude' | 'envelope';
  readonly unit: string;
  readonly frequencyStepHz: number;
  /** Peak amplitude of a tone at each line, in `unit`. */
  readonly amplitudes: Float64Array;
  /** Shaft and defect frequencies; empty when the speed is unknown or the record too short to tell them apart. */
  readonly marks: readonly SpectrumMark[];
  readonly provenance: FeatureProvenance;
}

/** A frequency to mark in a chart of a spectrum. */
export interface SpectrumMark {
  readonly kind: LineKind;
  /** The bearing's id, or `b1`, `b2`... by its place in the machine's list; absent for shaft marks. */
  readonly bearing?: string;
  readonly harmonic: number;
  /** -2, -1, 1, 2...: the sideband of that harmonic; 0 is the harmonic itself. */
  readonly sideband: number;
  /** Short text for the chart, for instance `BPFI 2x -1`. */
  readonly label: string;
  /** Where kinematics puts it, in hertz. */
  readonly frequencyHz: number;
  /** How far from there it was searched, in hertz. */
  readonly toleranceHz: number;
  /** Where it was found, in hertz, and the amplitude of the tone there. */
  readonly foundHz: number;
  readonly foundAmplitude: number;
}

/**
 * One-sided amplitude spectrum in the waveform's unit: a tone of amplitude a at a line reads a.
 *
 * @throws RangeError when the waveform or a parameter is out of range.
 */
export function amplitudeSpectrum(waveform: WaveformInput, context: FeatureContext): Spectrum {
  const record = prepareRecord(waveform, context);
  const power = amplitudePower(record);
  return {
    kind: 'amplitude',
    unit: waveform.unit,
    frequencyStepHz: power.stepHz,
    amplitudes: lineAmplitudes(power),
    marks: marksIn(power, record),
    provenance: provenanceOf(record, power, undefined),
  };
}

/**
 * One-sided amplitude spectrum of the envelope, its mean taken off, in the band chosen by spectral kurtosis (or given); lines up to the
 * band's width. Empty for a record that is too short or does not move.
 *
 * @throws RangeError when the waveform or a parameter is out of range.
 */
export function envelopeSpectrum(waveform: WaveformInput, context: FeatureContext): Spectrum {
  const record = prepareRecord(waveform, context);
  const envelope = recordEnvelope(record);
  return {
    kind: 'envelope',
    unit: waveform.unit,
    frequencyStepHz: envelope?.spectrum.stepHz ?? 0,
    amplitudes: envelope ? lineAmplitudes(envelope.spectrum) : new Float64Array(0),
    marks: envelope ? marksIn(envelope.spectrum, record) : [],
    provenance: provenanceOf(record, undefined, envelope),
  };
}

function marksIn(spectrum: PowerSpectrum, { parameters, rpm, defects }: VibrationRecord): SpectrumMark[] {
  if (rpm === undefined || !isResolved(rpm / 60, spectrum)) return defectMarks();
  const shaft = measureShaft(spectrum, rpm / 60, parameters);
  return [...shaft.map((line) => mark('shaft', undefined, line, parameters.speedTolerance)), ...defectMarks()];

  function defectMarks(): SpectrumMark[] {
    return defects.flatMap((defect) => {
      const measured = measureDefect(spectrum, defect, parameters);
      const lines = measured ? [...measured.harmonics, ...measured.sidebands] : [];
      return lines.map((line) => mark(defect.kind, defect.bearing, line, parameters.slipTolerance));
    });
  }
}

function mark(kind: LineKind, bearing: string | undefined, line: MeasuredLine, tolerance: number): SpectrumMark {
  const { harmonic, sideband, expectedHz } = line;
  const order = sideband === 0 ? `${harmonic}x` : `${harmonic}x ${sideband > 0 ? '+' : ''}${sideband}`;
  return {
    kind,
    ...(bearing === undefined ? {} : { bearing }),
    harmonic,
    sideband,
    label: `${kind === '2xbsf' ? '2xBSF' : kind === 'shaft' ? 'shaft' : kind.toUpperCase()} ${order}`,
    frequencyHz: expectedHz,
    toleranceHz: expectedHz * tolerance,
    foundHz: line.frequencyHz,
    foundAmplitude: line.amplitude,
  };
}
