import { partOf } from '#core/delivery/accounts/stream-accounts.ts';
import type { EventKind, MachineEvent, StampedEvent } from '#core/domain/event.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import type { OutgoingMessage } from './client.ts';

/** What the publisher adds to an event. */
export type Stamp = Pick<StampedEvent, 'source' | 'epoch' | 'seq' | 'cumulativeItems'>;

/** The payload is the message's data, the rest its attributes. */
export function encode(event: MachineEvent, stamp: Stamp): OutgoingMessage {
  const { eventId, kind, key, items, acceptedAtMs, payload, verifyStored, imported, traceparent } = event;
  return {
    data: payload,
    attributes: {
      ...{ eventId, kind, key, items: String(items), acceptedAtMs: String(acceptedAtMs) },
      ...{ source: stamp.source, epoch: String(stamp.epoch), seq: String(stamp.seq) },
      cumulativeItems: String(stamp.cumulativeItems),
      ...(verifyStored && { verifyStored: 'true' }),
      ...(imported && { imported: 'true' }),
      ...(traceparent !== undefined && { traceparent }),
    },
  };
}

/** @throws TypeError for a message that is none of this stream's. */
export function decode({ data, attributes }: OutgoingMessage): StampedEvent {
  const { eventId, kind, key, source, traceparent } = attributes;
  if (eventId === undefined || kind === undefined || key === undefined || source === undefined)
    throw new TypeError('a message without eventId, kind, key and source is none of a stream of Tribo');
  const epoch = numberOf(attributes, 'epoch');
  return {
    ...{ eventId, kind: kind as EventKind, key: key as MachineKey, source, epoch, payload: data },
    items: numberOf(attributes, 'items'),
    acceptedAtMs: numberOf(attributes, 'acceptedAtMs'),
    seq: numberOf(attributes, 'seq'),
    cumulativeItems: numberOf(attributes, 'cumulativeItems'),
    part: partOf(source, epoch),
    ...(attributes['verifyStored'] === 'true' && { verifyStored: true }),
    ...(attributes['imported'] === 'true' && { imported: true }),
    ...(traceparent !== undefined && { traceparent }),
  };
}

function numberOf(attributes: OutgoingMessage['attributes'], name: string): number {
  const value = Number(attributes[name] ?? Number.NaN);
  if (!Number.isSafeInteger(value))
    throw new TypeError(`a message's ${name} must be an integer, got ${attributes[name]}`);
  return value;
}
