import type { StampedEvent, StreamName } from '../domain/event.ts';

/** The newest event of one publisher that a machine's state has taken in. */
export type ProgressMark = readonly [stream: StreamName, source: string, epoch: number, seq: number];

/** Each restart of a publisher opens an epoch; what is older than this many comes no more. */
const MAX_MARKS = 24;

/**
 * Which events a machine's state has taken in, so that one that is delivered again changes nothing. Kept a machine, because order is
 * promised a machine: the marks are saved with the state that they speak of.
 */
export class ProgressMarks {
  readonly #marks: { stream: StreamName; source: string; epoch: number; seq: number }[] = [];

  /** Notes the event. False when it was taken in before. */
  advance(stream: StreamName, { source, epoch, seq }: StampedEvent): boolean {
    for (const mark of this.#marks) {
      if (mark.epoch !== epoch || mark.stream !== stream || mark.source !== source) continue;
      if (seq <= mark.seq) return false;
      mark.seq = seq;
      return true;
    }
    this.#marks.push({ stream, source, epoch, seq });
    if (this.#marks.length > MAX_MARKS) this.#marks.shift();
    return true;
  }

  /** Whether the event, of whichever stream, was taken in. */
  covers({ source, epoch, seq }: StampedEvent): boolean {
    return this.#marks.some((mark) => mark.epoch === epoch && mark.source === source && seq <= mark.seq);
  }

  state(): readonly ProgressMark[] {
    return this.#marks.map(({ stream, source, epoch, seq }) => [stream, source, epoch, seq]);
  }

  restore(state: readonly ProgressMark[]): void {
    this.#marks.splice(0, Infinity, ...state.map(([stream, source, epoch, seq]) => ({ stream, source, epoch, seq })));
  }
}
