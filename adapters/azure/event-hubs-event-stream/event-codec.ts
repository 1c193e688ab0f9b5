import { partOf, type ItemTotals, type Stamp } from '#core/delivery/partitioned-log.ts';
import type { EventKind, MachineEvent, StampedEvent } from '#core/domain/event.ts';
import type { MachineKey, TenantId } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';
import type { IncomingEvent, OutgoingEvent } from './client.ts';

/** The names change with the layout: an older reader must not misread a newer event. */
const ENVELOPE = 'tribo-1';
const TOTALS = 'tribo-totals-1';
const VERIFY_STORED = 1;
const IMPORTED = 2;
/** Of an event besides its texts and payload: more than AMQP and JSON take. */
const ENVELOPE_BYTES = 400;

type Envelope = [
  eventId: string,
  kind: EventKind,
  key: MachineKey,
  items: number,
  acceptedAtMs: number,
  source: string,
  epoch: number,
  seq: number,
  cumulativeItems: number,
  flags: number,
  traceparent?: string,
];

/** At least what the event takes in a batch. */
export function encodedBytes({ eventId, key, payload }: MachineEvent): number {
  return payload.byteLength + Buffer.byteLength(JSON.stringify(eventId)) + Buffer.byteLength(key) + ENVELOPE_BYTES;
}

/** The event as one of the hub: payload as the body, the envelope in one property that other readers can parse, too. */
export function encodeEvent(event: MachineEvent, stamp: Stamp, totals?: ItemTotals): OutgoingEvent {
  const flags = (event.verifyStored === true ? VERIFY_STORED : 0) | (event.imported === true ? IMPORTED : 0);
  const envelope: Envelope = [
    ...([event.eventId, event.kind, event.key, event.items, event.acceptedAtMs] as const),
    ...([stamp.source, stamp.epoch, stamp.seq, stamp.cumulativeItems, flags] as const),
  ];
  if (event.traceparent !== undefined) envelope.push(event.traceparent);
  const properties = {
    [ENVELOPE]: JSON.stringify(envelope),
    ...(totals && { [TOTALS]: JSON.stringify(Object.fromEntries(totals)) }),
  };
  return { body: event.payload, properties };
}

/** @throws PortError data_loss where somebody else sent the event. */
export function decodeEvent({ sequenceNumber, body, properties }: IncomingEvent, where: string): StampedEvent {
  const text = properties[ENVELOPE];
  if (typeof text !== 'string' || !(body instanceof Uint8Array))
    throw new PortError(
      'data_loss',
      `event ${sequenceNumber} of ${where} was not sent by Tribo, which needs its event hubs for itself: it is passed over; send it elsewhere`,
    );
  const [eventId, kind, key, items, acceptedAtMs, source, epoch, seq, cumulativeItems, flags, traceparent] = JSON.parse(
    text,
  ) as Envelope;
  return {
    ...{ eventId, kind, key, items, acceptedAtMs },
    // A copy: a held event must not keep the whole frame in memory.
    payload: Uint8Array.from(body),
    ...((flags & VERIFY_STORED) !== 0 && { verifyStored: true }),
    ...((flags & IMPORTED) !== 0 && { imported: true }),
    ...(traceparent !== undefined && { traceparent }),
    ...{ source, epoch, seq, cumulativeItems, part: partOf(source) },
  };
}

/** What the last event of a batch says of its partition: each tenant's items up to and including it. */
export function totalsOf({ properties }: IncomingEvent): Map<TenantId, number> {
  const text = properties[TOTALS];
  if (typeof text !== 'string') return new Map();
  return new Map(Object.entries(JSON.parse(text) as Record<TenantId, number>) as [TenantId, number][]);
}
