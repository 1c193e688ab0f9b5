import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import type { MachineKey, SensorId } from '#core/domain/ids.ts';
import { deviceTopic } from '#core/ingestion/topics.ts';

/** A device on an MQTT client that neither reconnects nor resends by itself, so that a test sees each connection's end. */
export class MqttDevice {
  readonly client: MqttClient;
  readonly #ended = Promise.withResolvers<never>();

  static async connect(port: number, options: IClientOptions): Promise<MqttDevice> {
    const client = connect({
      host: '127.0.0.1',
      port,
      protocolVersion: 4,
      reconnectPeriod: 0,
      connectTimeout: 5000,
      keepalive: 60,
      ...options,
    });
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    client.once('connect', resolve);
    client.once('close', () => reject(new Error('the connection was closed')));
    client.once('error', reject);
    try {
      await promise;
    } catch (error) {
      client.end(true);
      throw error;
    }
    return new MqttDevice(client);
  }

  private constructor(client: MqttClient) {
    this.client = client;
    this.#ended.promise.catch(() => undefined);
    client.on('close', () => this.#ended.reject(new Error('the connection was closed')));
    // Every error ends in `close` as well.
    client.on('error', () => undefined);
  }

  /** Rejects when the connection ends. */
  get ended(): Promise<never> {
    return this.#ended.promise;
  }

  async publishTo(topic: string, payload: Uint8Array | string, qos: 0 | 1 | 2 = 1): Promise<void> {
    const bytes = typeof payload === 'string' ? payload : Buffer.from(payload);
    await Promise.race([this.client.publishAsync(topic, bytes, { qos }), this.#ended.promise]);
  }

  publish(machine: MachineKey, payload: Uint8Array | string): Promise<void> {
    return this.publishTo(deviceTopic({ kind: 'telemetry', machine }), payload);
  }

  publishWaveform(machine: MachineKey, sensor: string, payload: Uint8Array | string): Promise<void> {
    return this.publishTo(deviceTopic({ kind: 'waveform', machine, sensor: sensor as SensorId }), payload);
  }

  async onCommand(machine: MachineKey, listener: (payload: Uint8Array) => void): Promise<void> {
    const topic = deviceTopic({ kind: 'command', machine });
    this.client.on('message', (name, payload) => {
      if (name === topic) listener(payload);
    });
    await this.client.subscribeAsync(topic, { qos: 1 });
  }

  async disconnect(): Promise<void> {
    await this.client.endAsync();
  }

  /** The connection is cut: no DISCONNECT, so the will is due. */
  cut(): void {
    this.client.stream.destroy();
  }
}
