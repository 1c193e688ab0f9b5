/** So much of the machine's own time all tiers take at the most, and those of the platform on one machine. */
export const TOTAL_BUDGET_MINUTES = 75;
export const ONE_MACHINE_BUDGET_MINUTES = 25;
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
