import { setTimeout as sleep } from 'node:timers/promises';
import type { MachineKey } from '#core/domain/ids.ts';
import { sendTelemetry } from './edge-requests.ts';
import { MqttDevice } from './mqtt-device.ts';
import type { DeviceLogin, PlatformProcess } from './platform-process.ts';

const AGAIN_MS = 100;

/** How a device sends: it does not connect again by itself. */
export interface SendingConnection {
  /** Resolves when the message is acknowledged; rejects when the connection ends before. */
  publishTo(topic: string, payload: string): Promise<void>;
  disconnect(): Promise<void>;
  /** Without a word to the broker. */
  cut(): void;
}

/** How a device is connected that hears commands, too. */
export interface DeviceConnection extends SendingConnection {
  onCommand(machine: MachineKey, listener: (payload: Uint8Array) => void): Promise<void>;
}

/** What a device sends: under one id, however often it has to be sent. */
export interface DeviceSample {
  readonly id: string;
  readonly topic: string;
  readonly payload: string;
}

/** How fast it sends, where the platform lets it. */
export interface Pace {
  /** Messages on their way together; 1 keeps their order. */
  readonly atOnce: number;
  readonly everyMs: number;
}

/** What connects a device to the platform's own broker. */
export function toBroker(port: number, { device, secret }: DeviceLogin): () => Promise<DeviceConnection> {
  return () => MqttDevice.connect(port, { clientId: device, username: device, password: secret });
}

/** What sends a machine's messages by HTTP: those that are refused, or not answered in time, are to be sent again. */
export function toHttp(platform: PlatformProcess, machine: string): () => Promise<SendingConnection> {
  return async () => ({
    publishTo: async (_topic, payload) => {
      const { status, problem } = await sendTelemetry(platform, machine, [JSON.parse(payload) as object]);
      if (status !== 202) throw new Error(`${machine} was answered ${status}: ${problem?.detail}`);
    },
    disconnect: async () => undefined,
    cut: () => undefined,
  });
}

/**
 * A device that sends each message until it is acknowledged: on a new connection where the broker was away. So it knows of every message
 * that it was acknowledged, and the platform gets some of them twice.
 */
export class ResendingDevice {
  readonly #connect: () => Promise<SendingConnection>;
  readonly #next: (count: number) => DeviceSample;
  readonly #acknowledged: string[] = [];
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #device: SendingConnection | undefined;

  constructor(connect: () => Promise<SendingConnection>, next: (count: number) => DeviceSample, pace: Pace) {
    this.#connect = connect;
    this.#next = next;
    this.#running = this.#run(pace);
  }

  get acknowledged(): readonly string[] {
    return this.#acknowledged;
  }

  /** Resolves when the messages under way are acknowledged: a platform must run by then. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#device?.disconnect();
    this.#device = undefined;
  }

  async #run({ atOnce, everyMs }: Pace): Promise<void> {
    for (let count = 0; !this.#stopping.signal.aborted; count += atOnce) {
      let waiting = Array.from({ length: atOnce }, (_, at) => this.#next(count + at));
      while (waiting.length > 0) waiting = await this.#send(waiting);
      await sleep(everyMs);
    }
  }

  /** Returns what was not acknowledged. */
  async #send(samples: readonly DeviceSample[]): Promise<DeviceSample[]> {
    try {
      const device = (this.#device ??= await this.#connect());
      const sent = await Promise.allSettled(samples.map(({ topic, payload }) => device.publishTo(topic, payload)));
      const left = samples.filter((_sample, at) => sent[at]?.status === 'rejected');
      this.#acknowledged.push(...samples.filter((sample) => !left.includes(sample)).map(({ id }) => id));
      if (left.length === 0) return [];
      await this.#reconnectLater();
      return left;
    } catch {
      await this.#reconnectLater();
      return [...samples];
    }
  }

  async #reconnectLater(): Promise<void> {
    this.#device?.cut();
    this.#device = undefined;
    await sleep(AGAIN_MS);
  }
}
