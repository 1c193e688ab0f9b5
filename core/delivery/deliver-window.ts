import type { Clock } from '../clock.ts';
import type { BatchHandler } from '../ports/event-stream.ts';
import { deliverBatch } from './deliver-batch.ts';
import type { DeliveryWindow, WindowBatch } from './delivery-window.ts';
import type { Sleeper } from './sleeper.ts';

export interface WindowDelivery {
  readonly window: DeliveryWindow;
  readonly handler: BatchHandler;
  readonly clock: Clock;
  /** Tells the handler to stop: the subscription closes, or the events are somebody else's now. */
  readonly signal: AbortSignal;
  /** Whether no further batch is to go out. */
  readonly isOver: () => boolean;
  /** The next batch of what was not delivered before, if any. */
  readonly readAhead: () => WindowBatch | undefined | Promise<WindowBatch | undefined>;
  /** Whether more can be read at once: else it sleeps until woken. */
  readonly hasMore: () => boolean;
  /** Told once a batch is settled, with the indexes of what is to come again; and without one before it sleeps. */
  readonly onProgress: (batch: WindowBatch | undefined, failed: readonly number[]) => void;
  /** Woken when there is more, or when it is over. */
  readonly sleeper: Sleeper;
}

/** Delivers what is due again and what can be read ahead, a batch at a time, until it is over. */
export async function deliverWindow(delivery: WindowDelivery): Promise<void> {
  const { window, handler, clock, signal, isOver, readAhead, hasMore, onProgress, sleeper } = delivery;
  while (!isOver()) {
    const batch = window.takeDue(clock.monotonicMs()) ?? (await readAhead());
    if (batch)
      await deliverBatch(batch, { window, handler, clock, signal, onSettled: (failed) => onProgress(batch, failed) });
    else onProgress(undefined, []);
    const dueMs = window.nextDueMs;
    // The event loop gets its turn after each batch: a long backlog must not starve the publisher or a timer.
    if (batch || (window.mayReadAhead && hasMore())) await new Promise((resolve) => setImmediate(resolve));
    else if (!isOver()) await sleeper.sleep(dueMs === undefined ? Infinity : dueMs - clock.monotonicMs());
  }
}
