import type { StampedEvent } from '../domain/event.ts';
import type { EventOutcome } from '../ports/time-series-store.ts';
import { EVENT_KINDS } from './batch-writer.ts';
import type { Dictionary } from './dictionary.ts';

/** What a store is to look for among what it settled before. */
export interface AskedEvent {
  /** Of the outcome in its batch. */
  readonly place: number;
  readonly machineId: number;
  readonly kind: number;
  readonly ts: number;
  readonly eventId: string;
}

/**
 * Indexes of the outcomes whose event is marked `verifyStored` and was settled before: under its machine, kind, eventId and time among the
 * stored events, or under its machine and eventId among rejections and dead letters, or earlier in the same batch. `findStored` gives the
 * places of those that the store has; it is not called without any.
 */
export async function findDuplicates(
  outcomes: readonly EventOutcome[],
  dictionary: Dictionary,
  findStored: (asked: readonly AskedEvent[]) => Promise<readonly number[]>,
): Promise<ReadonlySet<number>> {
  const marked = outcomes.flatMap((outcome, index) =>
    outcome.event.verifyStored && outcome.type !== 'duplicate' ? [index] : [],
  );
  if (marked.length === 0) return new Set();
  const duplicates = repeatedWithin(outcomes, new Set(marked));
  const asked = marked.flatMap((place): AskedEvent[] => {
    const outcome = outcomes[place]!;
    const machine = dictionary.find(outcome.event.key);
    if (!machine) return [];
    const { event } = outcome;
    return [{ place, machineId: machine.id, kind: kindOf(event), ts: timeOf(outcome), eventId: event.eventId }];
  });
  if (asked.length > 0) for (const place of await findStored(asked)) duplicates.add(place);
  return duplicates;
}

function repeatedWithin(outcomes: readonly EventOutcome[], marked: ReadonlySet<number>): Set<number> {
  const seen = new Set<string>();
  const repeated = new Set<number>();
  outcomes.forEach(({ type, event }, index) => {
    if (type === 'duplicate') return;
    const name = `${event.kind}/${event.key}/${event.eventId}`;
    if (marked.has(index) && seen.has(name)) repeated.add(index);
    seen.add(name);
  });
  return repeated;
}

function kindOf(event: StampedEvent): number {
  return event.kind === 'waveform' ? EVENT_KINDS.waveform : EVENT_KINDS.telemetry;
}

/** The time that a stored event would have: a resent message has the time it had before. */
function timeOf(outcome: EventOutcome): number {
  switch (outcome.type) {
    case 'readings':
      return outcome.ts;
    case 'waveform':
      return outcome.waveform.ts;
    default:
      return outcome.event.acceptedAtMs;
  }
}
