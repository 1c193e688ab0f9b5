import { StreamAccounts, type StreamAccountsOptions } from './accounts/stream-accounts.ts';

/** A publisher that has published nothing for so long is thought to be gone; one that comes back says again what it published. */
const LANE_MS = 600_000;

/**
 * What is published to a log, which can tell by itself how far its groups are behind. Each publisher has lanes of its own, a partition each, and
 * none goes on with those of another: so they are kept while their publisher is there, and not for as long as the log keeps events.
 */
export function logAccounts(options: Omit<StreamAccountsOptions, 'retentionMs'>): StreamAccounts {
  return new StreamAccounts({ ...options, retentionMs: LANE_MS });
}
