import { BEARING_LIMITS, MAX_RPM } from '../domain/plant.ts';
import { bandEnvelope, fixedBand, mostImpulsiveBand, transformRecord, type Band, type Envelope } from './envelope.ts';
import { nextEvenSmooth } from './fft.ts';
import { velocityBandHz } from './iso-20816.ts';
import { powerSpectrum, type PowerSpectrum } from './power-spectrum.ts';
import { defectsOf, type Defect } from './spectral-lines.ts';
import { buffer } from './transform-cache.ts';
import { givesVelocity, sampleUnit, type SampleUnit } from './units.ts';
import {
  FEATURES_VERSION,
  MAX_SAMPLES,
  MIN_SAMPLES,
  resolveParameters,
  type FeatureContext,
  type FeatureMachine,
  type FeatureParameters,
  type FeatureProvenance,
  type WaveformInput,
} from './waveform.ts';

/** A validated waveform with its mean taken off, and what its features are to be read against. */
export interface VibrationRecord {
  /** In a shared buffer: good until the next record is prepared. */
  readonly centred: Float64Array;
  readonly mean: number;
  readonly sampleRateHz: number;
  readonly unit: SampleUnit;
  readonly machine: FeatureMachine;
  readonly parameters: FeatureParameters;
  readonly rpm: number | undefined;
  readonly rpmSource: FeatureProvenance['rpmSource'];
  readonly rpmReadAtMs: number | undefined;
  /** Defects of the machine's bearings at that speed; none when the speed is unknown or zero. */
  readonly defects: readonly Defect[];
}

/** @throws RangeError that says what is out of range. */
export function prepareRecord(waveform: WaveformInput, { machine, parameters }: FeatureContext): VibrationRecord {
  const { samples, sampleRateHz } = waveform;
  if (samples.length < MIN_SAMPLES || samples.length > MAX_SAMPLES) {
    throw new RangeError(`a waveform has ${MIN_SAMPLES} to ${MAX_SAMPLES} samples, got ${samples.length}`);
  }
  if (!(sampleRateHz > 0 && sampleRateHz <= 1e9)) {
    throw new RangeError(`sampleRateHz must be above 0 and at most 1e9, got ${sampleRateHz}`);
  }
  if (machine.bearings.length > BEARING_LIMITS.perMachine) {
    throw new RangeError(`a machine has at most ${BEARING_LIMITS.perMachine} bearings, got ${machine.bearings.length}`);
  }
  const rpm = waveform.rpm ?? machine.nominalRpm;
  if (rpm !== undefined && !(rpm >= 0 && rpm <= MAX_RPM)) throw new RangeError(`rpm must be 0..1e6, got ${rpm}`);
  return {
    ...centre(samples),
    sampleRateHz,
    unit: sampleUnit(waveform.unit),
    machine,
    parameters: resolveParameters(parameters),
    rpm,
    rpmSource:
      waveform.rpm !== undefined ? (waveform.rpmSource ?? 'waveform') : rpm !== undefined ? 'machine' : 'unknown',
    rpmReadAtMs: waveform.rpmReadAtMs,
    defects: rpm === undefined || rpm === 0 ? [] : defectsOf(machine.bearings, rpm),
  };
}

/** The record's amplitude spectrum as power, by the taper, segments and overlap of its parameters. */
export function amplitudePower(record: VibrationRecord): PowerSpectrum {
  const { segmentSamples } = record.parameters;
  const length = record.centred.length;
  return powerSpectrum(record.centred, {
    sampleRateHz: record.sampleRateHz,
    taper: record.parameters.taper,
    segmentSamples: segmentSamples === 'record' ? length : Math.min(segmentSamples, length),
    overlap: record.parameters.segmentOverlap,
  });
}

export interface RecordEnvelope extends Envelope {
  readonly band: Band;
  readonly bandHz: readonly [number, number];
}

/** An envelope shows a defect by several harmonics, so its band is at least this many times as wide as the fastest defect is frequent. */
const BANDWIDTH_IN_DEFECT_FREQUENCIES = 3;

/** The envelope in the given band, else in the most impulsive one; `undefined` when the record is too short or does not move. */
export function recordEnvelope(record: VibrationRecord): RecordEnvelope | undefined {
  const { envelopeBandHz, envelopeBandLevels } = record.parameters;
  const transform = transformRecord(record.centred, record.sampleRateHz);
  const fastestHz = Math.max(0, ...record.defects.map((defect) => defect.frequencyHz));
  const band = envelopeBandHz
    ? fixedBand(transform, ...envelopeBandHz)
    : mostImpulsiveBand(transform, envelopeBandLevels, BANDWIDTH_IN_DEFECT_FREQUENCIES * fastestHz);
  if (!band) return undefined;
  const lineHz = transform.sampleRateHz / transform.size;
  const bandHz = [band.first * lineHz, (band.first + band.lines) * lineHz] as const;
  return { ...bandEnvelope(transform, band), band, bandHz };
}

/** Provenance of whatever was computed of a record. */
export function provenanceOf(
  record: VibrationRecord,
  amplitude: PowerSpectrum | undefined,
  envelope: RecordEnvelope | undefined,
): FeatureProvenance {
  const samples = record.centred.length;
  const { parameters } = record;
  return {
    softwareVersion: FEATURES_VERSION,
    parameters,
    unit: record.unit.code,
    sampleRateHz: record.sampleRateHz,
    samples,
    zeroPaddedTo: nextEvenSmooth(samples),
    rpm: record.rpm,
    rpmSource: record.rpmSource,
    rpmReadAtMs: record.rpmReadAtMs,
    envelopeBandHz: envelope?.bandHz,
    envelopeBandSource: !envelope ? 'none' : parameters.envelopeBandHz ? 'parameter' : 'spectral-kurtosis',
    velocityBandHz: givesVelocity(record.unit) ? velocityBandHz(record.rpm) : undefined,
    amplitudeStepHz: amplitude?.stepHz,
    envelopeStepHz: envelope?.spectrum.stepHz,
    scaling:
      `one-sided; lines are peak amplitudes, corrected for the coherent gain of the ${parameters.taper} taper ` +
      '(hann for the envelope); bands are RMS, corrected for its noise bandwidth; the mean is taken off',
  };
}

function centre(samples: Float64Array | Float32Array): { centred: Float64Array; mean: number } {
  const centred = buffer('centred', samples.length);
  centred.set(samples);
  let sum = 0;
  for (let i = 0; i < centred.length; i++) sum += centred[i]!;
  const mean = sum / centred.length;
  let sumOfSquares = 0;
  for (let i = 0; i < centred.length; i++) {
    const deviation = centred[i]! - mean;
    centred[i] = deviation;
    sumOfSquares += deviation * deviation;
  }
  if (!Number.isFinite(sumOfSquares))
    throw new RangeError('the samples must be finite, and small enough to be squared');
  return { centred, mean };
}
