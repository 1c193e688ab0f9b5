import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import type { MachineEvent, StampedEvent } from '../domain/event.ts';
import type { MachineKey } from '../domain/ids.ts';
import type { DerivedDocument } from '../ports/time-series-store.ts';

/**
 * The id of a derived document (ledger.md): the same work repeated, after a crash or a redelivery, has the same id, so that sinks keep one.
 * `parts` say what it was derived of, for instance sensor and waveform. 128 bits of SHA-256, hexadecimal.
 */
export function derivedId(stage: string, version: string, machine: MachineKey, parts: readonly string[]): string {
  const identity = JSON.stringify([stage, version, machine, ...parts]);
  return createHash('sha256').update(identity).digest('hex').slice(0, 32);
}

/** The event that carries a document derived from another event: of no ledger items, in the origin's trace, and imported where that was. */
export function derivedEvent(origin: DerivedFrom, kind: DerivedEventKind, document: DerivedDocument): MachineEvent {
  const { key, acceptedAtMs, imported, traceparent } = origin;
  return {
    eventId: document.id,
    kind,
    key,
    items: 0,
    acceptedAtMs,
    payload: Buffer.from(JSON.stringify(document)),
    ...(imported !== undefined && { imported }),
    ...(traceparent !== undefined && { traceparent }),
  };
}

/** What a derived event takes from the one it comes of. */
export type DerivedFrom = Pick<StampedEvent, 'key' | 'acceptedAtMs' | 'imported' | 'traceparent'>;

export type DerivedEventKind = 'features' | 'prediction';
