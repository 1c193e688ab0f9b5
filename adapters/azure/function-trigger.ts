// Not loaded lazily, as the runtime learns of functions while it loads the bundle: nothing but bundles of functions imports this.
import { app } from '@azure/functions';

/** A queue of Service Bus, by the names of the function's settings. */
export interface QueueOfFunction {
  /** What the settings begin with that say where the namespace is and who comes to it: `<connection>__fullyQualifiedNamespace`. */
  readonly connection: string;
  /** The setting with the name of the queue. */
  readonly queue: string;
}

/**
 * Registers a function that is called with each message of a queue, as text: one message a call, several calls at a time. The message is gone from the queue once the promise
 * resolves; it comes again where that rejects, and in the end is among the dead letters.
 */
export function onQueuedMessage(
  name: string,
  { connection, queue }: QueueOfFunction,
  take: (text: string) => Promise<void>,
): void {
  app.serviceBusQueue(name, {
    ...{ connection, queueName: `%${queue}%`, cardinality: 'one' },
    handler: (message) => take(textOf(message)),
  });
}

/** The runtime has read what is JSON already. */
function textOf(message: unknown): string {
  if (typeof message === 'string') return message;
  return Buffer.isBuffer(message) ? message.toString() : JSON.stringify(message);
}
