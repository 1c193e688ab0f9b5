import { randomUUID } from 'node:crypto';
import { codeOf, PortError, type CallOptions } from '#core/errors.ts';
import { BrokerConnection, type PublishedPacket } from './broker-connection.ts';
import type { MqttDeviceGatewayConfig } from './config.ts';

/**
 * Publishes to the broker and takes nothing from it. It connects once there is something to publish, and anew where the connection is gone, as what
 * runs it may stand still for a while between two calls.
 */
export class BrokerPublisher {
  readonly #config: MqttDeviceGatewayConfig;
  /** Of this publisher alone: a broker ends the connection of another with the same name. */
  readonly #clientId: string;
  #opened: Promise<BrokerConnection> | undefined;

  constructor(config: MqttDeviceGatewayConfig) {
    this.#config = config;
    this.#clientId = `${config.clientId}-${randomUUID()}`;
  }

  /**
   * Resolves once the broker has it for somebody. Makes one attempt.
   * @throws PortError unavailable where nobody has ever subscribed to the topic, as the broker keeps it for nobody; else as {@link BrokerConnection.publish}
   */
  async publish(packet: Omit<PublishedPacket, 'qos'>, { signal }: CallOptions = {}): Promise<void> {
    const opened = this.#connected();
    const connection = await opened;
    const isHeard = await connection.publish({ ...packet, qos: 1 }, signal).catch((error: unknown) => {
      // The other end may have gone without a word.
      if (codeOf(error) === 'deadline_exceeded') {
        this.#forget(opened);
        void connection.close();
      }
      throw error;
    });
    if (!isHeard)
      throw new PortError(
        'unavailable',
        `nobody has subscribed to ${packet.topic}: start the platform, whose gateway reads it`,
      );
  }

  /** Leaves in good order; what is under way is over. */
  async close(): Promise<void> {
    const connection = await this.#opened?.catch(() => undefined);
    await connection?.close();
  }

  #connected(): Promise<BrokerConnection> {
    if (this.#opened) return this.#opened;
    const options = { clientId: this.#clientId, receiveMaximum: 1, onMessage: () => undefined };
    const opened = BrokerConnection.open(this.#config, options);
    const forget = () => this.#forget(opened);
    opened.then(({ ended }) => ended).then(forget, forget);
    return (this.#opened = opened);
  }

  /** Others may have given it up before, and a newer one be there. */
  #forget(opened: Promise<BrokerConnection>): void {
    if (this.#opened === opened) this.#opened = undefined;
  }
}
