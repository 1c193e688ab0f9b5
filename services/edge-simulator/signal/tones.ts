import { severityOf } from './faults.ts';
import { GRAVITY_MM_PER_S2 } from './vibration-model.ts';
import type { OperatingPoint, VibrationModel } from './vibration-model.ts';

/** One sinusoid of a machine's vibration. */
export interface Tone {
  readonly hz: number;
  /** Peak acceleration, in g. */
  readonly peakG: number;
}

/** Velocity that a fault of severity 1 adds to orders of the shaft, in mm/s RMS; after the usual vibration diagnosis charts. */
const FAULT_ORDERS = {
  // A rotating force at 1x and nothing else.
  imbalance: [[1, 7.5]],
  // Two bends of the coupling a turn: 2x above 1x.
  misalignment: [
    [1, 1.8],
    [2, 5.2],
    [3, 1.6],
  ],
  // A truncated, stepping motion: a long row of harmonics, and halves because the foot lifts every other turn.
  looseness: [
    [0.5, 1.2],
    [1, 2.4],
    [1.5, 0.9],
    [2, 2],
    [2.5, 0.7],
    [3, 1.6],
    [4, 1.2],
    [5, 1],
    [6, 0.8],
    [7, 0.7],
    [8, 0.6],
  ],
} as const;

/** All periodic components of a machine at an operating point: shaft, faults of the shaft, blades, magnetic pull, gear mesh with sidebands. */
export function machineTones(model: VibrationModel, point: OperatingPoint): Tone[] {
  const shaftHz = point.rpm / 60;
  if (shaftHz <= 0) return [];
  // Centrifugal forces grow with the square of the speed.
  const speedSquared = (point.rpm / model.nominalRpm) ** 2;
  const loadFactor = 0.5 + 0.5 * point.load;
  return [
    ...shaftTones(model, point, shaftHz, speedSquared),
    ...(model.blades
      ? [velocityTone(model.blades.count * shaftHz, model.blades.velocityMmPerS * speedSquared * loadFactor)]
      : []),
    ...(model.magneticPull
      ? [velocityTone(2 * model.magneticPull.supplyHz, model.magneticPull.velocityMmPerS * loadFactor)]
      : []),
    ...gearTones(model, shaftHz, loadFactor),
  ];
}

/** A sinusoid given by its velocity RMS. */
function velocityTone(hz: number, velocityMmPerS: number): Tone {
  return { hz, peakG: (Math.SQRT2 * velocityMmPerS * 2 * Math.PI * hz) / GRAVITY_MM_PER_S2 };
}

function shaftTones(model: VibrationModel, point: OperatingPoint, shaftHz: number, speedSquared: number): Tone[] {
  const velocityByOrder = new Map<number, number>();
  const add = (order: number, velocity: number): void => {
    velocityByOrder.set(order, (velocityByOrder.get(order) ?? 0) + velocity * speedSquared);
  };
  model.shaftHarmonicsMmPerS.forEach((velocity, index) => {
    add(index + 1, velocity);
  });
  for (const kind of ['imbalance', 'misalignment', 'looseness'] as const) {
    const severity = severityOf(point.faults, kind);
    if (severity > 0) for (const [order, velocity] of FAULT_ORDERS[kind]) add(order, velocity * severity);
  }
  return Array.from(velocityByOrder, ([order, velocity]) => velocityTone(order * shaftHz, velocity));
}

function gearTones(model: VibrationModel, shaftHz: number, loadFactor: number): Tone[] {
  const { gear } = model;
  if (!gear) return [];
  const meshHz = gear.pinionTeeth * shaftHz;
  const wheelHz = meshHz / gear.wheelTeeth;
  return gear.meshG.flatMap((rmsG, index) => {
    const peakG = Math.SQRT2 * rmsG * loadFactor;
    const hz = (index + 1) * meshHz;
    const pair = (offsetHz: number, modulation: number): Tone[] => [
      { hz: hz - offsetHz, peakG: (peakG * modulation) / 2 },
      { hz: hz + offsetHz, peakG: (peakG * modulation) / 2 },
    ];
    return [{ hz, peakG }, ...pair(shaftHz, gear.pinionModulation), ...pair(wheelHz, gear.wheelModulation)];
  });
}
