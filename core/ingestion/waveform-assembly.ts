import { hash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { atStart } from '../delivery/at-start.ts';
import { PortError } from '../errors.ts';
import {
  machineKey,
  type MachineId,
  type MachineKey,
  type SensorId,
  type SiteId,
  type TenantId,
} from '../domain/ids.ts';
import type { Rejection } from '../domain/reading.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import { rejection } from './rejection.ts';
import { refuseSamples, type WaveformHeader, type WaveformMessage } from './waveform.ts';

export interface WaveformAssemblyOptions {
  /** From a waveform's first part to its last; then it is rejected. */
  readonly completeWithinMs: number;
  readonly maxOpen: number;
  readonly maxOpenPerMachine: number;
}

/** A waveform of which some parts have come. */
export interface OpenWaveform {
  readonly machine: MachineKey;
  readonly sensor: SensorId;
  readonly of: number;
  /** `parts/{tenant}/{site}/{machine}/{sensor}/{group}/{of}`: where its parts are. */
  readonly folder: string;
  readonly received: Set<number>;
  readonly deadlineMs: number;
  /** True once its rejection is under way: no part may join it any more. */
  expired: boolean;
}

/** How a complete waveform was settled, so that a part of it which comes again is known. */
interface SettledWaveform {
  readonly eventId: string;
  /** Of the samples of each part, in their order. */
  readonly partDigests: readonly string[];
}

export type AssemblyStep =
  | { readonly type: 'waiting' }
  /** The part is one of a waveform that was complete before. */
  | { readonly type: 'duplicate'; readonly eventId: string }
  | {
      readonly type: 'complete';
      readonly waveform: OpenWaveform;
      readonly header: WaveformHeader;
      readonly bytes: Uint8Array;
      /** Only of a waveform without an id: one with an id is known by its receipt. */
      readonly partDigests: readonly string[] | undefined;
    }
  | { readonly type: 'rejected'; readonly waveform: OpenWaveform | undefined; readonly rejection: Rejection };

/**
 * Puts waveforms together that come in parts.
 *
 * A device may wait for each part's acknowledgement before it sends the next, so an acknowledgement can't be held until the last part is
 * there; and an acknowledged part must survive a crash. So each part is an object of its own before it is acknowledged, and memory holds
 * no more than which parts have come. A restart finds the open waveforms again by listing ({@link recover}) and gives them the full time
 * anew. A waveform that stays incomplete is one rejected item, appended before its parts are deleted: nothing disappears unaccounted.
 */
export class WaveformAssembly {
  readonly #objects: ObjectStore;
  readonly #clock: Clock;
  readonly #options: WaveformAssemblyOptions;
  readonly #open = new Map<string, OpenWaveform>();
  /** By folder, the newest last. */
  readonly #settled = new Map<string, SettledWaveform>();
  /** Parts are joined one waveform at a time: 16 MiB is what it may take. */
  #joining: Promise<unknown> = Promise.resolve();

  constructor(objects: ObjectStore, clock: Clock, options: WaveformAssemblyOptions) {
    this.#objects = objects;
    this.#clock = clock;
    this.#options = options;
  }

  /** Makes the part durable; with the last one, reads all of them back as one waveform. The caller discards it once that is settled. */
  async add(machine: MachineKey, sensor: SensorId, message: WaveformMessage): Promise<AssemblyStep> {
    const part = message.part;
    if (part === undefined) throw new PortError('invalid_argument', 'a waveform in one piece needs no assembly');
    const folder = folderOf(machine, sensor, message.header, part.of);
    let waveform = this.#open.get(folder);
    if (waveform === undefined) {
      // A device resends a part whose acknowledgement it missed; other samples of the same time are another waveform.
      const settled = this.#settled.get(folder);
      if (settled?.partDigests[part.number - 1] === digestOf(message.bytes)) {
        return { type: 'duplicate', eventId: settled.eventId };
      }
      this.#settled.delete(folder);
      const refused = this.#refuseAnother(machine);
      if (refused !== undefined) return { type: 'rejected', waveform: undefined, rejection: refused };
      waveform = this.#track(machine, sensor, part.of, folder);
    }
    if (waveform.expired)
      throw new PortError('unavailable', 'the waveform is just being rejected as incomplete; send it again');
    await this.#objects.put(`${folder}/${part.number}`, encodePart(message));
    if (this.#open.get(folder) !== waveform) {
      await this.#objects.delete(`${folder}/${part.number}`);
      return { type: 'waiting' };
    }
    waveform.received.add(part.number);
    return waveform.received.size < waveform.of ? { type: 'waiting' } : this.#joinInTurn(waveform);
  }

  /** Waveforms whose time is over: each is to be rejected as `incomplete_waveform` and then discarded. */
  expired(): readonly OpenWaveform[] {
    const nowMs = this.#clock.monotonicMs();
    const late = [...this.#open.values()].filter((waveform) => waveform.deadlineMs <= nowMs);
    for (const waveform of late) waveform.expired = true;
    return late;
  }

  /**
   * Forgets the waveform and deletes its parts: a marker first, so that a crash in between leaves no incomplete waveform behind. Parts of a
   * settled one are duplicates from now on, until many others were settled or the process ends.
   */
  async discard(waveform: OpenWaveform, settled?: SettledWaveform): Promise<void> {
    this.#open.delete(waveform.folder);
    if (settled !== undefined) this.#remember(waveform.folder, settled);
    await this.#objects.put(`${waveform.folder}/${SETTLED}`, new Uint8Array(0));
    for (const number of waveform.received) await this.#objects.delete(`${waveform.folder}/${number}`);
    await this.#objects.delete(`${waveform.folder}/${SETTLED}`);
  }

  /** Finds what was open when the process ended; returns those of which all parts had come, to be joined. */
  async recover(): Promise<readonly OpenWaveform[]> {
    const settled = new Set<string>();
    let after: string | undefined;
    for (;;) {
      const query = { prefix: 'parts/', limit: LIST_PAGE, ...(after === undefined ? {} : { after }) };
      const page = await atStart(() => this.#objects.list(query));
      for (const { key } of page) this.#recoverPart(key, settled);
      after = page.at(-1)?.key;
      if (page.length < LIST_PAGE) break;
    }
    for (const folder of settled) {
      const waveform = this.#open.get(folder);
      await atStart(() => (waveform ? this.discard(waveform) : this.#objects.delete(`${folder}/${SETTLED}`)));
    }
    return [...this.#open.values()].filter((waveform) => waveform.received.size === waveform.of);
  }

  /** All parts as one waveform, after those that are being joined already. */
  join(waveform: OpenWaveform): Promise<AssemblyStep> {
    return this.#joinInTurn(waveform);
  }

  get size(): number {
    return this.#open.size;
  }

  #refuseAnother(machine: MachineKey): Rejection | undefined {
    const { maxOpen, maxOpenPerMachine } = this.#options;
    let ofMachine = 0;
    for (const waveform of this.#open.values()) if (waveform.machine === machine) ofMachine++;
    if (this.#open.size < maxOpen && ofMachine < maxOpenPerMachine) return undefined;
    const detail = `${ofMachine} waveforms of this machine are incomplete, at most ${maxOpenPerMachine} may be: send one after the other`;
    return rejection('too_many_open_waveforms', '/parts', detail);
  }

  #track(machine: MachineKey, sensor: SensorId, of: number, folder: string): OpenWaveform {
    const deadlineMs = this.#clock.monotonicMs() + this.#options.completeWithinMs;
    const waveform = { machine, sensor, of, folder, received: new Set<number>(), deadlineMs, expired: false };
    this.#open.set(folder, waveform);
    return waveform;
  }

  #remember(folder: string, settled: SettledWaveform): void {
    this.#settled.delete(folder);
    this.#settled.set(folder, settled);
    if (this.#settled.size <= this.#options.maxOpen) return;
    const [oldest] = this.#settled.keys();
    if (oldest !== undefined) this.#settled.delete(oldest);
  }

  #recoverPart(key: string, settled: Set<string>): void {
    const [, tenant, site, machine, sensor, group, ofText, number] = key.split('/');
    const of = Number(ofText);
    if (group === undefined || number === undefined || !Number.isInteger(of)) return;
    const folder = key.slice(0, key.lastIndexOf('/'));
    if (number === SETTLED) {
      settled.add(folder);
      return;
    }
    const machineOf = machineKey(tenant as TenantId, site as SiteId, machine as MachineId);
    const waveform = this.#open.get(folder) ?? this.#track(machineOf, sensor as SensorId, of, folder);
    waveform.received.add(Number(number));
  }

  #joinInTurn(waveform: OpenWaveform): Promise<AssemblyStep> {
    const joined = this.#joining.then(() => this.#join(waveform));
    this.#joining = joined.catch(() => undefined);
    return joined;
  }

  async #join(waveform: OpenWaveform): Promise<AssemblyStep> {
    const pieces: Uint8Array[] = [];
    let header: WaveformHeader | undefined;
    for (let number = 1; number <= waveform.of; number++) {
      const stored = await this.#objects.get(`${waveform.folder}/${number}`);
      // Another message settled this waveform meanwhile, and its parts are gone.
      if (stored === undefined) return { type: 'waiting' };
      const part = decodePart(stored);
      header ??= part.header;
      if (!sameSampling(header, part.header)) {
        const detail = `part ${number} differs from part 1 in ts, sampleRateHz, unit, encoding or scale`;
        return { type: 'rejected', waveform, rejection: rejection('invalid_part', '/part', detail) };
      }
      pieces.push(part.bytes);
    }
    if (header === undefined) return { type: 'waiting' };
    const bytes = Buffer.concat(pieces);
    const refused = refuseSamples(bytes, header.encoding);
    const partDigests = header.id === undefined ? pieces.map(digestOf) : undefined;
    return refused === undefined
      ? { type: 'complete', waveform, header, bytes, partDigests }
      : { type: 'rejected', waveform, rejection: refused };
  }
}

const LIST_PAGE = 1000;
const SETTLED = 'settled';

/** Parts belong together by the device's id, or by their time where it gives none. */
function folderOf(machine: MachineKey, sensor: SensorId, header: WaveformHeader, of: number): string {
  const group = hash('sha256', header.id ?? `~${header.ts}`, 'hex').slice(0, 32);
  return `parts/${machine}/${sensor}/${group}/${of}`;
}

function digestOf(samples: Uint8Array): string {
  return hash('sha256', samples, 'base64url').slice(0, 22);
}

/** A stored part: the length of its header as 4 bytes, the header as JSON, the samples. */
function encodePart({ header, bytes }: WaveformMessage): Uint8Array {
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  return Buffer.concat([length, json, bytes]);
}

function decodePart(stored: Uint8Array): { readonly header: WaveformHeader; readonly bytes: Uint8Array } {
  const length = new DataView(stored.buffer, stored.byteOffset).getUint32(0, true);
  const json = Buffer.from(stored.buffer, stored.byteOffset + 4, length).toString('utf8');
  return { header: JSON.parse(json) as WaveformHeader, bytes: stored.subarray(4 + length) };
}

function sameSampling(left: WaveformHeader, right: WaveformHeader): boolean {
  return (
    left.ts === right.ts &&
    left.sampleRateHz === right.sampleRateHz &&
    left.unit === right.unit &&
    left.encoding === right.encoding &&
    left.scale === right.scale
  );
}
