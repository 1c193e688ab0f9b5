import type { Place, PublishedRecord } from '#core/delivery/partitioned-log.ts';
import type { MachineEvent, StampedEvent } from '#core/domain/event.ts';
import { decodeEvent as decodeValue, encodeEvents as encodeValues } from '../../enveloped-events.ts';
import type { IncomingEvent, OutgoingEvent } from './client.ts';

/** Of an event besides its texts and payload: a little more than AMQP and JSON take, with a publisher's name of 50 characters. */
const ENVELOPE_BYTES = 200;

/** About what the event takes in a batch. What does not fit after all goes with the next one; too high an estimate sends batches that are not full. */
export function encodedBytes({ eventId, key, traceparent = '', payload }: MachineEvent): number {
  return payload.byteLength + Buffer.byteLength(eventId) + Buffer.byteLength(key) + traceparent.length + ENVELOPE_BYTES;
}

/** The events as those of the hub. */
export function encodeEvents(records: readonly PublishedRecord<Place>[]): OutgoingEvent[] {
  return encodeValues(records, { withKey: true }).map((body) => ({ body }));
}

/** @throws PortError data_loss where somebody else sent the event. */
export function decodeEvent({ sequenceNumber, body }: IncomingEvent, where: string): StampedEvent {
  const value = body instanceof Uint8Array ? body : null;
  return decodeValue(value, undefined, () => `event ${sequenceNumber} of ${where}`);
}
