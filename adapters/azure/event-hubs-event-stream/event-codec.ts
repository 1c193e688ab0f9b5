import type { ItemTotals, Place, PublishedRecord } from '#core/delivery/partitioned-log.ts';
import type { MachineEvent, StampedEvent } from '#core/domain/event.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { decodeEvent as decodeValue, encodeEvents as encodeValues } from '../../enveloped-events.ts';
import type { IncomingEvent, OutgoingEvent } from './client.ts';

const TOTALS = 'tribo-totals-1';
/** Of an event besides its texts and payload: more than AMQP and JSON take. */
const ENVELOPE_BYTES = 400;

/** At least what the event takes in a batch. */
export function encodedBytes({ eventId, key, payload }: MachineEvent): number {
  return payload.byteLength + Buffer.byteLength(JSON.stringify(eventId)) + Buffer.byteLength(key) + ENVELOPE_BYTES;
}

/** The events as those of the hub, without what the last one of a batch says. */
export function encodeEvents(records: readonly PublishedRecord<Place>[]): OutgoingEvent[] {
  return encodeValues(records, { withKey: true }).map((body) => ({ body }));
}

/** The last event of a batch, which says each tenant's items on its partition. */
export function withTotals(event: OutgoingEvent, totals: ItemTotals): OutgoingEvent {
  return { ...event, properties: { [TOTALS]: JSON.stringify(Object.fromEntries(totals)) } };
}

/** @throws PortError data_loss where somebody else sent the event. */
export function decodeEvent({ sequenceNumber, body }: IncomingEvent, where: string): StampedEvent {
  const value = body instanceof Uint8Array ? body : null;
  return decodeValue(value, undefined, () => `event ${sequenceNumber} of ${where}`);
}

/** What the last event of a batch says of its partition: each tenant's items up to and including it. */
export function totalsOf({ properties }: IncomingEvent): Map<TenantId, number> {
  const text = properties[TOTALS];
  if (typeof text !== 'string') return new Map();
  return new Map(Object.entries(JSON.parse(text) as Record<TenantId, number>) as [TenantId, number][]);
}
