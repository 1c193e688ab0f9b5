import {
  partOf,
  type ItemTotals,
  type Place,
  type PublishedRecord,
  type Stamp,
} from '#core/delivery/partitioned-log.ts';
import type { EventKind, MachineEvent, StampedEvent } from '#core/domain/event.ts';
import type { MachineKey, TenantId } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';

/** A record as it goes to a partition. */
export interface OutgoingRecord {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly headers?: Map<Buffer, Buffer>;
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
const LAYOUT = 'tribo-2';
const BEGINNING = Buffer.from(`["${LAYOUT}",`);
const TOTALS = Buffer.from('tribo-totals-1');
const LINE_FEED = 10;

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
  traceparent?: string,
];
const VERIFY_STORED = 1;
const IMPORTED = 2;

/**
 * The events of a batch as records: the machine as the key, as the value a line with the envelope and then the payload. A header of its
 * own would cost the client twice what the line does. The first record says what the partition has with the batch.
 */
export function encodeRecords(
  records: readonly PublishedRecord<Place & { readonly key: Buffer }>[],
  totals: ItemTotals,
): OutgoingRecord[] {
  const lines = records.map(({ event, stamp }) => lineOf(event, stamp));
  const bytes = records.reduce((sum, { event }, i) => sum + Buffer.byteLength(lines[i]!) + event.payload.byteLength, 0);
  const all = Buffer.allocUnsafe(bytes);
  let end = 0;
  const headers = new Map([[TOTALS, Buffer.from(JSON.stringify(Object.fromEntries(totals)))]]);
  return records.map(({ event: { payload }, place: { key } }, index) => {
    const begin = end;
    end += all.write(lines[index]!, end);
    all.set(payload, end);
    end += payload.byteLength;
    const value = all.subarray(begin, end);
    return index === 0 ? { key, value, headers } : { key, value };
  });
}

/** An Envelope as a line of JSON. By hand: for one array after the other that takes a third of what JSON.stringify does. */
function lineOf(
  { eventId, kind, items, acceptedAtMs, traceparent, verifyStored, imported }: MachineEvent,
  { source, epoch, seq, cumulativeItems }: Stamp,
): string {
  const flags = (verifyStored === true ? VERIFY_STORED : 0) | (imported === true ? IMPORTED : 0);
  const rest = traceparent === undefined ? '' : `,${JSON.stringify(traceparent)}`;
  return `["${LAYOUT}",${JSON.stringify(eventId)},"${kind}",${items},${acceptedAtMs},${JSON.stringify(source)},${epoch},${seq},${cumulativeItems},${flags}${rest}]\n`;
}

/** @throws PortError data_loss where somebody else wrote the record. */
export function decodeRecord({ offset, key, value }: IncomingRecord): StampedEvent {
  const lineEnd = value && isOurs(value) ? value.indexOf(LINE_FEED) : -1;
  if (!value || lineEnd < 0)
    throw new PortError(
      'data_loss',
      `the record at offset ${offset} was not written by this version of Tribo, which needs its topics for itself: publish elsewhere, give another prefix, or update what reads here`,
    );
  const line = JSON.parse(value.toString('utf8', 0, lineEnd)) as Envelope;
  const [, eventId, kind, items, acceptedAtMs, source, epoch, seq, cumulativeItems, flags, traceparent] = line;
  const event: StampedEvent = {
    eventId,
    kind,
    key: String(key) as MachineKey,
    items,
    acceptedAtMs,
    // A copy: a held event must not keep the whole answer of a fetch in memory, but a few kibibytes of it at most.
    payload: Buffer.from(value.subarray(lineEnd + 1)),
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

function isOurs(value: Buffer): boolean {
  return value.length > BEGINNING.length && value.compare(BEGINNING, 0, BEGINNING.length, 0, BEGINNING.length) === 0;
}

function headerOf(headers: IncomingRecord['headers'], name: Buffer): Buffer | undefined {
  return headers.find(([key]) => key !== null && name.equals(key))?.[1] ?? undefined;
}
