/** How a fault comes, stays and is mended, again and again. In hours of the machine's life. */
export interface LifeCycle {
  readonly healthyHours: number;
  /** From the first trace of the fault to severity 1. */
  readonly growthHours: number;
  /** How long the machine runs on at severity 1. */
  readonly failedHours: number;
  /** How long it stands still to be mended; then it is as new. */
  readonly repairHours: number;
}

export interface LifePoint {
  readonly phase: 'healthy' | 'degrading' | 'failed' | 'repair';
  /** 0 (as new) to 1 (failed); grows monotonically within a life. */
  readonly severity: number;
}

/** Steepness of the severity curve: defects grow in proportion to themselves, so most of the change comes late. */
const GROWTH = 3;

/** Where a machine stands in its life, `hours` after the cycle's begin. Periodic. */
export function lifeAt(cycle: LifeCycle, hours: number): LifePoint {
  const { healthyHours, growthHours, failedHours, repairHours } = cycle;
  const within = hours % (healthyHours + growthHours + failedHours + repairHours);
  if (within < healthyHours) return { phase: 'healthy', severity: 0 };
  const grown = (within - healthyHours) / growthHours;
  if (grown < 1) return { phase: 'degrading', severity: severityCurve(grown) };
  if (within < healthyHours + growthHours + failedHours) return { phase: 'failed', severity: 1 };
  return { phase: 'repair', severity: 0 };
}

/** (e^(k u) - 1) / (e^k - 1): exponential growth scaled to run from 0 at u = 0 to 1 at u = 1. */
export function severityCurve(fractionGrown: number): number {
  return Math.expm1(GROWTH * fractionGrown) / Math.expm1(GROWTH);
}
