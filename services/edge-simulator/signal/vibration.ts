import { defectOrders } from '#core/features/bearing.ts';
import { severityOf } from './faults.ts';
import { addRinging, bearingImpacts, ringDownS } from './impacts.ts';
import type { Impact } from './impacts.ts';
import type { Random } from './random.ts';
import { machineTones } from './tones.ts';
import type { Tone } from './tones.ts';
import { GRAVITY_MM_PER_S2 } from './vibration-model.ts';
import type { OperatingPoint, VibrationModel } from './vibration-model.ts';

/** Samples of one recording. */
export interface Recording {
  readonly sampleRateHz: number;
  readonly points: number;
}

/** A standing machine is not silent: neighbours and electronics leave this part of its noise. */
const STANDSTILL_NOISE = 0.08;
/** Bubble collapses a second at full cavitation; enough to sound like gravel and too many to be told apart. */
const COLLAPSES_PER_S = 900;

/**
 * Acceleration at a machine's sensor, in g: tones, noise, and the ringing after the impacts of bearing defects and of cavitation.
 * Depends on its arguments and on the random stream alone.
 */
export function synthesiseVibration(
  model: VibrationModel,
  point: OperatingPoint,
  { sampleRateHz, points }: Recording,
  random: Random,
): Float64Array {
  const samples = new Float64Array(points);
  addNoise(samples, noiseRmsG(model, point), random);
  addTones(samples, sampleRateHz, machineTones(model, point), random);
  const durationS = points / sampleRateHz;
  const leadS = ringDownS(model.resonances);
  const impacts = [
    ...bearingImpacts(model, point, durationS, leadS, random),
    ...cavitationImpacts(model, point, durationS, leadS, random),
  ];
  addRinging(samples, sampleRateHz, impacts, model.resonances);
  return samples;
}

/**
 * The velocity RMS, in mm/s between 10 and 1000 Hz, that {@link synthesiseVibration} has on average: what a vibration transmitter
 * reads. Tones add by their squares; noise of acceleration density S adds S/(2 pi f)^2 over the band, and so do collapsing bubbles,
 * which are shot noise; a train of blows adds the lines of its rate, each the mean blow times the modes' low-frequency response.
 */
export function expectedVelocityRmsMmPerS(model: VibrationModel, point: OperatingPoint, sampleRateHz: number): number {
  let square = 0;
  for (const { hz, peakG } of machineTones(model, point)) square += inBand(hz) ? velocitySquare(hz, peakG) : 0;
  const densityG2PerHz = noiseRmsG(model, point) ** 2 / (sampleRateHz / 2) + cavitationDensityG2PerHz(model, point);
  square += ((densityG2PerHz * GRAVITY_MM_PER_S2 ** 2) / (4 * Math.PI ** 2)) * (1 / LOW_HZ - 1 / HIGH_HZ);
  return Math.sqrt(square + bearingVelocitySquare(model, point));
}

const LOW_HZ = 10;
const HIGH_HZ = 1000;

function inBand(hz: number): boolean {
  return hz >= LOW_HZ && hz <= HIGH_HZ;
}

function velocitySquare(hz: number, peakG: number): number {
  return ((peakG * GRAVITY_MM_PER_S2) / (2 * Math.PI * hz)) ** 2 / 2;
}

/** Outer and cage defects only: the blows of the turning ones reach the low frequencies weaker still. */
function bearingVelocitySquare(model: VibrationModel, point: OperatingPoint): number {
  const shaftHz = point.rpm / 60;
  if (shaftHz <= 0) return 0;
  const { bpfo } = defectOrders(model.bearing);
  const peakG =
    model.impactG *
    (point.rpm / model.nominalRpm) *
    (0.4 + 0.6 * point.load) *
    severityOf(point.faults, 'bearing-outer');
  const lineHz = bpfo * shaftHz;
  const areaS = lowFrequencyResponseS(model);
  let square = 0;
  for (let hz = lineHz; hz <= HIGH_HZ; hz += lineHz)
    square += inBand(hz) ? velocitySquare(hz, 2 * lineHz * peakG * areaS) : 0;
  return square;
}

/** Campbell's theorem: 2 x rate x mean square of one collapse's area; half the collapses of the full rate happen, of mean square 2. */
function cavitationDensityG2PerHz(model: VibrationModel, point: OperatingPoint): number {
  if (point.rpm <= 0) return 0;
  const peakG = collapseG(model, point);
  return 2 * (COLLAPSES_PER_S / 2) * 2 * (peakG * lowFrequencyResponseS(model)) ** 2;
}

/** The integral of a damped sine of natural frequency w is close to 1/w: the spectrum of a blow of 1 g below the resonances. */
function lowFrequencyResponseS(model: VibrationModel): number {
  return model.resonances.reduce((sum, mode) => sum + mode.gain / (2 * Math.PI * mode.frequencyHz), 0);
}

/** Mean peak of one collapse, in g. */
function collapseG(model: VibrationModel, point: OperatingPoint): number {
  return 0.25 * model.impactG * severityOf(point.faults, 'cavitation');
}

function noiseRmsG(model: VibrationModel, point: OperatingPoint): number {
  const speed = Math.min(1.5, Math.abs(point.rpm) / model.nominalRpm);
  const running = speed * (0.7 + 0.3 * point.load);
  const rough = 1 + 1.2 * severityOf(point.faults, 'looseness') + 3 * severityOf(point.faults, 'cavitation');
  return model.noiseG * Math.max(STANDSTILL_NOISE, running * rough);
}

function addNoise(samples: Float64Array, rmsG: number, random: Random): void {
  for (let i = 0; i < samples.length; i++) samples[i]! += rmsG * random.gaussian();
}

/** Each tone by a rotating phasor: two multiplications a sample in place of a sine. */
function addTones(samples: Float64Array, sampleRateHz: number, tones: readonly Tone[], random: Random): void {
  for (const { hz, peakG } of tones) {
    const phase = 2 * Math.PI * random.uniform();
    if (hz <= 0 || hz >= sampleRateHz / 2) continue;
    const stepCos = Math.cos((2 * Math.PI * hz) / sampleRateHz);
    const stepSin = Math.sin((2 * Math.PI * hz) / sampleRateHz);
    let cos = peakG * Math.cos(phase);
    let sin = peakG * Math.sin(phase);
    for (let i = 0; i < samples.length; i++) {
      samples[i]! += sin;
      const turned = cos * stepCos - sin * stepSin;
      sin = sin * stepCos + cos * stepSin;
      cos = turned;
    }
  }
}

/** Collapsing bubbles: a Poisson process whose rate swells with each blade that passes; strengths are exponential. */
function cavitationImpacts(
  model: VibrationModel,
  point: OperatingPoint,
  durationS: number,
  leadS: number,
  random: Random,
): Impact[] {
  const meanPeakG = collapseG(model, point);
  if (meanPeakG === 0 || point.rpm <= 0) return [];
  const bladeHz = ((model.blades?.count ?? 1) * point.rpm) / 60;
  const phase = 2 * Math.PI * random.uniform();
  const impacts: Impact[] = [];
  const exponential = (): number => -Math.log(1 - random.uniform());
  for (let atS = -leadS + exponential() / COLLAPSES_PER_S; atS < durationS; atS += exponential() / COLLAPSES_PER_S) {
    const swell = (1 + Math.cos(phase + 2 * Math.PI * bladeHz * atS)) / 2;
    const strength = exponential();
    if (random.uniform() < swell) impacts.push({ atS, peakG: meanPeakG * strength });
  }
  return impacts;
}
