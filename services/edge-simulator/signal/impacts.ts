import { defectOrders } from '#core/features/bearing.ts';
import { severityOf } from './faults.ts';
import type { Random } from './random.ts';
import type { OperatingPoint, Resonance, VibrationModel } from './vibration-model.ts';

/** A blow on the structure. */
export interface Impact {
  /** Since the first sample; negative for a blow that still rings when the recording begins. */
  readonly atS: number;
  readonly peakG: number;
}

/** A source of nearly periodic blows. */
interface ImpactTrain {
  readonly rateHz: number;
  readonly peakG: number;
  /** Weight of the `index`-th blow, at `atS`, by where the defect stands in the load zone. */
  readonly weight: (atS: number, index: number) => number;
}

/** Deviation of the time between two blows, from the slip of the rolling elements: about 1 % (Randall and Antoni, 2011). */
const SLIP_JITTER = 0.01;
/** Deviation of the strength of single blows. */
const STRENGTH_JITTER = 0.1;

/** The blows that the defects of a machine's bearing strike during a recording, and those just before it. */
export function bearingImpacts(
  model: VibrationModel,
  point: OperatingPoint,
  durationS: number,
  leadS: number,
  random: Random,
): Impact[] {
  return bearingTrains(model, point, random).flatMap((train) => {
    const impacts: Impact[] = [];
    let atS = -leadS + random.uniform() / train.rateHz;
    for (let index = 0; atS < durationS; index++) {
      const strength = 1 + STRENGTH_JITTER * random.gaussian();
      impacts.push({ atS, peakG: train.peakG * Math.max(0, strength) * train.weight(atS, index) });
      atS += Math.max(0.2, 1 + SLIP_JITTER * random.gaussian()) / train.rateHz;
    }
    return impacts;
  });
}

/** Share of the bearing's load that an element carries at an angle from the load's direction: Stribeck's distribution for a zone of 180 degrees. */
function loadZone(angleRad: number): number {
  return Math.max(0, Math.cos(angleRad)) ** 1.5;
}

/** Adds the damped ringing of each mode after each blow. `peakG` of an impact is the peak of the ringing of a lightly damped mode of gain 1. */
export function addRinging(
  samples: Float64Array,
  sampleRateHz: number,
  impacts: readonly Impact[],
  resonances: readonly Resonance[],
): void {
  for (const resonance of resonances) {
    const mode = dampedMode(resonance, sampleRateHz);
    for (const impact of impacts) addOneRing(samples, sampleRateHz, impact.atS, impact.peakG * resonance.gain, mode);
  }
}

/** After this time the slowest mode has rung down to a thousandth. */
export function ringDownS(resonances: readonly Resonance[]): number {
  return Math.max(
    ...resonances.map(({ frequencyHz, dampingRatio }) => Math.log(1000) / (2 * Math.PI * frequencyHz * dampingRatio)),
  );
}

function bearingTrains(model: VibrationModel, point: OperatingPoint, random: Random): ImpactTrain[] {
  const shaftHz = point.rpm / 60;
  if (shaftHz <= 0) return [];
  const orders = defectOrders(model.bearing);
  const strikeG = model.impactG * (point.rpm / model.nominalRpm) * (0.4 + 0.6 * point.load);
  const angle = 2 * Math.PI * random.uniform();
  const turning = (hz: number) => (atS: number) => loadZone(angle + 2 * Math.PI * hz * atS);
  const cageHz = orders.ftf * shaftHz;
  const trains = [
    // The outer race stands still in the load zone: every blow is alike.
    { kind: 'bearing-outer', rateHz: orders.bpfo * shaftHz, share: 1, weight: () => 1 },
    // The inner race turns with the shaft through the load zone.
    { kind: 'bearing-inner', rateHz: orders.bpfi * shaftHz, share: 1.2, weight: turning(shaftHz) },
    // A ball strikes both races once a spin, the outer one better coupled to the sensor, and travels with the cage.
    {
      kind: 'bearing-ball',
      rateHz: 2 * orders.bsf * shaftHz,
      share: 1.1,
      weight: (atS: number, index: number) => (index % 2 === 0 ? 1 : 0.75) * turning(cageHz)(atS),
    },
    // A broken cage knocks once in its own revolution.
    { kind: 'bearing-cage', rateHz: cageHz, share: 0.8, weight: () => 1 },
  ] as const;
  return trains.flatMap(({ kind, rateHz, share, weight }) => {
    const severity = severityOf(point.faults, kind);
    return severity > 0 ? [{ rateHz, peakG: strikeG * share * severity, weight }] : [];
  });
}

interface DampedMode {
  readonly angularHz: number;
  readonly decayPerS: number;
  /** Coefficients of y[n] = a y[n-1] - b y[n-2], which a sampled damped sine obeys. */
  readonly a: number;
  readonly b: number;
  readonly samples: number;
}

function dampedMode({ frequencyHz, dampingRatio }: Resonance, sampleRateHz: number): DampedMode {
  const natural = 2 * Math.PI * frequencyHz;
  const angularHz = natural * Math.sqrt(1 - dampingRatio ** 2);
  const decayPerS = dampingRatio * natural;
  const perSample = Math.exp(-decayPerS / sampleRateHz);
  return {
    angularHz,
    decayPerS,
    a: 2 * perSample * Math.cos(angularHz / sampleRateHz),
    b: perSample * perSample,
    samples: Math.ceil((Math.log(1000) / decayPerS) * sampleRateHz),
  };
}

function addOneRing(samples: Float64Array, sampleRateHz: number, atS: number, peakG: number, mode: DampedMode): void {
  if (peakG === 0) return;
  const first = Math.max(0, Math.ceil(atS * sampleRateHz));
  const end = Math.min(samples.length, Math.ceil(atS * sampleRateHz) + mode.samples);
  const ringAt = (index: number): number => {
    const sinceS = index / sampleRateHz - atS;
    return peakG * Math.exp(-mode.decayPerS * sinceS) * Math.sin(mode.angularHz * sinceS);
  };
  let previous = ringAt(first - 1);
  let current = ringAt(first);
  for (let i = first; i < end; i++) {
    samples[i]! += current;
    const next = mode.a * current - mode.b * previous;
    previous = current;
    current = next;
  }
}
