import type { ItemTotals, Place, PublishedRecord } from '#core/delivery/partitioned-log.ts';
import type { StampedEvent } from '#core/domain/event.ts';
import type { MachineKey, TenantId } from '#core/domain/ids.ts';
import { decodeEvent, encodeEvents } from '../../enveloped-events.ts';

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

const TOTALS = Buffer.from('tribo-totals-1');

/** The events of a batch as records: the machine is the key. The first one says what the partition has with the batch. */
export function encodeRecords(
  records: readonly PublishedRecord<Place & { readonly key: Buffer }>[],
  totals: ItemTotals,
): OutgoingRecord[] {
  const headers = new Map([[TOTALS, Buffer.from(JSON.stringify(Object.fromEntries(totals)))]]);
  return encodeEvents(records, { withKey: false }).map((value, index) => {
    const { key } = records[index]!.place;
    return index === 0 ? { key, value, headers } : { key, value };
  });
}

/** @throws PortError data_loss where somebody else wrote the record. */
export function decodeRecord({ offset, key, value }: IncomingRecord): StampedEvent {
  return decodeEvent(value, String(key) as MachineKey, () => `the record at offset ${offset}`);
}

/** What the first record of a batch says of its partition: each tenant's items up to and including the batch. */
export function totalsOf(record: IncomingRecord): Map<TenantId, number> | undefined {
  const text = headerOf(record.headers, TOTALS);
  return (
    text && new Map(Object.entries(JSON.parse(text.toString()) as Record<TenantId, number>) as [TenantId, number][])
  );
}

function headerOf(headers: IncomingRecord['headers'], name: Buffer): Buffer | undefined {
  return headers.find(([key]) => key !== null && name.equals(key))?.[1] ?? undefined;
}
