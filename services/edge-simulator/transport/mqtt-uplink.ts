import { readFileSync } from 'node:fs';
import mqtt from 'mqtt';
import type { MqttClient } from 'mqtt';
import { PortError, throwIfAborted } from '#core/errors.ts';
import type { CallOptions } from '#core/errors.ts';
import { certificateRemedy } from '#services/shared/tls/authority.ts';
import { systemErrorCode } from '../system-error.ts';
import { waveformJson } from '../messages.ts';
import { telemetryPayload } from './uplink.ts';
import type { Batch, SendReceipt, Uplink } from './uplink.ts';

export interface MqttUplinkOptions {
  /** `mqtt://host:port`, or `mqtts://` for TLS. */
  readonly url: string;
  readonly tenant: string;
  readonly site: string;
  readonly device: MqttDevice;
  /** PEM file of the authority that signed the broker's certificate, when the system does not know it; read at each connection. */
  readonly caFile?: string;
  /** First level of the device's topics at a broker of the site, before its id; absent at the platform's own broker. */
  readonly topicRoot?: string;
  /** Of a service that is no broker, in place of the topics of wire.md: it is told no status either. */
  readonly binding?: MqttBinding;
  readonly keepAliveS?: number;
  readonly connectTimeoutMs?: number;
  /** How long to wait for a PUBACK before the connection counts as dead. */
  readonly acknowledgeTimeoutMs?: number;
}

/** How a device speaks to a service that has ways of its own. */
export interface MqttBinding {
  /** For one connection. */
  login(): { readonly username: string; readonly password: string };
  topic(batch: Batch): string;
}

/** Who connects, and for which machines it speaks. */
export interface MqttDevice {
  /** Client id and user name. */
  readonly id: string;
  /** Password; none for a broker that asks for none. */
  readonly secret?: string | undefined;
  /** PEM files of its certificate and key, for a broker that asks for one; read at each connection. */
  readonly certificateFile?: string | undefined;
  readonly keyFile?: string | undefined;
  readonly machines: readonly string[];
}

/** wire.md: every MQTT payload is at most 128 KiB. */
const MAX_PAYLOAD_BYTES = 128 * 1024;

/**
 * MQTT 3.1.1 at QoS 1. The connection is made on demand and once an attempt: whoever sends decides when to try again, so a message
 * is never both in this client's memory and in the sender's queue. Presence is a retained status for each machine; the Last Will,
 * of which MQTT allows one a connection, is that of the first. At a broker of the site it is one status, the device's.
 */
export class MqttUplink implements Uplink {
  readonly limits = { maxMessages: 1000, maxBytes: MAX_PAYLOAD_BYTES };
  readonly pipelines = true;
  readonly #options: MqttUplinkOptions;
  readonly #pending = new Set<(error: PortError) => void>();
  #client: MqttClient | undefined;
  #connection: Promise<MqttClient> | undefined;
  #closed = false;

  constructor(options: MqttUplinkOptions) {
    this.#options = options;
  }

  async send(batch: Batch, options: CallOptions = {}): Promise<SendReceipt> {
    throwIfAborted(options.signal);
    const payload = batch.kind === 'telemetry' ? telemetryPayload(batch.messages) : waveformJson(batch.message);
    const bytes = Buffer.byteLength(payload);
    if (bytes > MAX_PAYLOAD_BYTES) {
      throw new PortError(
        'invalid_argument',
        `a ${batch.kind} of ${batch.machine} takes ${bytes} bytes; MQTT payloads hold at most ${MAX_PAYLOAD_BYTES}: record fewer points, or send by HTTP`,
      );
    }
    const client = await orAbort(this.#connected(), options.signal);
    await this.#publish(client, this.#topicOf(batch), payload, options.signal);
    return { duplicateItems: 0, rejectedItems: 0 };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#failPending(new PortError('cancelled', 'the uplink was closed'));
    const client = this.#client;
    this.#client = undefined;
    if (!client?.connected) {
      client?.end(true);
      return;
    }
    this.#publishStatus(client, false);
    await new Promise<void>((resolve) => {
      // A broker that no longer answers must not hold the process up.
      const timer = setTimeout(() => client.end(true, {}, () => resolve()), 500);
      client.end(false, {}, () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** What a broker of the site has before a device's topics. */
  get #below(): string {
    const { topicRoot, device } = this.#options;
    return topicRoot === undefined ? '' : `${topicRoot}/${device.id}/`;
  }

  get #statusTopics(): readonly string[] {
    const { topicRoot, device, binding } = this.#options;
    if (binding) return [];
    return topicRoot === undefined
      ? device.machines.map((machine) => this.#topic(machine, 'status'))
      : [`${this.#below}status`];
  }

  #topicOf(batch: Batch): string {
    const { binding } = this.#options;
    if (binding) return binding.topic(batch);
    return this.#topic(batch.machine, batch.kind === 'telemetry' ? 'telemetry' : `waveform/${batch.sensor}`);
  }

  #topic(machine: string, rest: string): string {
    return `${this.#below}tribo/v1/${this.#options.tenant}/${this.#options.site}/${machine}/${rest}`;
  }

  #connected(): Promise<MqttClient> {
    if (this.#closed) return Promise.reject(new PortError('cancelled', 'the uplink was closed'));
    this.#connection ??= this.#connect().catch((error: unknown) => {
      this.#connection = undefined;
      throw error;
    });
    return this.#connection;
  }

  async #connect(): Promise<MqttClient> {
    const { url, device, caFile, binding, keepAliveS = 30, connectTimeoutMs = 10_000 } = this.#options;
    const [will] = this.#statusTopics;
    const client = mqtt.connect(url, {
      clientId: device.id,
      username: device.id,
      ...(device.secret === undefined ? {} : { password: device.secret }),
      ...binding?.login(),
      ...(caFile === undefined ? {} : { ca: readPem('the authority to trust', caFile) }),
      ...(device.certificateFile === undefined
        ? {}
        : { cert: readPem(`the certificate of ${device.id}`, device.certificateFile) }),
      ...(device.keyFile === undefined ? {} : { key: readPem(`the key of ${device.id}`, device.keyFile) }),
      protocolVersion: 4,
      clean: true,
      keepalive: keepAliveS,
      connectTimeout: connectTimeoutMs,
      reconnectPeriod: 0,
      queueQoSZero: false,
      ...(will === undefined
        ? {}
        : { will: { topic: will, payload: Buffer.from('{"online":false}'), qos: 1, retain: true } }),
    });
    this.#client = client;
    return new Promise((resolve, reject) => {
      let reason: Error | undefined;
      let connected = false;
      this.#pending.add(reject);
      client.on('error', (error) => {
        reason = error;
      });
      client.once('connect', () => {
        connected = true;
        this.#pending.delete(reject);
        this.#publishStatus(client, true);
        resolve(client);
      });
      client.once('close', () => {
        const error = connected ? closedError(url, device.id, reason) : connectionError(url, device.id, reason);
        this.#connection = undefined;
        this.#failPending(error);
        reject(error);
        client.end(true);
      });
    });
  }

  #publishStatus(client: MqttClient, online: boolean): void {
    for (const topic of this.#statusTopics) client.publish(topic, JSON.stringify({ online }), { qos: 1, retain: true });
  }

  #publish(client: MqttClient, topic: string, payload: string, signal: AbortSignal | undefined): Promise<void> {
    const { acknowledgeTimeoutMs = 60_000 } = this.#options;
    return new Promise((resolve, reject) => {
      const settle = (error?: PortError): void => {
        this.#pending.delete(settle);
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        if (error) reject(error);
        else resolve();
      };
      const abort = (): void => settle(new PortError('cancelled', 'the caller stopped waiting'));
      const timer = setTimeout(() => {
        settle(new PortError('deadline_exceeded', `no PUBACK for ${topic} within ${acknowledgeTimeoutMs} ms`));
        client.end(true);
      }, acknowledgeTimeoutMs);
      this.#pending.add(settle);
      signal?.addEventListener('abort', abort, { once: true });
      if (!client.connected) {
        settle(connectionError(this.#options.url, this.#options.device.id, undefined));
        return;
      }
      client.publish(topic, payload, { qos: 1 }, (error) => {
        if (error)
          settle(new PortError('unavailable', `the broker did not take ${topic}: ${error.message}`, { cause: error }));
        else settle();
      });
    });
  }

  #failPending(error: PortError): void {
    for (const settle of [...this.#pending]) settle(error);
  }
}

function readPem(what: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const reason = systemErrorCode(error) ?? 'unknown';
    throw new PortError('unavailable', `${what} cannot be read from ${path} (${reason})`, { cause: error });
  }
}

/** The connecting goes on for others that wait for it. */
async function orAbort<Value>(promise: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (!signal) return promise;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(new PortError('cancelled', 'the caller stopped waiting'));
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** CONNACK return codes of MQTT 3.1.1 that no second attempt with the same credentials can change. */
const REFUSED: ReadonlySet<unknown> = new Set([2, 4, 5]);

/** A broker has no other way to refuse a message (MQTT 3.1.1) than to close the connection. */
function closedError(url: string, device: string, reason: Error | undefined): PortError {
  const why = reason ? ` (${reason.message})` : '';
  return new PortError(
    'unavailable',
    `${url} closed the connection of device ${device}${why}; if that repeats at once, the device may not be bound to the machine it speaks for`,
    { cause: reason },
  );
}

function connectionError(url: string, device: string, reason: Error | undefined): PortError {
  const code: unknown = reason && 'code' in reason ? reason.code : undefined;
  if (REFUSED.has(code)) {
    return new PortError(
      'permission_denied',
      `${url} refused device ${device} (${reason?.message ?? ''}): check its id and secret, or add it with: tribo device add`,
      { cause: reason },
    );
  }
  const why = reason ? `: ${reason.message || String(code)}` : '';
  const remedy = certificateRemedy(reason);
  const what = remedy === undefined ? '' : `; ${remedy}`;
  return new PortError('unavailable', `no connection of device ${device} to ${url}${why}${what}`, { cause: reason });
}
