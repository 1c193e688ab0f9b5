import type { StampedEvent } from '../domain/event.ts';
import type { BatchHandler } from '../ports/event-stream.ts';

/** A handler that adds what it gets to what was received, and acknowledges it. */
export function acknowledgeInto(received: StampedEvent[]): BatchHandler {
  return async (batch) => {
    received.push(...batch.events);
    await batch.ack();
  };
}
