import type { EventKind, MachineEvent, StampedEvent } from '#core/domain/event.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';

/*
 * A frame is the record of the log: the events of one source that were committed together, little endian.
 *
 *   header (64 bytes)  u8 format, 3 reserved, u32 count, u32 end of events, u32 reserved, f64 epoch, f64 first seq,
 *                      f64 committed at (ms), f64 newest acceptedAtMs, 16 reserved
 *   events             u8 kind and flags, u8 traceparent length, u16 id length, u16 key index, u16 reserved, u32 items, u32 payload
 *                      length, f64 acceptedAtMs; then id, traceparent, payload
 *   tables             source; tenants, each with its items on the stream before this frame; keys, each with its tenant's index
 *
 * An event's cumulative count is its tenant's count before the frame plus the items of the frame up to it, so that nothing in the events
 * depends on what was committed before: they are encoded as they arrive and only the tables wait for the commit.
 */

const FRAME_FORMAT = 1;
const HEADER_BYTES = 64;
const EVENT_HEADER_BYTES = 24;
/** UTF-8 bytes; an event id or a key above it is refused. */
const MAX_NAME_BYTES = 1024;
const MAX_KEYS = 0xffff;

/** The order is the format: append only. */
const KINDS = [
  'telemetry',
  'waveform',
  'rejection',
  'duplicate',
  'features',
  'prediction',
  'alarm',
] as const satisfies EventKind[];
const KIND_CODES: Readonly<Record<EventKind, number>> = {
  telemetry: 0,
  waveform: 1,
  rejection: 2,
  duplicate: 3,
  features: 4,
  prediction: 5,
  alarm: 6,
};
const KIND_MASK = 0x0f;
const VERIFY_STORED = 0x10;
const IMPORTED = 0x20;

/** What is stamped on a frame's events when it is committed. */
export interface FrameStamp {
  readonly source: string;
  readonly epoch: number;
  readonly firstSeq: number;
  readonly committedAtMs: number;
  /** A tenant's items on the stream before this frame. */
  readonly itemsBefore: (tenant: string) => number;
}

/** A tenant of the frame being built. */
export interface FrameTenant {
  readonly name: string;
  readonly index: number;
  /** Items of the frame's events so far. */
  items: number;
  /** Items on the stream before the frame, once it is sealed. */
  itemsBefore: number;
}

interface BuiltKey {
  readonly index: number;
  readonly tenant: FrameTenant;
}

/** Encodes events one at a time into one growing buffer, which is used again after `reset`. */
export class FrameBuilder {
  #bytes: Buffer;
  #view: DataView;
  #end = HEADER_BYTES;
  #count = 0;
  #newestAcceptedAtMs = 0;
  readonly #tenants = new Map<string, FrameTenant>();
  readonly #keys = new Map<string, BuiltKey>();

  constructor(initialBytes: number) {
    this.#bytes = Buffer.allocUnsafeSlow(Math.max(initialBytes, 1024));
    this.#view = viewOf(this.#bytes);
  }

  /** Bytes that the buffer takes. */
  get capacity(): number {
    return this.#bytes.byteLength;
  }

  get count(): number {
    return this.#count;
  }

  /** Bytes of the header and of the events so far. */
  get byteLength(): number {
    return this.#end;
  }

  get tenants(): Iterable<Readonly<FrameTenant>> {
    return this.#tenants.values();
  }

  get isFull(): boolean {
    return this.#keys.size >= MAX_KEYS;
  }

  /** Appends an event that `checkEncodable` accepts, and returns its tenant, whose items now include the event's. */
  append(event: MachineEvent): Readonly<FrameTenant> {
    const { payload, traceparent, eventId } = event;
    const traceparentLength = traceparent?.length ?? 0;
    this.#reserve(EVENT_HEADER_BYTES + eventId.length * 3 + traceparentLength + payload.byteLength);
    const key = this.#keys.get(event.key) ?? this.#addKey(event.key);
    key.tenant.items += event.items;
    const start = this.#end;
    const bytes = this.#bytes;
    const view = this.#view;
    let position = start + EVENT_HEADER_BYTES;
    const idLength = bytes.write(eventId, position);
    position += idLength;
    if (traceparent !== undefined) position += bytes.write(traceparent, position, 'latin1');
    bytes.set(payload, position);
    this.#end = position + payload.byteLength;
    const flags = (event.verifyStored ? VERIFY_STORED : 0) | (event.imported ? IMPORTED : 0);
    view.setUint8(start, KIND_CODES[event.kind] | flags);
    view.setUint8(start + 1, traceparentLength);
    view.setUint16(start + 2, idLength, true);
    view.setUint16(start + 4, key.index, true);
    view.setUint16(start + 6, 0, true);
    view.setUint32(start + 8, event.items, true);
    view.setUint32(start + 12, payload.byteLength, true);
    view.setFloat64(start + 16, event.acceptedAtMs, true);
    if (event.acceptedAtMs > this.#newestAcceptedAtMs) this.#newestAcceptedAtMs = event.acceptedAtMs;
    this.#count++;
    return key.tenant;
  }

  /** The finished frame, valid until `reset`. May be called again with another stamp. */
  seal(stamp: FrameStamp): Buffer {
    this.#writeHeader(stamp);
    let position = this.#end;
    const writeText = (text: string, headroom: number): void => {
      position = this.#writeTableText(position, text, headroom);
    };
    writeText(stamp.source, 4);
    this.#view.setUint16(position, this.#tenants.size, true);
    position += 2;
    for (const tenant of this.#tenants.values()) {
      tenant.itemsBefore = stamp.itemsBefore(tenant.name);
      writeText(tenant.name, 8);
      this.#view.setFloat64(position, tenant.itemsBefore, true);
      position += 8;
    }
    this.#reserveAt(position, 2);
    this.#view.setUint16(position, this.#keys.size, true);
    position += 2;
    for (const [key, { tenant }] of this.#keys) {
      this.#reserveAt(position, 2);
      this.#view.setUint16(position, tenant.index, true);
      position += 2;
      writeText(key, 0);
    }
    return this.#bytes.subarray(0, position);
  }

  reset(): void {
    this.#end = HEADER_BYTES;
    this.#count = 0;
    this.#newestAcceptedAtMs = 0;
    this.#tenants.clear();
    this.#keys.clear();
  }

  #writeHeader(stamp: FrameStamp): void {
    const view = this.#view;
    this.#bytes.fill(0, 0, HEADER_BYTES);
    view.setUint8(0, FRAME_FORMAT);
    view.setUint32(4, this.#count, true);
    view.setUint32(8, this.#end, true);
    view.setFloat64(16, stamp.epoch, true);
    view.setFloat64(24, stamp.firstSeq, true);
    view.setFloat64(32, stamp.committedAtMs, true);
    view.setFloat64(40, this.#newestAcceptedAtMs, true);
  }

  #writeTableText(position: number, text: string, headroom: number): number {
    this.#reserveAt(position, 2 + text.length * 3 + headroom);
    const length = this.#bytes.write(text, position + 2);
    this.#view.setUint16(position, length, true);
    return position + 2 + length;
  }

  #addKey(key: MachineKey): BuiltKey {
    const name = tenantOf(key);
    let tenant = this.#tenants.get(name);
    if (!tenant) this.#tenants.set(name, (tenant = { name, index: this.#tenants.size, items: 0, itemsBefore: 0 }));
    const built = { index: this.#keys.size, tenant };
    this.#keys.set(key, built);
    return built;
  }

  #reserve(bytes: number): void {
    this.#reserveAt(this.#end, bytes);
  }

  #reserveAt(position: number, bytes: number): void {
    if (position + bytes <= this.#bytes.byteLength) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#bytes.byteLength * 2, position + bytes));
    this.#bytes.copy(grown, 0, 0, position);
    this.#bytes = grown;
    this.#view = viewOf(grown);
  }
}

/** @throws PortError invalid_argument for an event that a frame cannot carry. */
export function checkEncodable(event: MachineEvent): void {
  if (event.eventId.length * 3 > MAX_NAME_BYTES && Buffer.byteLength(event.eventId) > MAX_NAME_BYTES)
    throw new PortError('invalid_argument', `an event id must be at most ${MAX_NAME_BYTES} bytes of UTF-8`);
  if (event.key.length * 3 > MAX_NAME_BYTES && Buffer.byteLength(event.key) > MAX_NAME_BYTES)
    throw new PortError('invalid_argument', `an event's key must be at most ${MAX_NAME_BYTES} bytes of UTF-8`);
  if (event.items >>> 0 !== event.items)
    throw new PortError('invalid_argument', `an event's items must be an integer of 0..2^32-1, got ${event.items}`);
  if (event.traceparent !== undefined && event.traceparent.length > 255)
    throw new PortError('invalid_argument', 'a traceparent must be at most 255 characters');
}

export interface FrameHeader {
  readonly count: number;
  readonly epoch: number;
  readonly firstSeq: number;
  readonly committedAtMs: number;
  readonly newestAcceptedAtMs: number;
}

/** @throws PortError data_loss where the bytes are no frame of this format. */
export function readFrameHeader(frame: Buffer): FrameHeader {
  const view = viewOf(frame);
  if (frame.byteLength < HEADER_BYTES || view.getUint8(0) !== FRAME_FORMAT)
    throw new PortError('data_loss', 'a record of the event log is not a frame of format 1; restore it from a backup');
  return {
    count: view.getUint32(4, true),
    epoch: view.getFloat64(16, true),
    firstSeq: view.getFloat64(24, true),
    committedAtMs: view.getFloat64(32, true),
    newestAcceptedAtMs: view.getFloat64(40, true),
  };
}

/** The frame's events, in order. Payloads are views of `frame`, which must not change afterwards. */
export function decodeFrame(frame: Buffer): StampedEvent[] {
  const { count, epoch, firstSeq } = readFrameHeader(frame);
  const view = viewOf(frame);
  const tables = readTables(frame, view, view.getUint32(8, true));
  const events = new Array<StampedEvent>(count);
  let position = HEADER_BYTES;
  for (let index = 0; index < count; index++) {
    const flags = view.getUint8(position);
    const traceparentLength = view.getUint8(position + 1);
    const idLength = view.getUint16(position + 2, true);
    const key = tables.keys[view.getUint16(position + 4, true)]!;
    const items = view.getUint32(position + 8, true);
    const payloadLength = view.getUint32(position + 12, true);
    const acceptedAtMs = view.getFloat64(position + 16, true);
    position += EVENT_HEADER_BYTES;
    const eventId = frame.toString('utf8', position, (position += idLength));
    const traceparent =
      traceparentLength > 0 ? frame.toString('latin1', position, (position += traceparentLength)) : undefined;
    key.tenant.items += items;
    const event: StampedEvent = {
      eventId,
      kind: KINDS[flags & KIND_MASK]!,
      key: key.name,
      items,
      acceptedAtMs,
      payload: frame.subarray(position, (position += payloadLength)),
      source: tables.source,
      epoch,
      seq: firstSeq + index,
      cumulativeItems: key.tenant.items,
    };
    events[index] = flags > KIND_MASK || traceparent !== undefined ? withFlags(event, flags, traceparent) : event;
  }
  return events;
}

/** The tenant is what comes before the first slash of a machine's key. */
function tenantOf(key: MachineKey): string {
  const slash = key.indexOf('/');
  return slash < 0 ? key : key.slice(0, slash);
}

function withFlags(event: StampedEvent, flags: number, traceparent: string | undefined): StampedEvent {
  return {
    ...event,
    ...(flags & VERIFY_STORED ? { verifyStored: true } : {}),
    ...(flags & IMPORTED ? { imported: true } : {}),
    ...(traceparent === undefined ? {} : { traceparent }),
  };
}

interface Tables {
  readonly source: string;
  readonly keys: readonly { readonly name: MachineKey; readonly tenant: { items: number } }[];
}

function readTables(frame: Buffer, view: DataView, start: number): Tables {
  let position = start;
  const readText = (): string => {
    const length = view.getUint16(position, true);
    position += 2 + length;
    return frame.toString('utf8', position - length, position);
  };
  const source = readText();
  const tenants: { items: number }[] = [];
  let left = view.getUint16(position, true);
  for (position += 2; left > 0; left--) {
    readText();
    tenants.push({ items: view.getFloat64(position, true) });
    position += 8;
  }
  const keys: { name: MachineKey; tenant: { items: number } }[] = [];
  left = view.getUint16(position, true);
  for (position += 2; left > 0; left--) {
    const tenant = tenants[view.getUint16(position, true)]!;
    position += 2;
    keys.push({ name: readText() as MachineKey, tenant });
  }
  return { source, keys };
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
