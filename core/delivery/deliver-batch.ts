import type { Clock } from '../clock.ts';
import type { BatchHandler } from '../ports/event-stream.ts';
import type { DeliveryWindow, WindowBatch } from './delivery-window.ts';

const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5000;

export interface BatchDelivery {
  readonly window: DeliveryWindow;
  readonly handler: BatchHandler;
  readonly clock: Clock;
  /** Tells the handler to stop: the subscription closes, or the events are somebody else's now. */
  readonly signal: AbortSignal;
  /** Told once the batch is settled, by ack or nack: the indexes of what is to come again. */
  readonly onSettled: (failed: readonly number[]) => void;
}

/** Hands a window's batch to the handler and settles it as that says: once, and as a nack of the whole where it settles nothing or rejects. */
export async function deliverBatch(
  batch: WindowBatch,
  { window, handler, clock, signal, onSettled }: BatchDelivery,
): Promise<void> {
  let isSettled = false;
  const settle = (failed: readonly number[], delayMs: number): void => {
    if (isSettled) return;
    isSettled = true;
    window.settle(batch, failed, failed.length > 0 ? clock.monotonicMs() + delayMs : 0);
    onSettled(failed);
  };
  const retryMs = Math.min(FIRST_RETRY_MS * 2 ** Math.min(batch.redeliveries, 16), LONGEST_RETRY_MS);
  try {
    await handler(
      {
        events: batch.events,
        redeliveries: batch.redeliveries,
        ack: async () => settle([], 0),
        nack: async (failed, { delayMs = retryMs } = {}) => settle(failed, delayMs),
      },
      signal,
    );
  } catch {
    // The port says so: a rejection is a nack. What failed is the handler's to report.
  }
  settle([...batch.events.keys()], retryMs);
}
