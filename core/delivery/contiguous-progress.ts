/**
 * How far a log-like stream may be checkpointed when events are settled out of order: the position below which everything is settled.
 * Positions are dense integers that the adapter assigns in the order in which it read.
 */
export class ContiguousProgress {
  #checkpoint: number;
  /** Settled ranges above the checkpoint: sorted, disjoint, not touching; `[from, to)` at `[2i, 2i + 1]`. */
  readonly #islands: number[] = [];

  constructor(firstPosition: number) {
    this.#checkpoint = firstPosition;
  }

  /** Every position below it is settled; the one at it is not. */
  get checkpoint(): number {
    return this.#checkpoint;
  }

  /** How many settled ranges wait above the checkpoint for an earlier position. */
  get islands(): number {
    return this.#islands.length / 2;
  }

  /** Settles `[from, to)`. Settling again, in part or in whole, is harmless. */
  settle(from: number, to: number = from + 1): void {
    if (to <= this.#checkpoint || to <= from) return;
    if (from > this.#checkpoint) {
      this.#insert(from, to);
      return;
    }
    this.#checkpoint = to;
    let absorbed = 0;
    while (absorbed < this.#islands.length && this.#islands[absorbed]! <= this.#checkpoint) {
      this.#checkpoint = Math.max(this.#checkpoint, this.#islands[absorbed + 1]!);
      absorbed += 2;
    }
    if (absorbed > 0) this.#islands.splice(0, absorbed);
  }

  #insert(from: number, to: number): void {
    const islands = this.#islands;
    const start = this.#firstEndingAtOrAfter(from);
    let end = start;
    let mergedFrom = from;
    let mergedTo = to;
    while (end < islands.length && islands[end]! <= to) {
      mergedFrom = Math.min(mergedFrom, islands[end]!);
      mergedTo = Math.max(mergedTo, islands[end + 1]!);
      end += 2;
    }
    islands.splice(start, end - start, mergedFrom, mergedTo);
  }

  #firstEndingAtOrAfter(position: number): number {
    let low = 0;
    let high = this.#islands.length / 2;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#islands[middle * 2 + 1]! < position) low = middle + 1;
      else high = middle;
    }
    return low * 2;
  }
}
