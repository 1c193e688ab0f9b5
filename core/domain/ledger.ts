/** Where an acknowledged item ended. Sums of these, with what is pending, equal what was accepted (ledger.md). */
export interface SettledItems {
  readonly stored: number;
  readonly duplicate: number;
  readonly rejected: number;
  readonly deadLettered: number;
}

export const NOTHING_SETTLED: SettledItems = { stored: 0, duplicate: 0, rejected: 0, deadLettered: 0 };
