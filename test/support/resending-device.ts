import { setTimeout as sleep } from 'node:timers/promises';
import { MqttDevice } from './mqtt-device.ts';
import type { DeviceLogin } from './platform-process.ts';

const AGAIN_MS = 100;

/** What a device sends: under one id, however often it has to be sent. */
export interface DeviceSample {
  readonly id: string;
  readonly topic: string;
  readonly payload: string;
}

/**
 * A device that sends one message after the other, each until it is acknowledged: on a new connection where the broker was away. So it
 * knows of every message whether it was acknowledged, and the platform gets some of them twice.
 */
export class ResendingDevice {
  readonly #port: number;
  readonly #login: DeviceLogin;
  readonly #next: (count: number) => DeviceSample;
  readonly #acknowledged: string[] = [];
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;

  constructor(port: number, login: DeviceLogin, next: (count: number) => DeviceSample, everyMs: number) {
    this.#port = port;
    this.#login = login;
    this.#next = next;
    this.#running = this.#run(everyMs);
  }

  /** In the order in which they were sent. */
  get acknowledged(): readonly string[] {
    return this.#acknowledged;
  }

  /** Resolves when the message under way is acknowledged: a platform must run by then. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(everyMs: number): Promise<void> {
    let device: MqttDevice | undefined;
    for (let count = 0; !this.#stopping.signal.aborted; count++) {
      const sample = this.#next(count);
      for (;;) {
        try {
          device ??= await this.#connect();
          await device.publishTo(sample.topic, sample.payload);
          break;
        } catch {
          device?.client.end(true);
          device = undefined;
          await sleep(AGAIN_MS);
        }
      }
      this.#acknowledged.push(sample.id);
      await sleep(everyMs);
    }
    await device?.disconnect();
  }

  #connect(): Promise<MqttDevice> {
    const { device, secret } = this.#login;
    return MqttDevice.connect(this.#port, { clientId: device, username: device, password: secret });
  }
}
