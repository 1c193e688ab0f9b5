import { Buffer } from 'node:buffer';
import { throwIfAborted, type CallOptions } from '../errors.ts';
import type { MachineEvent } from '../domain/event.ts';
import type { MachineKey } from '../domain/ids.ts';
import type { TelemetryBody } from '../domain/reading.ts';
import type { DevicePresence, PresenceListener } from '../ports/device-gateway.ts';
import type { LiveChanges, LiveFeed, LiveMachine } from './live-feed.ts';

export interface LiveStateOptions {
  /** Tells this process's cursors from those of the one before. */
  readonly incarnation: string;
  readonly maxMachines?: number;
  readonly maxDevices?: number;
  readonly maxMetricsPerMachine?: number;
  /** Messages of one machine that come faster than this are not all looked at. */
  readonly sampleEveryMs?: number;
}

interface WatchedMachine {
  receivedAtMs: number;
  version: number;
  sampledAtMs: number;
  /** Payloads that nobody has asked about yet, at most {@link MAX_SAMPLES}: they are parsed only when somebody does. */
  samples: Uint8Array[];
  /** The newest message, where it came too soon after the sample before: the next one takes its place. */
  newest: Uint8Array | undefined;
  readonly metrics: Map<string, { value: number; unit: string | undefined; version: number; tsMs: number }>;
}

const MAX_SAMPLES = 2;
/** Batches that come without anybody asking, after which nobody is thought to watch. */
const MAX_UNASKED = 10_000;

/**
 * Keeps what is happening now, in memory and within bounds. {@link observe} is called for every batch of the raw streams, so it looks at
 * the envelope alone, and keeps a few payloads a second and the newest of each machine unread until somebody asks.
 */
export class LiveState implements LiveFeed, PresenceListener {
  readonly #incarnation: string;
  readonly #maxMachines: number;
  readonly #maxDevices: number;
  readonly #maxMetrics: number;
  readonly #sampleEveryMs: number;
  readonly #machines = new Map<MachineKey, WatchedMachine>();
  /** By device, and by device and machine what status topics said. */
  readonly #presence = new Map<string, DevicePresence & { readonly version: number }>();
  #version = 0;
  /** Batches since somebody last asked. */
  #unasked = 0;

  constructor({
    incarnation,
    maxMachines = 100_000,
    maxDevices = 100_000,
    maxMetricsPerMachine = 512,
    sampleEveryMs = 500,
  }: LiveStateOptions) {
    this.#incarnation = incarnation;
    this.#maxMachines = maxMachines;
    this.#maxDevices = maxDevices;
    this.#maxMetrics = maxMetricsPerMachine;
    this.#sampleEveryMs = sampleEveryMs;
  }

  observe(events: readonly MachineEvent[]): void {
    const version = ++this.#version;
    const isWatched = this.#isWatched();
    for (const event of events) {
      if (event.imported === true || (event.kind !== 'telemetry' && event.kind !== 'waveform')) continue;
      const machine = this.#machines.get(event.key) ?? this.#watch(event.key);
      if (!machine) continue;
      machine.receivedAtMs = event.acceptedAtMs;
      machine.version = version;
      if (event.kind !== 'telemetry') continue;
      const sinceSampleMs = event.acceptedAtMs - machine.sampledAtMs;
      // A clock that was set back must not end the sampling until it has caught up.
      if (sinceSampleMs >= 0 && sinceSampleMs < this.#sampleEveryMs) {
        if (isWatched) machine.newest = event.payload;
      } else this.#sample(machine, event);
    }
  }

  presence({ device, machines, by, online, atMs }: DevicePresence): void {
    const name = by === 'connection' ? device : `${device} ${machines.join(' ')}`;
    this.#presence.delete(name);
    this.#presence.set(name, { device, machines, by, online, atMs, version: ++this.#version });
    if (this.#presence.size > this.#maxDevices) {
      for (const oldest of this.#presence.keys()) {
        this.#presence.delete(oldest);
        break;
      }
    }
  }

  async changes(after?: string, { signal }: CallOptions = {}): Promise<LiveChanges> {
    throwIfAborted(signal);
    this.#unasked = 0;
    const since = this.#versionOf(after);
    const machines: LiveMachine[] = [];
    for (const [key, machine] of this.#machines) {
      if (machine.version > since) machines.push(this.#changesOf(key, machine, since));
    }
    const presence: DevicePresence[] = [];
    for (const { version, ...device } of this.#presence.values()) if (version > since) presence.push(device);
    return { cursor: `${this.#incarnation}:${this.#version}`, isAll: since === 0, machines, presence };
  }

  #sample(machine: WatchedMachine, { acceptedAtMs, payload }: MachineEvent): void {
    machine.sampledAtMs = acceptedAtMs;
    machine.newest = undefined;
    if (machine.samples.length >= MAX_SAMPLES) machine.samples.shift();
    // A copy, because the payload may be a part of a large read buffer that would be kept with it.
    machine.samples.push(Buffer.from(payload));
  }

  /** Newest messages are kept as they are, without a copy, which only does while somebody asks for them every now and then. */
  #isWatched(): boolean {
    this.#unasked++;
    if (this.#unasked === MAX_UNASKED) for (const machine of this.#machines.values()) machine.newest = undefined;
    return this.#unasked < MAX_UNASKED;
  }

  #versionOf(cursor: string | undefined): number {
    const separator = cursor?.lastIndexOf(':') ?? -1;
    if (cursor === undefined || cursor.slice(0, separator) !== this.#incarnation) return 0;
    const version = Number(cursor.slice(separator + 1));
    return Number.isSafeInteger(version) ? version : 0;
  }

  #watch(key: MachineKey): WatchedMachine | undefined {
    if (this.#machines.size >= this.#maxMachines) return undefined;
    const machine: WatchedMachine = {
      receivedAtMs: 0,
      version: 0,
      sampledAtMs: 0,
      samples: [],
      newest: undefined,
      metrics: new Map(),
    };
    this.#machines.set(key, machine);
    return machine;
  }

  #changesOf(key: MachineKey, machine: WatchedMachine, since: number): LiveMachine {
    for (const sample of machine.samples.splice(0)) this.#read(machine, sample);
    if (machine.newest) this.#read(machine, machine.newest);
    machine.newest = undefined;
    const metrics: Record<string, number> = {};
    let units: Record<string, string> | undefined;
    let tsMs = -Infinity;
    for (const [name, metric] of machine.metrics) {
      if (metric.version <= since) continue;
      metrics[name] = metric.value;
      if (metric.unit !== undefined) (units ??= {})[name] = metric.unit;
      tsMs = Math.max(tsMs, metric.tsMs);
    }
    return {
      key,
      receivedAtMs: machine.receivedAtMs,
      ...(tsMs > -Infinity && { tsMs }),
      metrics,
      ...(units && { units }),
    };
  }

  #read(machine: WatchedMachine, payload: Uint8Array): void {
    const body = parseBody(payload);
    if (!body) return;
    for (const [name, given] of Object.entries(body.metrics)) {
      const known = machine.metrics.get(name);
      if (known ? known.tsMs > body.ts : machine.metrics.size >= this.#maxMetrics) continue;
      const { value, unit } = typeof given === 'number' ? { value: given, unit: undefined } : given;
      machine.metrics.set(name, { value, unit, version: machine.version, tsMs: body.ts });
    }
  }
}

/** An event that no consumer can read is dead-lettered by those whose business it is; here it only shows nothing. */
function parseBody(payload: Uint8Array): TelemetryBody | undefined {
  try {
    const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('utf8');
    const { ts, metrics } = JSON.parse(text) as Partial<TelemetryBody>;
    return ts === undefined || metrics === undefined ? undefined : { ts, metrics };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
