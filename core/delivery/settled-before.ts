import type { StampedEvent } from '../domain/event.ts';
import type { Progress } from '../ports/event-stream.ts';

/** What a caller has settled by its own account: need not be delivered. */
export class SettledBefore {
  readonly #progress: readonly Progress[];
  #last: Progress | undefined;

  constructor(progress: readonly Progress[] = []) {
    this.#progress = progress;
  }

  covers({ source, epoch, seq }: StampedEvent): boolean {
    if (this.#progress.length === 0) return false;
    if (this.#last?.epoch !== epoch || this.#last.source !== source)
      this.#last = this.#progress.find((each) => each.epoch === epoch && each.source === source) ?? {
        source,
        epoch,
        seq: 0,
      };
    return seq <= this.#last.seq;
  }
}
