import pRetry from 'p-retry';
import { isRetryable, throwIfAborted, type CallOptions } from '../errors.ts';

export interface RetryPolicy {
  /** Attempts in all; Infinity goes on until the caller stops waiting. */
  readonly maxAttempts: number;
  readonly firstDelayMs: number;
  readonly longestDelayMs: number;
  /** No attempt begins later than so long after the first. Default: no bound but that of attempts. */
  readonly withinMs?: number;
}

const DEFAULT_RETRY: RetryPolicy = { maxAttempts: 5, firstDelayMs: 20, longestDelayMs: 2000 };

/**
 * Calls until it succeeds: again after an error that may pass, with exponential delays and jitter, and at once no more for any other. Rejects with the last error, or with `cancelled` when the signal aborts.
 */
export async function retry<Result>(
  call: () => Promise<Result>,
  policy: RetryPolicy = DEFAULT_RETRY,
  options?: CallOptions & {
    readonly onRetry?: (error: unknown) => void;
    /** Which errors may pass. Default: those whose code says so. */
    readonly mayPass?: (error: unknown) => boolean;
  },
): Promise<Result> {
  try {
    return await pRetry(call, {
      retries: policy.maxAttempts === Infinity ? Number.MAX_SAFE_INTEGER : policy.maxAttempts - 1,
      minTimeout: policy.firstDelayMs,
      maxTimeout: policy.longestDelayMs,
      factor: 2,
      ...(policy.withinMs !== undefined && { maxRetryTime: policy.withinMs }),
      randomize: true,
      shouldRetry: ({ error }) => (options?.mayPass ?? isRetryable)(error),
      onFailedAttempt: ({ error }) => {
        // Not a failure: the caller stopped waiting, also for a call that has just succeeded.
        if (!options?.signal?.aborted) options?.onRetry?.(error);
      },
      ...(options?.signal ? { signal: options.signal } : {}),
    });
  } catch (error) {
    throwIfAborted(options?.signal);
    throw error;
  }
}
