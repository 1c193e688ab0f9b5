import { isRetryable } from '#core/errors.ts';
import type { DeliveryBatch } from '#core/ports/event-stream.ts';
import { orStopWaiting } from '#core/stop-waiting.ts';

interface SettleEachParts {
  /** Aborted where the outcomes are waited for no longer. */
  readonly overdue: AbortSignal;
  /** What may be tried again is delivered again after this. */
  readonly offerAgainMs: number;
  /** Told of what trying again does not help. */
  readonly onProblem: (error: unknown) => void;
}

/** Settles of the batch what was taken, an outcome an event; the rest is delivered again. */
export async function settleEach(
  batch: DeliveryBatch,
  taken: readonly Promise<unknown>[],
  { overdue, offerAgainMs, onProblem }: SettleEachParts,
): Promise<void> {
  const outcomes = await orStopWaiting(Promise.allSettled(taken), overdue);
  const failed = outcomes.flatMap((outcome, index) => (outcome.status === 'rejected' ? [index] : []));
  if (failed.length === 0) return batch.ack();
  const errors = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
  const stubborn = errors.filter((error) => !isRetryable(error));
  for (const error of stubborn) onProblem(error);
  return batch.nack(failed, stubborn.length > 0 ? {} : { delayMs: offerAgainMs });
}
