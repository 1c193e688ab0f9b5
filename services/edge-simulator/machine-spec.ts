import type { PlantDescription } from '#core/domain/plant.ts';
import type { DutyCycle } from './signal/duty.ts';
import type { FaultKind } from './signal/faults.ts';
import type { ThermalModel } from './signal/inertia.ts';
import type { LifeCycle } from './signal/life.ts';
import type { Random } from './signal/random.ts';
import type { VibrationModel } from './signal/vibration-model.ts';

export type MachineDescription = PlantDescription['machines'][number];

/** A machine as the platform is told of it, and the physics behind it. */
export interface MachineSpec {
  readonly description: MachineDescription;
  /** The acceleration sensor whose waveforms it sends; one of the description's. */
  readonly sensor: string;
  readonly vibration: VibrationModel;
  /** When it runs and how hard; a function of the seconds since it was first started. */
  readonly duty: DutyCycle | ((elapsedS: number) => { readonly speedFraction: number; readonly load: number });
  readonly thermal: ThermalModel;
  readonly ratedCurrentA: number;
  /** The fault that comes with age; a machine without one stays as it is. */
  readonly ageing?: { readonly fault: FaultKind; readonly cycle: LifeCycle };
  /** Metrics beyond those that every machine has (rpm, velocity_rms, temperature, current). */
  readonly process: (state: MachineState) => Readonly<Record<string, number>>;
}

/** What a machine is doing at one moment. */
export interface MachineState {
  readonly elapsedS: number;
  readonly rpm: number;
  /** Of the nominal speed. */
  readonly speedFraction: number;
  readonly load: number;
  readonly temperatureCel: number;
  /** Noise of the measurements. */
  readonly random: Random;
}
