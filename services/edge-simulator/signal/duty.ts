/** How a machine is used: when it runs, how fast it gets there, how hard it works. Times in seconds. */
export interface DutyCycle {
  readonly runS: number;
  /** 0 for a machine that never rests. */
  readonly stopS: number;
  readonly startUpS: number;
  readonly coastDownS: number;
  /** Mean load and its swing, 0 to 1, over `loadPeriodS`. */
  readonly meanLoad: number;
  readonly loadSwing: number;
  readonly loadPeriodS: number;
  /** Speed lost at full load by slip, as a part of the nominal speed. */
  readonly slip: number;
}

export interface DutyPoint {
  /** 0 standing to 1 at nominal speed, less slip. */
  readonly speedFraction: number;
  readonly load: number;
}

/** What the machine does `elapsedS` after it was first started, running first. Periodic, pure. */
export function dutyAt(duty: DutyCycle, elapsedS: number): DutyPoint {
  const within = duty.stopS === 0 ? elapsedS : elapsedS % (duty.runS + duty.stopS);
  const running = duty.stopS === 0 || within < duty.runS;
  // The very first run begins warm and turning: a plant is joined while it works.
  const rampUp = elapsedS < duty.runS || duty.stopS === 0 ? 1 : Math.min(1, within / duty.startUpS);
  const ramp = running ? rampUp : Math.max(0, 1 - (within - duty.runS) / duty.coastDownS);
  if (ramp === 0) return { speedFraction: 0, load: 0 };
  // Two periods without a common measure, so that no two cycles are alike.
  const swing =
    0.7 * Math.sin((2 * Math.PI * elapsedS) / duty.loadPeriodS) +
    0.3 * Math.sin((2 * Math.PI * elapsedS * 1.618) / duty.loadPeriodS);
  const load = Math.max(0, duty.meanLoad + duty.loadSwing * swing) * ramp;
  return { speedFraction: ramp * (1 - duty.slip * load), load };
}
