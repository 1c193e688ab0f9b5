import { retry, type RetryPolicy } from '#core/delivery/retry.ts';
import type { RelayedMessage, RelayedMessages } from '#core/ingestion/relayed-message.ts';

/** Resolves once the message is where intake reads. Makes one attempt. @throws PortError as an event stream does. */
export type RelayOne = (message: RelayedMessage) => Promise<void>;

/**
 * About a minute and a half: Service Bus gives a message that failed back at once, so that without a wait here all its tries would be over within
 * a second of an event hub that is away.
 */
export const PATIENCE: RetryPolicy = { maxAttempts: 9, firstDelayMs: 500, longestDelayMs: 30_000 };

/**
 * Hands a reading of a queue to the platform's intake, which admits it, finds what came before, and counts it in the ledger as it does what devices
 * send. Throws where the message names no device or could not be handed on in the end: what was handed on already is found to be a duplicate
 * when it comes again.
 */
export function queuedReadings(messages: RelayedMessages, relay: RelayOne, patience: RetryPolicy) {
  return async (text: string): Promise<void> => {
    const message = messages.read(text);
    await retry(() => relay(message), patience);
  };
}
