import { partOf, type ItemTotals, type Stamp } from '#core/delivery/partitioned-log.ts';
import type { EventKind, MachineEvent, StampedEvent } from '#core/domain/event.ts';
import type { MachineKey, TenantId } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';

/** A record as it goes to a partition. */
export interface OutgoingRecord {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly headers: Map<Buffer, Buffer>;
}

/** A record as it comes from a partition. */
export interface IncomingRecord {
  /** A partition would have to take a million records a second for 285 years to have one that is no longer exact. */
  readonly offset: number;
  /** When it was published, milliseconds since 1970. */
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly (readonly [Buffer | null, Buffer | null])[];
}

/** The name changes with the layout: an older reader must not misread a newer record. */
const ENVELOPE = Buffer.from('tribo-1');
const TOTALS = Buffer.from('tribo-totals-1');

type Envelope = [
  eventId: string,
  kind: EventKind,
  items: number,
  acceptedAtMs: number,
  source: string,
  epoch: number,
  seq: number,
  cumulativeItems: number,
  flags: number,
  traceparent?: string,
];
const NOTHING = Buffer.alloc(0);
const VERIFY_STORED = 1;
const IMPORTED = 2;

/** The event as a record: payload as the value, machine as the key, the envelope in one header that other readers can parse, too. */
export function encodeRecord(event: MachineEvent, stamp: Stamp, key: Buffer, totals?: ItemTotals): OutgoingRecord {
  const flags = (event.verifyStored === true ? VERIFY_STORED : 0) | (event.imported === true ? IMPORTED : 0);
  const headers = new Map([[ENVELOPE, Buffer.from(envelopeText(event, stamp, flags))]]);
  if (totals) headers.set(TOTALS, Buffer.from(JSON.stringify(Object.fromEntries(totals))));
  const { payload } = event;
  return { key, value: Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength), headers };
}

/** An Envelope as JSON. By hand: for one array after the other that takes a third of what JSON.stringify does. */
function envelopeText(
  { eventId, kind, items, acceptedAtMs, traceparent }: MachineEvent,
  { source, epoch, seq, cumulativeItems }: Stamp,
  flags: number,
): string {
  const rest = traceparent === undefined ? '' : `,${JSON.stringify(traceparent)}`;
  return `[${JSON.stringify(eventId)},"${kind}",${items},${acceptedAtMs},${JSON.stringify(source)},${epoch},${seq},${cumulativeItems},${flags}${rest}]`;
}

/** @throws PortError data_loss where somebody else wrote the record. */
export function decodeRecord({ offset, key, value, headers }: IncomingRecord): StampedEvent {
  const [eventId, kind, items, acceptedAtMs, source, epoch, seq, cumulativeItems, flags, traceparent] = envelopeOf(
    headers,
    offset,
  );
  const event: StampedEvent = {
    eventId,
    kind,
    key: String(key) as MachineKey,
    items,
    acceptedAtMs,
    // A copy: a held event must not keep the whole answer of a fetch in memory, but a few kibibytes of it at most.
    payload: Buffer.from(value ?? NOTHING),
    source,
    epoch,
    seq,
    cumulativeItems,
    part: partOf(source),
  };
  if (flags === 0 && traceparent === undefined) return event;
  return {
    ...event,
    ...((flags & VERIFY_STORED) !== 0 && { verifyStored: true }),
    ...((flags & IMPORTED) !== 0 && { imported: true }),
    ...(traceparent !== undefined && { traceparent }),
  };
}

/** What the first record of a batch says of its partition: each tenant's items up to and including the batch. */
export function totalsOf(record: IncomingRecord): Map<TenantId, number> | undefined {
  const text = headerOf(record.headers, TOTALS);
  return (
    text && new Map(Object.entries(JSON.parse(text.toString()) as Record<TenantId, number>) as [TenantId, number][])
  );
}

function envelopeOf(headers: IncomingRecord['headers'], offset: number): Envelope {
  const text = headerOf(headers, ENVELOPE);
  if (!text)
    throw new PortError(
      'data_loss',
      `the record at offset ${offset} was not written by Tribo, which needs its topics for itself: publish elsewhere, or give another prefix`,
    );
  return JSON.parse(text.toString()) as Envelope;
}

function headerOf(headers: IncomingRecord['headers'], name: Buffer): Buffer | undefined {
  return headers.find(([key]) => key !== null && name.equals(key))?.[1] ?? undefined;
}
