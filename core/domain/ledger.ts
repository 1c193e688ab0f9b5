import type { TenantId } from './ids.ts';

/** Where an acknowledged item ended. Sums of these, with what is pending, equal what was accepted (ledger.md). */
export interface SettledItems {
  readonly stored: number;
  readonly duplicate: number;
  readonly rejected: number;
  readonly deadLettered: number;
}

export interface TenantLedger extends SettledItems {
  readonly tenant: TenantId;
  /** Cumulative items at the durable head of the ledgered streams. */
  readonly accepted: number;
  /** Summed from the events between the settled watermark and the head; never derived from the other terms. */
  readonly pending: number;
  /** True when accepted = stored + duplicate + rejected + deadLettered + pending and nothing is lost. False is a defect, and an alarm. */
  readonly exact: boolean;
  /** Events (not items) that are missing between others that were settled: of any tenant, for theirs is not known. */
  readonly lost: number;
  /** Traffic that was never acknowledged (401, 403, 413, 429, closed connections): outside the sum. Counted since the process started. */
  readonly refused: number;
  /** Same metric and time, another value: both are stored and a read returns the latest accepted. */
  readonly conflicts: number;
}

export const NOTHING_SETTLED: SettledItems = { stored: 0, duplicate: 0, rejected: 0, deadLettered: 0 };
