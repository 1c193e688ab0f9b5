/**
 * What is normal for one value of one machine: the median of the first values it had, because the median bears a few outliers. It is learned
 * once, from values while the machine runs, and stays until it is restarted (a bearing change): a baseline that follows the machine
 * would follow it into its fault.
 */
export class Baseline {
  readonly #wanted: number;
  #values: number[] = [];
  #median: number | undefined;

  constructor(wanted: number) {
    this.#wanted = wanted;
  }

  /** The median, once enough values were seen. */
  get median(): number | undefined {
    return this.#median;
  }

  /** Takes a value while the baseline is being learned. */
  learn(value: number): void {
    if (this.#median !== undefined) return;
    this.#values.push(value);
    if (this.#values.length < this.#wanted) return;
    this.#median = medianOf(this.#values);
    this.#values = [];
  }

  restart(): void {
    this.#values = [];
    this.#median = undefined;
  }

  state(): BaselineState | undefined {
    if (this.#median !== undefined) return { median: this.#median };
    return this.#values.length > 0 ? { values: [...this.#values] } : undefined;
  }

  restore(state: BaselineState): void {
    this.#median = state.median;
    this.#values = [...(state.values ?? [])];
  }
}

export interface BaselineState {
  readonly median?: number;
  readonly values?: readonly number[];
}

function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
