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
  /** Why the shaft or a defect has no mark. */
  readonly unmarked: readonly Unmarked[];
  readonly provenance: FeatureProvenance;
}

/** What a spectrum does not mark, and why, as a sentence without its full stop. */
export interface Unmarked {
  readonly kind: 'shaft' | 'bearing';
  readonly reason: string;
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
    ...marksIn(power, record),
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
    ...(envelope ? marksIn(envelope.spectrum, record) : NO_ENVELOPE),
    provenance: provenanceOf(record, undefined, envelope),
  };
}

const NO_ENVELOPE = {
  marks: [],
  unmarked: [{ kind: 'bearing', reason: 'the record is too short for an envelope, or does not move' }],
} as const satisfies Pick<Spectrum, 'marks' | 'unmarked'>;

function marksIn(spectrum: PowerSpectrum, record: VibrationRecord): Pick<Spectrum, 'marks' | 'unmarked'> {
  const { parameters, rpm, machine, defects } = record;
  const unmarked: Unmarked[] = [];
  if (machine.bearings.length === 0) {
    unmarked.push({ kind: 'bearing', reason: 'no bearing with a possible geometry is described for this sensor' });
  }
  if (rpm === undefined || rpm === 0) {
    const reason = rpm === 0 ? 'the speed is 0 r/min' : 'the speed is not known';
    return { marks: [], unmarked: [{ kind: 'shaft', reason }, { kind: 'bearing', reason }, ...unmarked] };
  }
  const shaft = measureShaft(spectrum, rpm / 60, parameters);
  const marks = shaft.map((line) => mark('shaft', undefined, line, parameters.speedTolerance));
  if (shaft.length === 0) unmarked.push({ kind: 'shaft', reason: whyUnmarked('the shaft', rpm / 60, spectrum) });
  for (const defect of defects) {
    const { kind, bearing, frequencyHz } = defect;
    const measured = measureDefect(spectrum, defect, parameters);
    if (measured) {
      const lines = [...measured.harmonics, ...measured.sidebands];
      marks.push(...lines.map((line) => mark(kind, bearing, line, parameters.slipTolerance)));
    } else {
      const what = `${nameOf(kind)} of ${bearing}`;
      unmarked.push({ kind: 'bearing', reason: whyUnmarked(what, frequencyHz, spectrum) });
    }
  }
  return { marks, unmarked };
}

function whyUnmarked(what: string, frequencyHz: number, spectrum: PowerSpectrum): string {
  const place = `${what} is expected at ${rounded(frequencyHz)} Hz`;
  if (isResolved(frequencyHz, spectrum)) {
    return `${place}, above the end of the spectrum at ${rounded((spectrum.meanSquares.length - 1) * spectrum.stepHz)} Hz`;
  }
  return `${place}, too low for a record so short: its lines are ${rounded(spectrum.resolutionHz)} Hz wide`;
}

function rounded(value: number): number {
  return Number(value.toPrecision(4));
}

function nameOf(kind: LineKind): string {
  if (kind === 'shaft') return kind;
  return kind === '2xbsf' ? '2xBSF' : kind.toUpperCase();
}

function mark(kind: LineKind, bearing: string | undefined, line: MeasuredLine, tolerance: number): SpectrumMark {
  const { harmonic, sideband, expectedHz } = line;
  const order = sideband === 0 ? `${harmonic}x` : `${harmonic}x ${sideband > 0 ? '+' : ''}${sideband}`;
  return {
    kind,
    ...(bearing === undefined ? {} : { bearing }),
    harmonic,
    sideband,
    label: `${nameOf(kind)} ${order}`,
    frequencyHz: expectedHz,
    toleranceHz: expectedHz * tolerance,
    foundHz: line.frequencyHz,
    foundAmplitude: line.amplitude,
  };
}
