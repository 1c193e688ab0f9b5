import type { Place, PublishedRecord } from '#core/delivery/partitioned-log.ts';
import type { StampedEvent } from '#core/domain/event.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { decodeEvent, encodeEvents } from '../../enveloped-events.ts';

/** A record as it goes to a partition. */
export interface OutgoingRecord {
  readonly key: Buffer;
  readonly value: Buffer;
}

/** A record as it comes from a partition. */
export interface IncomingRecord {
  /** A partition would have to take a million records a second for 285 years to have one that is no longer exact. */
  readonly offset: number;
  /** When it was published, milliseconds since 1970. */
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

/** The events of a batch as records: the machine is the key. */
export function encodeRecords(records: readonly PublishedRecord<Place & { readonly key: Buffer }>[]): OutgoingRecord[] {
  return encodeEvents(records, { withKey: false }).map((value, index) => ({ key: records[index]!.place.key, value }));
}

/** @throws PortError data_loss where somebody else wrote the record. */
export function decodeRecord({ offset, key, value }: IncomingRecord): StampedEvent {
  return decodeEvent(value, String(key) as MachineKey, () => `the record at offset ${offset}`);
}
