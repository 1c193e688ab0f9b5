import type { EventHubProducerClient } from '@azure/event-hubs';
import { closedWithin, cutConnection } from './sdk-connection.ts';

/** What of the SDK's client is not in its types, in 6.0.4. */
interface ProducerInternals {
  readonly _sendersMap?: ReadonlyMap<string, SenderInternals>;
}

interface SenderInternals {
  isOpen(): boolean;
  readonly authLoop?: { stop(): void };
}

/**
 * Stops renewing the tokens of links that are gone. A sender whose link or connection is lost forgets its timer when it begins another, and
 * with the timer there the process would not end, and would renew one token more with each loss.
 */
export function stopLostRenewals(producer: EventHubProducerClient): void {
  for (const sender of sendersOf(producer)) if (!sender.isOpen()) sender.authLoop?.stop();
}

/** Closes the client with whatever it renews. */
export async function closeProducer(producer: EventHubProducerClient, timeoutMs: number): Promise<void> {
  const senders = [...sendersOf(producer)];
  if (!(await closedWithin(timeoutMs, producer))) cutConnection(producer);
  for (const { authLoop } of senders) authLoop?.stop();
}

function sendersOf(producer: EventHubProducerClient): Iterable<SenderInternals> {
  return (producer as unknown as ProducerInternals)._sendersMap?.values() ?? [];
}
