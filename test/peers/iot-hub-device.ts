import { connect, type MqttClient } from 'mqtt';
import type { ContractDevice } from '#core/contracts/device-gateway.contract.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import type { DeviceConnection } from '#test/support/resending-device.ts';
import type { MqttListener } from './mqtt-listener.ts';

/** A device as the adapter's page describes it. It does not connect again by itself. */
export class IotHubDevice implements ContractDevice, DeviceConnection {
  readonly #client: MqttClient;
  readonly #id: string;
  readonly #ended = Promise.withResolvers<never>();
  readonly #listeners: { readonly machine: string; readonly listener: (payload: Uint8Array) => void }[] = [];

  /** Rejects when it is turned away. */
  static async connect(
    { address: host, port, ca }: Pick<MqttListener, 'address' | 'port' | 'ca'>,
    clientId: string,
    login: { readonly username: string; readonly password: string },
  ): Promise<IotHubDevice> {
    const client = connect({
      ...{ host, port, ca, protocol: 'mqtts', protocolVersion: 4 },
      ...{ clientId, reconnectPeriod: 0, connectTimeout: 5000, ...login },
    });
    const device = new IotHubDevice(client, clientId);
    const connected = new Promise<void>((resolve) => client.once('connect', () => resolve()));
    try {
      await Promise.race([connected, device.#ended.promise]);
      return device;
    } catch (error) {
      client.end(true);
      throw error;
    }
  }

  private constructor(client: MqttClient, id: string) {
    this.#client = client;
    this.#id = id;
    this.#ended.promise.catch(() => undefined);
    client.on('error', (error) => this.#ended.reject(error));
    client.on('close', () => this.#ended.reject(new Error('the connection was closed')));
    client.on('message', (topic, payload) => this.#receive(topic, payload));
  }

  /** To its one topic, with the properties of the message. */
  async send(properties: Readonly<Record<string, string>>, payload: Uint8Array): Promise<void> {
    const bag = Object.entries(properties).map((pair) => pair.map(encodeURIComponent).join('='));
    await this.publishTo(`devices/${this.#id}/messages/events/${bag.join('&')}`, payload);
  }

  async publishTo(topic: string, payload: Uint8Array | string): Promise<void> {
    const published = this.#client.publishAsync(topic, Buffer.from(payload as Uint8Array), { qos: 1 });
    await Promise.race([published, this.#ended.promise]);
  }

  publish(machine: MachineKey, payload: Uint8Array): Promise<void> {
    return this.send({ '$.ct': 'application/json', kind: 'telemetry', machine }, payload);
  }

  publishWaveform(machine: MachineKey, sensor: string, payload: Uint8Array): Promise<void> {
    return this.send({ '$.ct': 'application/json', kind: 'waveform', machine, sensor }, payload);
  }

  async onCommand(machine: MachineKey, listener: (payload: Uint8Array) => void): Promise<void> {
    this.#listeners.push({ machine: machine.split('/').slice(1).join('/'), listener });
    const subscribed = this.#client.subscribeAsync(`devices/${this.#id}/messages/devicebound/#`, { qos: 1 });
    await Promise.race([subscribed, this.#ended.promise]);
  }

  async disconnect(): Promise<void> {
    await this.#client.endAsync();
  }

  cut(): void {
    this.#client.stream.destroy();
  }

  #receive(topic: string, payload: Uint8Array): void {
    const bag = new URLSearchParams(topic.slice(topic.lastIndexOf('/') + 1));
    for (const { machine, listener } of this.#listeners) if (bag.get('machine') === machine) listener(payload);
  }
}
