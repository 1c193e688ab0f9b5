/** So much of the machine's own time all tiers take at the most, and those of the platform on one machine. */
export const TOTAL_BUDGET_MINUTES = 75;
export const ONE_MACHINE_BUDGET_MINUTES = 25;
/** What the tiers of the stacks shall take once their package is installed, and what is a failure: machines differ. */
export const STACKS_AIM_MINUTES = 12;
export const STACKS_BUDGET_MINUTES = 15;
/** What writing each environment at each cloud shall take. It is told, and not a failure: machines differ. */
export const SYNTHESIS_AIM_SECONDS = 10;
/** Whoever runs the tiers ends them after 90 minutes, whatever the host of the machine took: by then this has told what it saw. */
export const WALL_MINUTES = 86;

export interface Spent {
  /** Since the beginning of the run. */
  readonly wallMinutes: number;
  /** Of these, what the host gave to this machine. */
  readonly ownMinutes: number;
}

/**
 * Whether a tier that usually takes so long would end in time, at the pace of the run so far. `not run`: only for what the host took; the tier is
 * named, and left to a calmer machine. `too long`: the run would be too long on any.
 */
export function verdict({ wallMinutes, ownMinutes }: Spent, usualMinutes: number): 'begin' | 'not run' | 'too long' {
  if (ownMinutes + usualMinutes > TOTAL_BUDGET_MINUTES) return 'too long';
  const pace = Math.max(1, wallMinutes / ownMinutes);
  return wallMinutes + usualMinutes * pace <= WALL_MINUTES ? 'begin' : 'not run';
}

/** What some of the tiers took together. */
export interface Sum {
  readonly what: string;
  readonly minutes: number;
  /** What they shall take; without one, that is the budget. */
  readonly aim?: number;
  readonly budget: number;
  /** Those of them that were not run: what they would have taken is not in it. */
  readonly notRun: readonly string[];
}

/** The line that tells a sum, and the failure where it is above its budget. */
export function judge({ what, minutes, aim, budget, notRun }: Sum): {
  readonly line: string;
  readonly failure?: string;
} {
  const bound = aim === undefined ? `at most ${budget}` : `${aim}, and at most ${budget}`;
  const without = notRun.length > 0 ? `, without ${notRun.join(', ')}: NOT RUN` : '';
  return {
    line: `${what}: ${minutes.toFixed(1)} min of ${bound}${without}`,
    ...(minutes > budget && { failure: `${what} took more than ${budget} minutes` }),
  };
}
