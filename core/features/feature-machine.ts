import { BEARING_LIMITS, type Machine, type OperatingState } from '../domain/plant.ts';
import { messageOf } from '../errors.ts';
import { defectOrders } from './bearing.ts';
import type { FeatureMachine } from './waveform.ts';

/** What of a description counts for one sensor, and what of it cannot be used and why. */
export interface SensorView {
  readonly machine: FeatureMachine;
  readonly problems: readonly string[];
}

/**
 * The facts that count for a sensor. Descriptions that were kept before today's limits may hold bearings outside of them: such a one
 * costs its own features and marks, not the waveform's.
 */
export function featureMachine(
  machine: Machine | undefined,
  sensor: string,
  operatingState?: OperatingState,
): SensorView {
  if (!machine) return { machine: { bearings: [], operatingState }, problems: [] };
  const problems: string[] = [];
  const heard = machine.sensors.find((each) => each.id === sensor)?.bearing;
  const usable = machine.bearings.filter((bearing) => {
    if (heard !== undefined && bearing.id !== heard) return false;
    try {
      defectOrders(bearing);
      return true;
    } catch (error) {
      problems.push(`bearing ${bearing.id} is left out: ${messageOf(error)}`);
      return false;
    }
  });
  const { perMachine } = BEARING_LIMITS;
  if (usable.length > perMachine) {
    problems.push(`${usable.length - perMachine} bearings are left out: a sensor tells at most ${perMachine} apart`);
  }
  const { powerKw, nominalRpm, shaftHeightMm, support } = machine;
  const bearings = usable.slice(0, perMachine);
  return { machine: { powerKw, nominalRpm, shaftHeightMm, support, bearings, operatingState }, problems };
}
