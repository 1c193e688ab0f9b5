import { DEMO_MACHINES } from '#services/edge-simulator/plant.ts';
import type { FaultKind } from '#services/edge-simulator/signal/faults.ts';
import { INTERVAL_S, liveThrough, type LifeAlarms } from '#test/datasets/simulated-life.ts';

/** What became of the lives of one machine with one fault, one life a seed. */
export interface FaultDetection {
  readonly machine: string;
  readonly fault: FaultKind;
  readonly lives: readonly LifeAlarms[];
}

export interface DetectionResult {
  readonly healthyRecordings: number;
  readonly growthRecordings: number;
  readonly intervalS: number;
  readonly faults: readonly FaultDetection[];
  /** Machines to which nothing ever happens, over a life of the same length. */
  readonly healthy: readonly { readonly machine: string; readonly lives: readonly LifeAlarms[] }[];
}

export interface DetectionOptions {
  readonly healthyRecordings: number;
  readonly growthRecordings: number;
  readonly seedsPerFault: number;
  readonly healthySeeds: number;
  /** The machines that get faults; every one of the demo plant unless told otherwise. */
  readonly faultyMachines?: readonly string[];
}

export const FAULTS = {
  'bearing-outer': 'Bearing, outer race',
  'bearing-inner': 'Bearing, inner race',
  'bearing-ball': 'Bearing, ball',
  'bearing-cage': 'Bearing, cage',
  cavitation: 'Cavitation',
  imbalance: 'Imbalance',
  misalignment: 'Misalignment',
  looseness: 'Looseness',
} as const satisfies Record<FaultKind, string>;

/** Only these move a liquid. */
const CAVITATES: readonly string[] = ['pump', 'press'];

/** Puts every simulated fault of every machine of the demo plant to the detector as shipped, and healthy machines as well. */
export function runDetectionBench(options: DetectionOptions): DetectionResult {
  const { healthyRecordings, growthRecordings, seedsPerFault, healthySeeds, faultyMachines } = options;
  const length = { healthyRecordings, growthRecordings };
  const machines = DEMO_MACHINES.map((spec) => ({ spec, machine: spec.description.id }));
  const faults = (Object.keys(FAULTS) as FaultKind[]).flatMap((fault) =>
    machines
      .filter(({ machine }) => faultyMachines?.includes(machine) ?? true)
      .filter(({ spec }) => fault !== 'cavitation' || CAVITATES.includes(spec.description.class))
      .map(({ spec, machine }) => ({
        machine,
        fault,
        lives: seeds(seedsPerFault).map((seed) => liveThrough({ ...length, spec, fault, seed })),
      })),
  );
  const healthy = machines.map(({ spec, machine }) => ({
    machine,
    lives: seeds(healthySeeds).map((seed) => liveThrough({ ...length, spec, seed })),
  }));
  return { ...length, intervalS: INTERVAL_S, faults, healthy };
}

function seeds(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}
