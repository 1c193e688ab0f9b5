import { readFile } from 'node:fs/promises';
import type { IClientOptions, MqttClient, Packet } from 'mqtt';
import type { IPubackPacket, IPublishPacket } from 'mqtt-packet';
import { messageOf, PortError } from '#core/errors.ts';
import { cloudCall } from '../../cloud-call.ts';
import { waitFor } from '../../wait-for.ts';
import { codeOfMqttError, ConnectionLost } from '../mqtt-errors.ts';
import type { MqttDeviceGatewayConfig } from './config.ts';

/** How one connection differs from another of the same gateway. */
export interface ConnectionOptions {
  readonly clientId: string;
  /** How many messages of QoS 1 the broker sends ahead of their acknowledgement. */
  readonly receiveMaximum: number;
  readonly onMessage: (message: BrokerMessage) => void;
}

/** What the broker sent. */
export interface BrokerMessage {
  readonly topic: string;
  readonly payload: Buffer;
  /** It was said earlier, and kept for whoever subscribes. */
  readonly isRetained: boolean;
  readonly traceparent: string | undefined;
  /** Acknowledges it, where it is to be; once the connection that it came by is gone that does nothing. */
  readonly acknowledge: () => void;
  /** Of one that is to be acknowledged: aborted with its connection, as the broker then sends it again. Undefined of QoS 0. */
  readonly comesAgain: AbortSignal | undefined;
}

/**
 * One connection to the broker; it does not connect again. Messages are acknowledged by whoever took them, in the order in which they came, as
 * MQTT 5.0 (4.6) has it, so that no more than the Receive Maximum is in memory.
 */
export class BrokerConnection {
  readonly #client: MqttClient;
  readonly #timeoutMs: number;
  readonly #received = new InOrder((packetIds) => this.#acknowledge(packetIds));
  /** Aborted with the reason, when the connection is gone. */
  readonly #gone = new AbortController();
  /** Resolves with the reason, when the connection is gone, by whichever side. */
  readonly ended: Promise<Error>;
  /** Packet ids of what was published to topics that nobody subscribes to. */
  readonly #unheard = new Set<number>();

  static async open(
    config: MqttDeviceGatewayConfig,
    options: ConnectionOptions,
    signal?: AbortSignal,
  ): Promise<BrokerConnection> {
    const { connect } = await import('mqtt');
    const clientOptions = await clientOptionsOf(config, options);
    const timeoutMs = config.connectTimeoutMs;
    const what = `connecting to ${config.url} as ${options.clientId}`;
    return cloudCall({ what, timeoutMs, signal }, codeOfMqttError, async (stopped) => {
      const client = connect(config.url, clientOptions);
      const connection = new BrokerConnection(client, config.timeoutMs, options.onMessage);
      try {
        await waitFor(connection.#connected(), stopped);
      } catch (error) {
        client.end(true);
        throw error;
      }
      return connection;
    });
  }

  private constructor(client: MqttClient, timeoutMs: number, onMessage: (message: BrokerMessage) => void) {
    this.#client = client;
    this.#timeoutMs = timeoutMs;
    let why: Error | undefined;
    client.on('packetreceive', (packet: Packet) => {
      if (packet.cmd === 'publish') {
        onMessage(this.#messageOf(packet));
        // So that the client, which handles it next, acknowledges nothing of itself and waits for nobody.
        packet.qos = 0;
      } else if (packet.cmd === 'puback') this.#noteUnheard(packet);
      else if (packet.cmd === 'disconnect')
        why = Object.assign(new ConnectionLost('the broker ended the connection'), { code: packet.reasonCode });
    });
    client.on('error', (error) => (why ??= error));
    const { promise, resolve } = Promise.withResolvers<Error>();
    this.ended = promise;
    client.once('close', () => {
      client.end(true);
      const reason = why ?? new ConnectionLost('the connection was lost');
      this.#gone.abort(reason);
      resolve(reason);
    });
  }

  /** Subscribes, with the quality that is asked for (of a topic that is there twice, last) or not at all. */
  async subscribe(
    filters: readonly { readonly topic: string; readonly qos: 0 | 1 }[],
    signal?: AbortSignal,
  ): Promise<void> {
    const topics = Object.fromEntries(filters.map(({ topic, qos }) => [topic, { qos }]));
    const what = `subscribing to ${Object.keys(topics).join(', ')}`;
    await this.#call(what, signal, async () => {
      const granted = await this.#client.subscribeAsync(topics);
      for (const [topic, { qos }] of Object.entries(topics))
        if (granted.find((each) => each.topic === topic)?.qos !== qos)
          throw new PortError('failed_precondition', `the broker does not grant QoS ${qos} to ${topic}`);
    });
  }

  /** Resolves once the broker has it: to true where somebody subscribes to the topic, as far as it says. */
  async publish(packet: PublishedPacket, signal: AbortSignal | undefined): Promise<boolean> {
    const { topic, payload, qos, properties } = packet;
    return this.#call(`publishing to ${topic}`, signal, async () => {
      const sent = await this.#client.publishAsync(topic, payload, { qos, properties });
      return sent?.messageId === undefined || !this.#unheard.delete(sent.messageId);
    });
  }

  /** Leaves in good order: the broker keeps the session. */
  async close(): Promise<void> {
    // What was written is sent before DISCONNECT.
    await this.#call('leaving the broker', undefined, () => this.#client.endAsync()).catch(() =>
      this.#client.end(true),
    );
  }

  #messageOf({ topic, payload, retain, qos, messageId, properties }: IPublishPacket): BrokerMessage {
    const { traceparent } = properties?.userProperties ?? {};
    const isAwaited = qos === 1 && messageId !== undefined;
    return {
      topic,
      payload: typeof payload === 'string' ? Buffer.from(payload) : payload,
      isRetained: retain,
      traceparent: typeof traceparent === 'string' ? traceparent : undefined,
      acknowledge: isAwaited ? this.#received.expect(messageId) : () => undefined,
      comesAgain: isAwaited ? this.#gone.signal : undefined,
    };
  }

  #noteUnheard({ reasonCode, messageId }: IPubackPacket): void {
    if (reasonCode === NO_MATCHING_SUBSCRIBERS && messageId !== undefined) this.#unheard.add(messageId);
  }

  #acknowledge(packetIds: readonly number[]): void {
    if (!this.#client.stream.writable) return;
    const bytes = Buffer.allocUnsafe(packetIds.length * 4);
    for (const [index, packetId] of packetIds.entries()) bytes.writeUInt32BE(PUBACK_HEADER + packetId, index * 4);
    this.#client.stream.write(bytes);
  }

  async #connected(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#client.once('connect', resolve);
    this.#client.once('error', reject);
    this.#client.once('close', () => reject(new ConnectionLost('the broker ended the connection')));
    await promise;
  }

  #call<Result>(what: string, signal: AbortSignal | undefined, call: () => Promise<Result>): Promise<Result> {
    const { signal: gone } = this.#gone;
    return cloudCall({ what, timeoutMs: this.#timeoutMs, signal }, codeOfMqttError, async (stopped) => {
      gone.throwIfAborted();
      // The client tells nobody who waits for the broker that the connection is gone.
      const { promise: lost, reject } = Promise.withResolvers<never>();
      const onGone = () => reject(gone.reason as Error);
      gone.addEventListener('abort', onGone);
      try {
        return await waitFor(Promise.race([call(), lost]), stopped);
      } finally {
        // The connection may last for months: it must not keep what was published.
        gone.removeEventListener('abort', onGone);
      }
    });
  }
}

export interface PublishedPacket {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1;
  readonly properties: NonNullable<IPublishPacket['properties']>;
}

async function clientOptionsOf(
  config: MqttDeviceGatewayConfig,
  { clientId, receiveMaximum }: ConnectionOptions,
): Promise<IClientOptions> {
  const { caFile, certificateFile, keyFile, username, passwordVariable, sessionExpiryS, keepAliveS } = config;
  const maximumPacketSize = config.maxPayloadBytes + ROOM_BYTES;
  const [ca, cert, key] = await Promise.all([caFile, certificateFile, keyFile].map(readPem));
  return {
    ...{ protocolVersion: 5, clientId, clean: false, keepalive: keepAliveS, connectTimeout: config.connectTimeoutMs },
    ...{ reconnectPeriod: 0, resubscribe: false },
    properties: { sessionExpiryInterval: sessionExpiryS, receiveMaximum, maximumPacketSize },
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && key !== undefined && { cert, key }),
    ...(username !== undefined && { username, password: passwordIn(passwordVariable) }),
  };
}

async function readPem(path: string | undefined): Promise<string | undefined> {
  try {
    return path === undefined ? undefined : await readFile(path, 'utf8');
  } catch (error) {
    throw new PortError('failed_precondition', `${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

function passwordIn(variable = ''): string {
  const password = process.env[variable];
  if (password !== undefined) return password;
  throw new PortError('failed_precondition', `the broker's password is missing: set ${variable} in the environment`);
}

/** Of one connection: what was received and is not acknowledged yet. */
class InOrder {
  readonly #waiting = new Set<{ readonly packetId: number; isSettled: boolean }>();
  readonly #acknowledge: (packetIds: readonly number[]) => void;
  #isDue = false;

  constructor(acknowledge: (packetIds: readonly number[]) => void) {
    this.#acknowledge = acknowledge;
  }

  /** Notes a message that was received; returns how to say that it is settled. */
  expect(packetId: number): () => void {
    const received = { packetId, isSettled: false };
    this.#waiting.add(received);
    return () => {
      received.isSettled = true;
      if (this.#isDue) return;
      this.#isDue = true;
      // In a tick, which comes after the microtasks in which all that became durable together is seen.
      process.nextTick(() => this.#flush());
    };
  }

  #flush(): void {
    this.#isDue = false;
    const packetIds: number[] = [];
    for (const received of this.#waiting) {
      if (!received.isSettled) break;
      this.#waiting.delete(received);
      packetIds.push(received.packetId);
    }
    if (packetIds.length > 0) this.#acknowledge(packetIds);
  }
}

/** For a topic, which has 64 KiB at most, and properties. What is a little too large is so counted as such; the broker drops what is larger. */
const ROOM_BYTES = 65_536;
/** PUBACK, two bytes follow: the packet id; without a reason code it means success (MQTT 5.0, 3.4.2.1). */
const PUBACK_HEADER = 0x40020000;
const NO_MATCHING_SUBSCRIBERS = 0x10;
