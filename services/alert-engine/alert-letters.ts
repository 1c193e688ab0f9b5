import type { Counter } from 'prom-client';
import { deadLettersInStore, type DeadLetterReason } from '#core/derivation/dead-letters.ts';
import type { MachineEvent, StampedEvent, StreamName } from '#core/domain/event.ts';
import type { TimeSeriesStore } from '#core/ports/time-series-store.ts';
import type { Logger } from '#services/shared/observability/logger.ts';

export interface AlertLettersDependencies {
  readonly store: Pick<TimeSeriesStore, 'settle'>;
  readonly logger: Logger;
  readonly dropped: Counter<'reason'>;
}

interface Letter {
  readonly event: StampedEvent;
  readonly reason: DeadLetterReason;
}

/** Publisher of what the engine made itself: no process has that name. */
const OWN_SOURCE = 'alert-engine/outputs';
/** Of one stream. More wait only while a start reads the log again and the store is away. */
const MAX_WAITING = 10_000;

/**
 * Dead letters of the alert engine on their way to the time-series store: events that it cannot judge, by the stream that they came on, and
 * under `alarms` what it made and neither journal nor stream will ever take.
 */
export class AlertLetters {
  readonly #dependencies: AlertLettersDependencies;
  readonly #waiting = new Map<StreamName, Letter[]>();
  readonly #epoch: number;
  #ownSeq = 0;

  /** `epoch`: higher than that of an engine before. */
  constructor(epoch: number, dependencies: AlertLettersDependencies) {
    this.#epoch = epoch;
    this.#dependencies = dependencies;
  }

  get isEmpty(): boolean {
    return [...this.#waiting.values()].every((letters) => letters.length === 0);
  }

  add(stream: StreamName, event: StampedEvent, reason: DeadLetterReason): void {
    const { logger, dropped } = this.#dependencies;
    const about = { stream, machine: event.key, eventId: event.eventId, kind: event.kind, ...reason };
    logger.error(about, 'this cannot become an alarm, and is a dead letter');
    dropped.inc({ reason: reason.code });
    const letters = this.#waiting.get(stream);
    if (!letters) this.#waiting.set(stream, [{ event, reason }]);
    else if (letters.length < MAX_WAITING) letters.push({ event, reason });
    else dropped.inc({ reason: 'no-room-for-dead-letter' });
  }

  /** What the engine made itself. */
  addOwn(event: MachineEvent, reason: DeadLetterReason): void {
    const stamp = { source: OWN_SOURCE, epoch: this.#epoch, seq: ++this.#ownSeq, cumulativeItems: 0 };
    this.add('alarms', { ...event, ...stamp }, reason);
  }

  static isOwn({ source }: StampedEvent): boolean {
    return source === OWN_SOURCE;
  }

  /** Resolves once those of these streams are durable. @throws PortError of the store: then what is left waits for the next call. */
  async bury(streams: Iterable<StreamName> = this.#waiting.keys()): Promise<void> {
    for (const stream of streams) {
      const letters = this.#waiting.get(stream) ?? [];
      // A group for each: the store takes events that came on one stream for settled up to the newest of them.
      const sink = deadLettersInStore(this.#dependencies.store, { writesTo: 'alarms', group: `alerts.${stream}` });
      for (let [letter] = letters; letter; [letter] = letters) {
        await sink(letter.event, letter.reason);
        if (letters[0] === letter) letters.shift();
      }
    }
  }
}
