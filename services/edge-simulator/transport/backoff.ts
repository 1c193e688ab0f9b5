import { retryAfterMs } from './uplink.ts';

export interface BackoffLimits {
  readonly minMs: number;
  readonly maxMs: number;
}

/**
 * How long to wait after the `failures`-th failure in a row: exponential with full jitter, so that a fleet does not come back as one;
 * longer when the platform asked for it.
 */
export function backoffMs(failure: unknown, failures: number, { minMs, maxMs }: BackoffLimits): number {
  const ceilingMs = Math.min(maxMs, minMs * 2 ** Math.min(failures, 16));
  return Math.max(retryAfterMs(failure), minMs + Math.random() * (ceilingMs - minMs));
}
