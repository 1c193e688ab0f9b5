import { Packr } from 'msgpackr';
import { partOf } from '#core/delivery/accounts/stream-accounts.ts';
import type { EventKind, MachineEvent, StampedEvent } from '#core/domain/event.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';

/** What the stream adds to the events of a record: they are of one lane, with one seq after the other. */
export interface RecordStamp {
  readonly source: string;
  readonly epoch: number;
  readonly firstSeq: number;
  /** Of each event: of its tenant, in this lane and epoch. */
  readonly cumulativeItems: readonly number[];
}

/** Changes with the layout: an older reader must not misread a newer record. */
const FORMAT = 'tribo-2';
const VERIFY_STORED = 1;
const IMPORTED = 2;
/** Of an event besides its texts and payload, and of a record: more than msgpack takes. */
const EVENT_OVERHEAD_BYTES = 64;

type PackedEvent = readonly [
  eventId: string,
  kind: EventKind,
  key: number,
  items: number,
  acceptedAtMs: number,
  cumulativeItems: number,
  flags: number,
  payload: Uint8Array,
  traceparent: string | null,
];
type PackedRecord = readonly [
  format: string,
  source: string,
  epoch: number,
  firstSeq: number,
  keys: readonly MachineKey[],
  events: readonly PackedEvent[],
];

/** Buffers are copied: an event that is held must not keep the whole record. */
const packr = new Packr({ useRecords: false, copyBuffers: true });

/** At least what the event takes in a record. */
export function packedBytes({ eventId, key, payload, traceparent = '' }: MachineEvent): number {
  const texts = Buffer.byteLength(eventId) + Buffer.byteLength(key) + Buffer.byteLength(traceparent);
  return texts + payload.byteLength + EVENT_OVERHEAD_BYTES;
}

export function encodeRecord(events: readonly MachineEvent[], stamp: RecordStamp): Uint8Array {
  const keys = new Map<MachineKey, number>();
  const packed = events.map((event, index): PackedEvent => {
    const { eventId, kind, key, items, acceptedAtMs, payload, verifyStored, imported, traceparent = null } = event;
    if (!keys.has(key)) keys.set(key, keys.size);
    const flags = (verifyStored === true ? VERIFY_STORED : 0) | (imported === true ? IMPORTED : 0);
    const cumulativeItems = stamp.cumulativeItems[index]!;
    return [eventId, kind, keys.get(key)!, items, acceptedAtMs, cumulativeItems, flags, payload, traceparent];
  });
  const record: PackedRecord = [FORMAT, stamp.source, stamp.epoch, stamp.firstSeq, [...keys.keys()], packed];
  return packr.pack(record);
}

/** A record without events: its place in a shard is what it is for. */
export function encodeMarker(): Uint8Array {
  return encodeRecord([], { source: 'marker', epoch: 0, firstSeq: 0, cumulativeItems: [] });
}

/** @throws PortError data_loss where somebody else wrote the record. */
export function decodeRecord(data: Uint8Array, where: string): readonly StampedEvent[] {
  const [, source, epoch, firstSeq, keys, events] = unpack(data, where);
  const part = partOf(source, epoch);
  return events.map(
    ([eventId, kind, key, items, acceptedAtMs, cumulativeItems, flags, payload, traceparent], index) => ({
      ...{ eventId, kind, key: keys[key]!, items, acceptedAtMs, payload },
      ...((flags & VERIFY_STORED) !== 0 && { verifyStored: true }),
      ...((flags & IMPORTED) !== 0 && { imported: true }),
      ...(traceparent !== null && { traceparent }),
      ...{ source, epoch, seq: firstSeq + index, cumulativeItems, part },
    }),
  );
}

function unpack(data: Uint8Array, where: string): PackedRecord {
  let record: unknown;
  try {
    record = packr.unpack(data);
  } catch {
    record = undefined;
  }
  if (Array.isArray(record) && record[0] === FORMAT) return record as unknown as PackedRecord;
  throw new PortError(
    'data_loss',
    `${where} was not written by this version of Tribo, which needs its streams for itself: publish elsewhere, or update what reads here`,
  );
}
