import type { MachineEvent, StampedEvent, StreamName } from '../domain/event.ts';
import type { SettledItems } from '../domain/ledger.ts';
import type { CallOptions } from '../errors.ts';
import type { Featurised } from '../features/featurise.ts';
import type { EventStream } from '../ports/event-stream.ts';
import type { DeadLetter, TimeSeriesStore } from '../ports/time-series-store.ts';
import { settlementOutcome } from '../settlement/outcomes.ts';
import { publishAll } from './publish-all.ts';

/** The part of the platform that could not process an event. */
export type DeadLetterStage = 'store' | 'features' | 'inference' | 'alerting';

export interface ReplayDependencies {
  readonly store: Pick<TimeSeriesStore, 'settleDeadLetter'>;
  readonly stream: Pick<EventStream, 'publish'>;
  readonly featurise: (event: StampedEvent, options: CallOptions) => Promise<Featurised>;
  /** Resolves once what comes of it is durable. Whatever was judged, recorded or over meanwhile raises no alarm. */
  readonly judgeAgain: (event: StampedEvent) => Promise<ReplayOutcome>;
}

/**
 * What became of a replayed dead letter: its items moved, or what the stage would have made of it is on the stream again. A letter that is
 * dead as before is left as it is, unless the store wrote it anew.
 */
export type ReplayOutcome =
  | { readonly outcome: Exclude<keyof SettledItems, 'deadLettered'> }
  | { readonly outcome: 'published'; readonly stream: StreamName }
  /** `detail` where no alarm can come of it any more. */
  | { readonly outcome: 'judged'; readonly detail?: string }
  | { readonly outcome: 'deadLettered'; readonly detail: string };

/** Which stage it was: a stage lists what it cannot process under the stream it writes to, and the store under the stream it reads. */
export function stageOf({ stream, event }: Pick<DeadLetter, 'stream' | 'event'>): DeadLetterStage {
  if (stream === 'features' && event.kind === 'waveform') return 'features';
  if (stream === 'inference-results' && event.kind === 'features') return 'inference';
  if (stream === 'alarms') return 'alerting';
  return 'store';
}

/**
 * Processes a dead letter again, keeping its eventId. The store's items move in one transaction. A derived stage's letter counts no items: what
 * comes of it is published before the letter goes, under ids that repeat, so that a crash in between costs a copy that every sink recognises.
 *
 * @throws PortError not_found (somebody else replayed it meanwhile), and those of the ports: then the letter is still there.
 */
export async function replayDeadLetter(
  letter: DeadLetter,
  dependencies: ReplayDependencies,
  options: CallOptions = {},
): Promise<ReplayOutcome> {
  switch (stageOf(letter)) {
    case 'store':
      return settleAgain(letter, dependencies, options);
    case 'features':
      return featuriseAgain(letter, dependencies, options);
    case 'inference':
      // The stage keeps a state of each machine that no other process may touch: it must see the event by itself.
      return publishInstead(letter, 'features', unstamped(letter.event), dependencies, options);
    case 'alerting':
      return judge(letter, dependencies, options);
  }
}

async function settleAgain(
  { id, event }: DeadLetter,
  { store }: ReplayDependencies,
  options: CallOptions,
): Promise<ReplayOutcome> {
  const outcome = settlementOutcome(event);
  if (outcome.type === 'deadLettered') return { outcome: 'deadLettered', detail: outcome.detail };
  const became = await store.settleDeadLetter(id, outcome, options);
  if (became !== 'deadLettered') return { outcome: became };
  return { outcome: 'deadLettered', detail: 'the store has no room for it; it is listed anew, with the reason' };
}

async function featuriseAgain(
  letter: DeadLetter,
  dependencies: ReplayDependencies,
  options: CallOptions,
): Promise<ReplayOutcome> {
  // The letter counts no items, the waveform that it stands for is one.
  const result = await dependencies.featurise({ ...letter.event, items: 1 }, options);
  if (!result.ok) return { outcome: 'deadLettered', detail: result.detail };
  return publishInstead(letter, 'features', result.event, dependencies, options);
}

async function judge(
  { id, event }: DeadLetter,
  { store, judgeAgain }: ReplayDependencies,
  options: CallOptions,
): Promise<ReplayOutcome> {
  const result = await judgeAgain(event);
  if (result.outcome !== 'deadLettered') await store.settleDeadLetter(id, { type: 'duplicate', event }, options);
  return result;
}

async function publishInstead(
  { id, event }: DeadLetter,
  name: StreamName,
  derived: MachineEvent,
  { store, stream }: ReplayDependencies,
  options: CallOptions,
): Promise<ReplayOutcome> {
  await publishAll(stream, name, [derived], options);
  await store.settleDeadLetter(id, { type: 'duplicate', event }, options);
  return { outcome: 'published', stream: name };
}

/** Without the stamp of the publication before: the stream gives it another. */
function unstamped({ source: _source, epoch: _epoch, seq: _seq, cumulativeItems: _items, ...event }: StampedEvent) {
  return event;
}
