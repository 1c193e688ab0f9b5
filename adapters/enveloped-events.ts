import { partOf } from '#core/delivery/accounts/stream-accounts.ts';
import { partitionOf, type Place, type PublishedRecord, type Stamp } from '#core/delivery/partitioned-log.ts';
import type { EventKind, MachineEvent, StampedEvent } from '#core/domain/event.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';

/**
 * The name changes with the layout, that no reader takes one for another. What is counted differs within it, by `COUNTED_BY_SOURCE`, of which readers of
 * an earlier version know nothing: they are stopped before publishers of this one start (docs/deployment.md).
 */
const LAYOUT = 'tribo-2';
const BEGINNING = Buffer.from(`["${LAYOUT}",`);
const LINE_FEED = 10;
const VERIFY_STORED = 1;
const IMPORTED = 2;
/** Its items are counted of its source in its epoch. Of an event without it they are of its partition, by whoever published to that. */
const COUNTED_BY_SOURCE = 4;

type Envelope = [
  layout: typeof LAYOUT,
  eventId: string,
  kind: EventKind,
  items: number,
  acceptedAtMs: number,
  source: string,
  epoch: number,
  seq: number,
  cumulativeItems: number,
  flags: number,
  traceparent?: string | null,
  /** Where the log does not keep it beside the value. */
  key?: MachineKey,
];

/**
 * The events as values of a log: each a line of JSON with the envelope, and then the payload, for a client that takes long to encode each
 * header or property.
 */
export function encodeEvents(
  records: readonly PublishedRecord<Place>[],
  { withKey }: { readonly withKey: boolean },
): Buffer[] {
  const lines = records.map(({ event, stamp }) => lineOf(event, stamp, withKey));
  const bytes = records.reduce((sum, { event }, i) => sum + Buffer.byteLength(lines[i]!) + event.payload.byteLength, 0);
  const all = Buffer.allocUnsafe(bytes);
  let end = 0;
  return records.map(({ event: { payload } }, index) => {
    const begin = end;
    end += all.write(lines[index]!, end);
    all.set(payload, end);
    end += payload.byteLength;
    return all.subarray(begin, end);
  });
}

/** An {@link Envelope} as a line of JSON. By hand: for one array after the other that takes a third of what JSON.stringify does. */
function lineOf(
  { eventId, kind, key, items, acceptedAtMs, traceparent, verifyStored, imported }: MachineEvent,
  { source, epoch, seq, cumulativeItems }: Stamp,
  withKey: boolean,
): string {
  const flags = COUNTED_BY_SOURCE | (verifyStored === true ? VERIFY_STORED : 0) | (imported === true ? IMPORTED : 0);
  const trace = traceparent !== undefined || withKey ? `,${JSON.stringify(traceparent ?? null)}` : '';
  const machine = withKey ? `,${JSON.stringify(key)}` : '';
  return `["${LAYOUT}",${JSON.stringify(eventId)},"${kind}",${items},${acceptedAtMs},${JSON.stringify(source)},${epoch},${seq},${cumulativeItems},${flags}${trace}${machine}]\n`;
}

/**
 * The event of a value, and its key where the value does not have it. @throws PortError data_loss where somebody else wrote the value;
 * `what` says which it is.
 */
export function decodeEvent(value: Uint8Array | null, key: MachineKey | undefined, what: () => string): StampedEvent {
  const bytes = value && asBuffer(value);
  const lineEnd = bytes && isOurs(bytes) ? bytes.indexOf(LINE_FEED) : -1;
  if (!bytes || lineEnd < 0)
    throw new PortError(
      'data_loss',
      `${what()} was not written by this version of Tribo, which needs its streams for itself: it is passed over; publish elsewhere, or update what reads here`,
    );
  const envelope = JSON.parse(bytes.toString('utf8', 0, lineEnd)) as Envelope;
  const [, eventId, kind, items, acceptedAtMs, source, epoch, seq, cumulativeItems, flags, traceparent, own] = envelope;
  const event: StampedEvent = {
    eventId,
    kind,
    key: key ?? own!,
    items,
    acceptedAtMs,
    // A copy: an event must not keep all that came with it in memory. Of Node's pool it may keep 8 KiB, until it is held (DeliveryWindow).
    payload: Buffer.from(bytes.subarray(lineEnd + 1)),
    source,
    epoch,
    seq,
    cumulativeItems,
    part: (flags & COUNTED_BY_SOURCE) === 0 ? partitionOf(source) : partOf(source, epoch),
  };
  if ((flags & ~COUNTED_BY_SOURCE) === 0 && typeof traceparent !== 'string') return event;
  return {
    ...event,
    ...((flags & VERIFY_STORED) !== 0 && { verifyStored: true }),
    ...((flags & IMPORTED) !== 0 && { imported: true }),
    ...(typeof traceparent === 'string' && { traceparent }),
  };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function isOurs(value: Buffer): boolean {
  return value.length > BEGINNING.length && value.compare(BEGINNING, 0, BEGINNING.length, 0, BEGINNING.length) === 0;
}
