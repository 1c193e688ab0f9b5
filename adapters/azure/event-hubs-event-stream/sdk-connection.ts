import type { Socket } from 'node:net';
import type { EventHubConsumerClient, EventHubProducerClient } from '@azure/event-hubs';
import { orElseOnAbort } from '#core/stop-waiting.ts';

type SdkClient = EventHubConsumerClient | EventHubProducerClient;

/** What of the SDK's clients is not in their types, in 6.0.4: the connection of each. */
interface ClientInternals {
  readonly _context: {
    readonly connection: {
      isOpen(): boolean;
      once(event: 'disconnected', listener: (context: { readonly error?: unknown }) => void): unknown;
      readonly _connection: { readonly socket?: Socket };
    };
  };
}

/** Whether both ends have opened the client's connection. */
export function isConnected(client: SdkClient): boolean {
  return connectionOf(client).isOpen();
}

/** How much has ever come over the client's connection as it is now. */
export function bytesReceived(client: SdkClient): number {
  return socketOf(client)?.bytesRead ?? 0;
}

/** Tells when the client's connection as it is now is lost, or could not be made. The SDK tells only those who wait for events of a link that is open. */
export function onceDisconnected(client: SdkClient, tell: (error: unknown) => void): void {
  connectionOf(client).once('disconnected', ({ error }) => tell(error));
}

/** Ends the client's connection at once, as a network does that is lost: what waits for it fails. */
export function cutConnection(client: SdkClient): void {
  socketOf(client)?.destroy(new Error('the connection was given up'));
}

/** Closes it; whether it closed in time. The SDK never says so of a link whose connection is lost meanwhile, and late where it is silent. */
export function closedWithin(timeoutMs: number, it: { close(): Promise<void> }): Promise<boolean> {
  const late = AbortSignal.timeout(timeoutMs);
  return orElseOnAbort(it.close(), late, () => late.reason as Error).then(
    () => true,
    () => false,
  );
}

function socketOf(client: SdkClient): Socket | undefined {
  return connectionOf(client)._connection.socket;
}

function connectionOf(client: SdkClient): ClientInternals['_context']['connection'] {
  return (client as unknown as ClientInternals)._context.connection;
}
