/**
 * One step of a first-order lag, exact for a constant target: what a temperature does after a change of load.
 * After one time constant 63 % of the way is gone.
 */
export function approach(current: number, target: number, elapsedS: number, timeConstantS: number): number {
  return target + (current - target) * Math.exp(-elapsedS / timeConstantS);
}

/** What decides where a machine's temperature settles, in kelvin above ambient. */
export interface ThermalModel {
  readonly ambientCel: number;
  /** Rise at rated load: losses grow with the square of the load. */
  readonly loadRiseK: number;
  /** Rise that turning alone causes (churned grease, windage). */
  readonly speedRiseK: number;
  /** Rise of a failed bearing's friction. */
  readonly frictionRiseK: number;
  readonly timeConstantS: number;
}

/** Where the temperature would settle if load, speed and damage stayed as they are. */
export function settledTemperatureCel(
  model: ThermalModel,
  state: { readonly load: number; readonly speedFraction: number; readonly bearingSeverity: number },
): number {
  const { load, speedFraction, bearingSeverity } = state;
  return (
    model.ambientCel +
    speedFraction * (model.loadRiseK * load ** 2 + model.speedRiseK + model.frictionRiseK * bearingSeverity)
  );
}

/** Line current of an induction motor, in ampere: its magnetising part does not follow the load, and they add at right angles. */
export function motorCurrentA(ratedA: number, load: number): number {
  const magnetising = 0.35;
  return ratedA * Math.hypot(magnetising, Math.sqrt(1 - magnetising ** 2) * load);
}
