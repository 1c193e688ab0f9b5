import { createPrivateKey, X509Certificate } from 'node:crypto';
import { connect, type MqttClient } from 'mqtt';
import type { MachineKey } from '#core/domain/ids.ts';
import { deviceTopic } from '#core/ingestion/topics.ts';
import type { DeviceConnection } from '#test/support/resending-device.ts';
import type { MqttListener } from './mqtt-listener.ts';

const NOT_AUTHORIZED = 0x87;
const END_OF_CERTIFICATE = '-----END CERTIFICATE-----\n';

/** A device of IoT Core, by MQTT 5. It does not connect again by itself. */
export class IotCoreDevice implements DeviceConnection {
  readonly #client: MqttClient;
  readonly #ended = Promise.withResolvers<never>();
  readonly #listeners = new Map<string, (payload: Uint8Array) => void>();

  /** Connects with a certificate and its key, both PEM in one text. Rejects when it is turned away. */
  static async connect(
    { address: host, port, ca }: Pick<MqttListener, 'address' | 'port' | 'ca'>,
    credentials: string,
    clientId: string,
  ): Promise<IotCoreDevice> {
    const client = connect({
      ...{ host, port, protocol: 'mqtts', ca, ...parsed(credentials) },
      ...{ protocolVersion: 5, clientId, reconnectPeriod: 0 },
    });
    const device = new IotCoreDevice(client);
    const connected = new Promise<void>((resolve) => client.once('connect', () => resolve()));
    try {
      await Promise.race([connected, device.#ended.promise]);
      return device;
    } catch (error) {
      client.end(true);
      throw error;
    }
  }

  private constructor(client: MqttClient) {
    this.#client = client;
    this.#ended.promise.catch(() => undefined);
    client.on('error', (error) => this.#ended.reject(error));
    client.on('disconnect', ({ reasonCode }) => {
      if (reasonCode === NOT_AUTHORIZED) this.#ended.reject(new Error('not authorized: the connection is closed'));
    });
    client.on('close', () => this.#ended.reject(new Error('the connection is closed')));
    client.on('message', (topic, payload) => this.#listeners.get(topic)?.(payload));
  }

  /** Resolves on the acknowledgement. */
  async publishTo(topic: string, payload: Uint8Array | string, retain = false): Promise<void> {
    const published = this.#client.publishAsync(topic, Buffer.from(payload as Uint8Array), { qos: 1, retain });
    await Promise.race([published, this.#ended.promise]);
  }

  async subscribe(topic: string, listener: (payload: Uint8Array) => void): Promise<void> {
    this.#listeners.set(topic, listener);
    await Promise.race([this.#client.subscribeAsync(topic, { qos: 1 }), this.#ended.promise]);
  }

  onCommand(machine: MachineKey, listener: (payload: Uint8Array) => void): Promise<void> {
    return this.subscribe(deviceTopic({ kind: 'command', machine }), listener);
  }

  /** By the client. */
  async disconnect(): Promise<void> {
    await this.#client.endAsync();
  }

  /** The connection is lost, and the broker does not notice. */
  lose(): void {
    this.#client.stream.unpipe();
    this.#client.stream.pause();
    this.#listeners.clear();
  }

  /** The connection ends without a word, which the broker notices. */
  cut(): void {
    this.#client.stream.destroy();
  }
}

/** A handshake would fail by either, but OpenSSL passes over what follows them. */
function parsed(credentials: string): { readonly cert: string; readonly key: string } {
  const end = credentials.indexOf(END_OF_CERTIFICATE) + END_OF_CERTIFICATE.length;
  const [cert, key] = [credentials.slice(0, end), credentials.slice(end)];
  if (!key.endsWith('PRIVATE KEY-----\n') || !new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)))
    throw new Error('the certificate is not proven');
  return { cert, key };
}
