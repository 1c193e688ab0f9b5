/**
 * What is normal for one value of one machine: the median of the first values it had, because the median bears a few outliers. It is learned
 * once, from values while the machine runs, and stays until it is restarted (a bearing change): a baseline that follows the machine
 * would follow it into its fault.
 */
export class Baseline {
  readonly #wanted: number;
  #values: number[] = [];
  #median: number | undefined;
  /** Times of the first and the newest value learned. */
  #sinceMs: number | undefined;
  #untilMs: number | undefined;

  constructor(wanted: number) {
    this.#wanted = wanted;
  }

  /** The median, once enough values were seen. */
  get median(): number | undefined {
    return this.#median;
  }

  /** When it was taken; undefined until it is known. */
  get window(): { readonly fromMs: number; readonly toMs: number } | undefined {
    if (this.#median === undefined || this.#sinceMs === undefined) return undefined;
    return { fromMs: this.#sinceMs, toMs: this.#untilMs ?? this.#sinceMs };
  }

  /** Takes a value while the baseline is being learned. */
  learn(ts: number, value: number): void {
    if (this.#median !== undefined) return;
    this.#sinceMs ??= ts;
    this.#untilMs = ts;
    this.#values.push(value);
    if (this.#values.length < this.#wanted) return;
    this.#median = medianOf(this.#values);
    this.#values = [];
  }

  /** Begins anew where it began before this time: what was normal then no longer is. True when it did. */
  restart(atMs: number): boolean {
    if (this.#sinceMs === undefined || this.#sinceMs > atMs) return false;
    this.#values = [];
    this.#median = undefined;
    this.#sinceMs = undefined;
    this.#untilMs = undefined;
    return true;
  }

  state(): BaselineState | undefined {
    if (this.#sinceMs === undefined) return undefined;
    const learned = this.#median === undefined ? { values: [...this.#values] } : { median: this.#median };
    return { sinceMs: this.#sinceMs, ...(this.#untilMs !== undefined && { untilMs: this.#untilMs }), ...learned };
  }

  restore(state: BaselineState): void {
    this.#sinceMs = state.sinceMs;
    this.#untilMs = state.untilMs;
    this.#median = state.median;
    this.#values = [...(state.values ?? [])];
  }
}

export interface BaselineState {
  readonly sinceMs: number;
  /** Absent where it was saved before this was kept. */
  readonly untilMs?: number;
  readonly median?: number;
  readonly values?: readonly number[];
}

function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
