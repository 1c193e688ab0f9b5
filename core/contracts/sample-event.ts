import type { MachineEvent, StampedEvent } from '../domain/event.ts';
import type { MachineKey } from '../domain/ids.ts';

/** An event that is of no account to a test but for what it says of it. */
export function sampleEvent(eventId: string, given: Partial<MachineEvent> = {}): MachineEvent {
  return {
    eventId,
    kind: 'telemetry',
    key: 'north/akron/m1' as MachineKey,
    items: 1,
    acceptedAtMs: 1,
    payload: new Uint8Array(10),
    ...given,
  };
}

/** The same as a consumer sees it: one publisher's event of that number, after others with as many items each. */
export function stampedEvent(seq: number, given: Partial<StampedEvent> = {}): StampedEvent {
  const cumulativeItems = seq * (given.items ?? 1);
  return { ...sampleEvent(`e-${seq}`), source: 'edge-1', epoch: 1, seq, cumulativeItems, ...given };
}
