import type { Progress } from '../ports/event-stream.ts';

/** What a caller has settled by its own account: need not be delivered. Epochs of years, of which a store forgets none, cost an event nothing. */
export class SettledBefore {
  /** The highest `seq` of each epoch. */
  readonly #settled: ReadonlyMap<string, number>;
  #last: Progress | undefined;

  constructor(progress: readonly Progress[] = []) {
    this.#settled = new Map(progress.map((each) => [keyOf(each), each.seq]));
  }

  covers({ source, epoch, seq }: Progress): boolean {
    if (this.#settled.size === 0) return false;
    if (this.#last?.epoch !== epoch || this.#last.source !== source)
      this.#last = { source, epoch, seq: this.#settled.get(keyOf({ source, epoch })) ?? 0 };
    return seq <= this.#last.seq;
  }
}

function keyOf({ source, epoch }: Pick<Progress, 'source' | 'epoch'>): string {
  return `${epoch} ${source}`;
}
