import { setTimeout as delay } from 'node:timers/promises';
import { retry } from '#core/delivery/retry.ts';
import { messageOf, PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import { BrokerConnection, type BrokerMessage, type PublishedPacket } from './broker-connection.ts';
import type { MqttDeviceGatewayConfig } from './config.ts';

export interface BrokerLinkOptions {
  readonly clientId: string;
  readonly receiveMaximum: number;
  readonly filters: readonly { readonly topic: string; readonly qos: 0 | 1 }[];
  readonly onMessage: (message: BrokerMessage) => void;
  /** The connection is gone: what came by it and is not acknowledged comes again. */
  readonly onLost: () => void;
  readonly onProblem: (what: string, error: unknown) => void;
}

/**
 * A session at the broker, which outlives connections: one that is lost is made again, after a random and ever longer wait.
 */
export class BrokerLink {
  readonly #config: MqttDeviceGatewayConfig;
  readonly #options: BrokerLinkOptions;
  readonly #closing = new AbortController();
  #connection: BrokerConnection | undefined;
  #reconnecting: Promise<void> | undefined;
  #problem: string | undefined;

  constructor(config: MqttDeviceGatewayConfig, options: BrokerLinkOptions) {
    this.#config = config;
    this.#options = options;
  }

  /** Why there is no connection where there was one; undefined while there is. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Connects for the first time. @throws PortError as {@link BrokerConnection.open} */
  async open({ signal }: CallOptions): Promise<void> {
    await this.#connect(signal);
  }

  /** As {@link BrokerConnection.publish}. @throws PortError unavailable while there is no connection. */
  async publish(packet: PublishedPacket, signal: AbortSignal | undefined): Promise<boolean> {
    if (this.#connection === undefined)
      throw new PortError('unavailable', `there is no connection to ${this.#config.url} for the moment`);
    return this.#connection.publish(packet, signal);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#reconnecting;
    await this.#connection?.close();
  }

  async #connect(signal: AbortSignal | undefined): Promise<void> {
    const { clientId, receiveMaximum, filters, onMessage } = this.#options;
    const connection = await BrokerConnection.open(this.#config, { clientId, receiveMaximum, onMessage }, signal);
    try {
      await connection.subscribe(filters, signal);
      throwIfAborted(signal);
    } catch (error) {
      await connection.close();
      throw error;
    }
    this.#connection = connection;
    this.#problem = undefined;
    void connection.ended.then((why) => this.#lost(why));
  }

  #lost(why: Error): void {
    this.#connection = undefined;
    this.#options.onLost();
    if (this.#closing.signal.aborted) return;
    const { clientId, onProblem } = this.#options;
    const isTakenOver = (why as { readonly code?: unknown }).code === SESSION_TAKEN_OVER;
    const remedy = isTakenOver
      ? `: another client calls itself ${clientId}, give each gateway a clientId of its own`
      : '';
    this.#lacks(why, remedy);
    onProblem(`the connection to ${this.#config.url}${remedy}`, why);
    this.#reconnecting = this.#reconnect().catch((error: unknown) => {
      if (!this.#closing.signal.aborted) onProblem(`connecting to ${this.#config.url} again`, error);
    });
  }

  #lacks(why: unknown, remedy = ''): void {
    this.#problem = `there is no connection to ${this.#config.url}${remedy}: ${messageOf(why)}`;
  }

  async #reconnect(): Promise<void> {
    const { signal } = this.#closing;
    const longestDelayMs = this.#config.maxReconnectDelayMs;
    const firstDelayMs = Math.min(FIRST_DELAY_MS, longestDelayMs);
    // So that two that take the session from one another do not do so as fast as they can.
    await delay(firstDelayMs * (0.5 + Math.random()), undefined, { signal });
    const attempt = async () => {
      try {
        await this.#connect(signal);
      } catch (error) {
        // Also what was refused: the operator may be about to set it right.
        throw new PortError('unavailable', messageOf(error), { cause: error });
      }
    };
    const policy = { maxAttempts: Infinity, firstDelayMs, longestDelayMs };
    const onRetry = (error: unknown) => {
      this.#lacks(error);
      this.#options.onProblem(`connecting to ${this.#config.url} again`, error);
    };
    await retry(attempt, policy, { signal, onRetry });
  }
}

const FIRST_DELAY_MS = 250;
const SESSION_TAKEN_OVER = 0x8e;
