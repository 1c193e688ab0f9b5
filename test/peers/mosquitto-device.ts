import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import type { ContractDevice } from '#core/contracts/device-gateway.contract.ts';
import type { MachineKey, SensorId } from '#core/domain/ids.ts';
import { deviceTopic } from '#core/ingestion/topics.ts';
import type { TestCertificate } from '#test/support/self-signed-certificate.ts';
import type { Mosquitto } from './mosquitto.ts';

export interface MosquittoDeviceOptions {
  /** Absent: it shows none. */
  readonly certificate?: TestCertificate | undefined;
  /** Below which name it publishes. */
  readonly as: string;
}

/** A device as the adapter's page describes it: its will, its status, and a session that the broker keeps. It does not connect again by itself. */
export class MosquittoDevice implements ContractDevice {
  readonly client: MqttClient;
  readonly #root: string;
  readonly #heard: { readonly topic: string; readonly payload: Buffer }[] = [];
  readonly #listeners = new Map<string, (payload: Uint8Array) => void>();
  readonly #ended = Promise.withResolvers<never>();

  /** Rejects when the broker turns it away, or what it says of itself. */
  static async connect(broker: Mosquitto, { certificate, as }: MosquittoDeviceOptions): Promise<MosquittoDevice> {
    const root = `device/${as}`;
    const options: IClientOptions = {
      ...{ host: '127.0.0.1', port: broker.devicePort, protocol: 'mqtts', ca: broker.serverAuthority },
      ...(certificate && { cert: certificate.cert, key: certificate.key }),
      ...{ protocolVersion: 5, clientId: as, clean: false, properties: { sessionExpiryInterval: 3600 } },
      ...{ reconnectPeriod: 0, connectTimeout: 5000 },
      will: { topic: `${root}/status`, payload: Buffer.from('{"online":false}'), qos: 1, retain: true },
    };
    const device = new MosquittoDevice(connect(options), root);
    try {
      await Promise.race([
        new Promise<void>((resolve) => device.client.once('connect', () => resolve())),
        device.ended,
      ]);
      await device.publishTo('status', '{"online":true}', true);
      return device;
    } catch (error) {
      device.client.end(true);
      throw error;
    }
  }

  private constructor(client: MqttClient, root: string) {
    this.client = client;
    this.#root = root;
    this.#ended.promise.catch(() => undefined);
    client.on('error', (error) => this.#ended.reject(error));
    client.on('close', () => this.#ended.reject(new Error('the connection was closed')));
    client.on('message', (topic, payload) => {
      const listener = this.#listeners.get(topic);
      if (listener) listener(payload);
      else this.#heard.push({ topic, payload });
    });
  }

  /** Rejects when the connection ends. */
  get ended(): Promise<never> {
    return this.#ended.promise;
  }

  /** To a topic below its name. */
  async publishTo(topic: string, payload: Uint8Array | string, retain = false): Promise<void> {
    const bytes = Buffer.from(payload as Uint8Array);
    const published = this.client.publishAsync(`${this.#root}/${topic}`, bytes, { qos: 1, retain });
    await Promise.race([published, this.#ended.promise]);
  }

  publish(machine: MachineKey, payload: Uint8Array | string): Promise<void> {
    return this.publishTo(deviceTopic({ kind: 'telemetry', machine }), payload);
  }

  publishWaveform(machine: MachineKey, sensor: string, payload: Uint8Array | string): Promise<void> {
    return this.publishTo(deviceTopic({ kind: 'waveform', machine, sensor: sensor as SensorId }), payload);
  }

  async onCommand(machine: MachineKey, listener: (payload: Uint8Array) => void): Promise<void> {
    const topic = `${this.#root}/${deviceTopic({ kind: 'command', machine })}`;
    this.#listeners.set(topic, listener);
    for (const each of this.#heard.splice(0)) if (each.topic === topic) listener(each.payload);
    await Promise.race([this.client.subscribeAsync(topic, { qos: 1 }), this.#ended.promise]);
  }

  /** Says that it leaves: the broker publishes its will. */
  async disconnect(): Promise<void> {
    await this.client.endAsync({ reasonCode: DISCONNECT_WITH_WILL });
  }

  /** The connection is cut: no DISCONNECT, so the will is due. */
  cut(): void {
    this.client.stream.destroy();
  }
}

const DISCONNECT_WITH_WILL = 0x04;
