import type { StampedEvent, StreamName } from '../domain/event.ts';
import { codeOf, messageOf, type CallOptions } from '../errors.ts';
import type { TimeSeriesStore } from '../ports/time-series-store.ts';

/** Why an event became one: a stable code, and words with what, where and why. */
export interface DeadLetterReason {
  readonly code: string;
  readonly detail: string;
}

/** Takes an event that a derived stage can never process; resolves once that is durable. Taking the same one again is harmless. */
export type DeadLetterSink = (event: StampedEvent, reason: DeadLetterReason, options?: CallOptions) => Promise<void>;

/**
 * Keeps them among the store's dead letters, listed under the stream that the stage writes to, because that is what misses an event. They
 * count no items: the ledger has settled those of the stream that the event came from.
 */
export function deadLettersInStore(
  store: Pick<TimeSeriesStore, 'settle'>,
  stage: { readonly writesTo: StreamName; readonly group: string },
): DeadLetterSink {
  return async (event, { code, detail }, options) => {
    await store.settle(
      {
        stream: stage.writesTo,
        group: `${stage.group}.dead-letters`,
        fence: 0,
        sparse: true,
        // Not to be looked for among what other stages could not process: that is of the same event.
        outcomes: [{ type: 'deadLettered', event: { ...event, items: 0, verifyStored: false }, code, detail }],
      },
      options,
    );
  };
}

/** A stable code and words for an error that was not foreseen. */
export function reasonOf(error: unknown): DeadLetterReason {
  return { code: codeOf(error), detail: messageOf(error) };
}
