import { approach } from './inertia.ts';

/** A rubber injection moulding press: what one cycle takes and reaches. */
export interface PressModel {
  readonly closeS: number;
  readonly injectS: number;
  readonly cureS: number;
  readonly openS: number;
  readonly clampForceKn: number;
  readonly injectionPressureBar: number;
  /** Pressure that is held while the rubber cures. */
  readonly holdPressureBar: number;
  readonly mouldSetpointCel: number;
  /** How much an opened mould and cold rubber cool it. */
  readonly mouldDropK: number;
  /** Time constant of the mould's heating. */
  readonly heatingTimeConstantS: number;
}

type PressPhase = 'close' | 'inject' | 'cure' | 'open';

export interface PressPoint {
  readonly phase: PressPhase;
  /** Finished cycles since the press was started. */
  readonly cycles: number;
  readonly pressureBar: number;
  readonly mouldTemperatureCel: number;
  readonly clampForceKn: number;
  /** Load of the hydraulic pump, 0 to 1: hard while closing and injecting, light while curing. */
  readonly hydraulicLoad: number;
}

/** State of the press `elapsedS` after the first cycle began, without measurement noise. Periodic but for the counter, pure. */
export function pressAt(model: PressModel, elapsedS: number): PressPoint {
  const cycleS = pressCycleS(model);
  const cycles = Math.floor(elapsedS / cycleS);
  const withinS = elapsedS - cycles * cycleS;
  const injectAt = model.closeS;
  const cureAt = injectAt + model.injectS;
  const openAt = cureAt + model.cureS;
  const phase = withinS < injectAt ? 'close' : withinS < cureAt ? 'inject' : withinS < openAt ? 'cure' : 'open';
  return {
    phase,
    cycles,
    mouldTemperatureCel: mouldTemperatureCel(model, withinS, openAt),
    ...forces(model, phase, withinS - { close: 0, inject: injectAt, cure: cureAt, open: openAt }[phase]),
  };
}

export function pressCycleS(model: PressModel): number {
  return model.closeS + model.injectS + model.cureS + model.openS;
}

/** The mould recovers while it is closed and cools while it stands open; the drop carries over the cycle's seam. */
function mouldTemperatureCel(model: PressModel, withinS: number, openAt: number): number {
  const { mouldSetpointCel: setpoint, mouldDropK: drop, heatingTimeConstantS } = model;
  const recovered = (s: number): number => approach(setpoint - drop, setpoint, s, heatingTimeConstantS);
  if (withinS < openAt) return recovered(withinS);
  return recovered(openAt) + (setpoint - drop - recovered(openAt)) * ((withinS - openAt) / model.openS);
}

function forces(
  model: PressModel,
  phase: PressPhase,
  sinceS: number,
): Pick<PressPoint, 'pressureBar' | 'clampForceKn' | 'hydraulicLoad'> {
  switch (phase) {
    case 'close': {
      // The plates travel under little force and lock at the end.
      const locked = (sinceS / model.closeS) ** 4;
      return { pressureBar: 2, clampForceKn: model.clampForceKn * locked, hydraulicLoad: 0.35 + 0.45 * locked };
    }
    case 'inject': {
      const filled = approach(0, 1, sinceS, model.injectS / 4);
      return {
        pressureBar: 2 + (model.injectionPressureBar - 2) * filled,
        clampForceKn: model.clampForceKn,
        hydraulicLoad: 0.9,
      };
    }
    case 'cure':
      return {
        pressureBar: approach(model.injectionPressureBar, model.holdPressureBar, sinceS, 2),
        clampForceKn: model.clampForceKn,
        hydraulicLoad: 0.2,
      };
    case 'open': {
      const released = approach(1, 0, sinceS, model.openS / 6);
      return {
        pressureBar: 2 + (model.holdPressureBar - 2) * released,
        clampForceKn: model.clampForceKn * released,
        hydraulicLoad: 0.4,
      };
    }
  }
}
