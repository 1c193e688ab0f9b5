import { setTimeout as sleep } from 'node:timers/promises';
import type { TokenCredential } from '@azure/identity';
import type Sdk from 'azure-iothub';
import type { Client } from 'azure-iothub';
import { loadSdk } from '../../sdk.ts';
import { loadIotHub, type IotHubPlace } from '../iot-hub-place.ts';

/** A command as a message to one device. */
export interface CloudToDeviceMessage {
  readonly id: string;
  readonly payload: Uint8Array;
  readonly expiresAtMs: number;
  readonly properties: Readonly<Record<string, string>>;
}

/** What became of a message. */
export interface Feedback {
  readonly originalMessageId: string;
  readonly deviceId: string;
  /** `Success`, `Expired`, `DeliveryCountExceeded`, `Rejected` or `Purged`. */
  readonly statusCode: string;
}

export interface FeedbackListener {
  readonly onFeedback: (records: readonly Feedback[]) => void;
  /** No more comes: what listens was detached, or its connection is lost. */
  readonly onEnd: (error: Error) => void;
}

/** Messages from the cloud to devices, over AMQP connections that begin with the first call, and again after they were lost. Each call is one attempt. */
export interface CloudToDeviceCalls {
  /** Resolves once the hub keeps it for the device. A connection on which no answer came in time is begun anew. */
  send(device: string, message: CloudToDeviceMessage, signal: AbortSignal): Promise<void>;
  /**
   * What it is told counts as taken: the hub says it once, to one of those who listen. Where the signal is aborted before it listens, its
   * connection is ended.
   */
  listen(listener: FeedbackListener, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** The SDK is loaded here and nowhere else, so that a site without IoT Hub never loads it. */
export async function openCloudToDevice(
  { host, peerPorts }: IotHubPlace,
  test?: TokenCredential,
): Promise<CloudToDeviceCalls> {
  const { sdk, credential } = await loadIotHub(test);
  // The SDK takes messages of its own class alone, and does not export it.
  const [{ default: messages }, { default: errors }] = await loadSdk('Azure', () =>
    Promise.all([
      import('azure-iothub/dist/common-core/message.js'),
      import('azure-iothub/dist/common-core/errors.js'),
    ]),
  );
  breakCycles([errors.NotConnectedError, errors.ServiceUnavailableError]);
  const transport = peerPorts && transportTo(sdk.Amqp, `amqps://127.0.0.1:${peerPorts.amqps}`);
  /** Of each that is not closed: when nothing opens it any more. */
  const clients = new Map<Client, Promise<unknown>>();
  const begin = (): Client => {
    const client = sdk.Client.fromTokenCredential(host, credential, transport);
    // Retries are core/delivery's.
    client.setRetryPolicy({ shouldRetry: () => false, nextRetryTimeout: () => 0 });
    clients.set(client, Promise.resolve());
    return client;
  };
  const end = async (client: Client): Promise<void> => {
    // Closed while it connects, the SDK's client never says that it is closed.
    await Promise.race([clients.get(client), sleep(HALF_OPEN_MS, undefined, { ref: false })]);
    clients.delete(client);
    await client.close().catch(() => undefined);
  };
  let sender: Client | undefined;
  return {
    send: async (device, { id, payload, expiresAtMs, properties }, signal) => {
      const message = new messages.Message(Buffer.from(payload));
      message.messageId = id;
      message.expiryTimeUtc = expiresAtMs;
      message.ack = 'full';
      for (const [name, value] of Object.entries(properties)) message.properties.add(name, value);
      const client = (sender ??= begin());
      const stop = (): void => {
        if ((signal.reason as Error).name !== 'TimeoutError' || sender !== client) return;
        sender = undefined;
        void end(client);
      };
      signal.addEventListener('abort', stop, { once: true });
      try {
        await client.send(device, message);
      } finally {
        signal.removeEventListener('abort', stop);
      }
    },
    listen: async (listener, signal) => {
      const client = begin();
      const over = (): void => void end(client);
      signal.addEventListener('abort', over, { once: true });
      const opened = client.open();
      clients.set(
        client,
        opened.catch(() => undefined),
      );
      try {
        await opened;
        await listen(client, listener, over);
      } catch (error) {
        await end(client);
        throw error;
      } finally {
        signal.removeEventListener('abort', over);
      }
    },
    close: async () => {
      await Promise.all([...clients.keys()].map(end));
    },
  };
}

const HALF_OPEN_MS = 1_000;

async function listen(client: Client, { onFeedback, onEnd }: FeedbackListener, over: () => void): Promise<void> {
  const { result: receiver } = (await client.getFeedbackReceiver()) as unknown as { readonly result: FeedbackReceiver };
  let isOver = false;
  const end = (error?: unknown): void => {
    if (isOver) return;
    isOver = true;
    over();
    onEnd(error instanceof Error ? error : new Error('the connection was closed'));
  };
  receiver.on('message', (message) => onFeedback(JSON.parse(String(message.getData())) as Feedback[]));
  receiver.on('error', end);
  client.on('disconnect', end);
}

/**
 * The SDK (1.16.6) makes an error of these its own cause when a connection is lost with a message under way, follows the causes without end, and
 * the process ends of it. They have no cause here.
 */
function breakCycles(kinds: readonly { readonly prototype: Error }[]): void {
  for (const { prototype } of kinds)
    Object.defineProperty(prototype, 'amqpError', { configurable: true, get: () => undefined, set: () => undefined });
}

/** What of the SDK's receiver is used; its type is of a base that emits nothing. */
interface FeedbackReceiver {
  on(event: 'message', listener: (message: { getData(): unknown }) => void): void;
  on(event: 'error', listener: (error: unknown) => void): void;
}

/** The SDK's own transport, to where the peer listens. */
function transportTo(Amqp: typeof Sdk.Amqp, uri: string): typeof Sdk.Amqp {
  return class extends Amqp {
    protected override _getConnectionUri(): string {
      return uri;
    }
  };
}
