import { maintainedMs, NO_HISTORY, type MachineHistory } from '../domain/machine-history.ts';

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
  /** Of the time between them, what was known to be maintenance when they were learned; undefined where that was not kept. */
  #maintainedMs: number | undefined;

  constructor(wanted: number) {
    this.#wanted = wanted;
  }

  /** The median, once enough values were seen. */
  get median(): number | undefined {
    return this.#median;
  }

  /** How far learning is; undefined when it is over. */
  get progress(): { readonly learnt: number; readonly needed: number; readonly sinceMs?: number } | undefined {
    if (this.#median !== undefined) return undefined;
    const since = this.#sinceMs === undefined ? {} : { sinceMs: this.#sinceMs };
    return { learnt: this.#values.length, needed: this.#wanted, ...since };
  }

  /** When it was taken; undefined until it is known. */
  get window(): { readonly fromMs: number; readonly toMs: number } | undefined {
    if (this.#median === undefined || this.#sinceMs === undefined) return undefined;
    return { fromMs: this.#sinceMs, toMs: this.#untilMs ?? this.#sinceMs };
  }

  /** Takes a value while the baseline is being learned, from outside of the maintenance in that history. */
  learn(ts: number, value: number, history: MachineHistory = NO_HISTORY): void {
    if (this.#median !== undefined) return;
    this.#sinceMs ??= ts;
    this.#untilMs = ts;
    this.#maintainedMs = maintainedMs(history, this.#sinceMs, ts);
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
    this.#maintainedMs = undefined;
    return true;
  }

  /** Begins anew where maintenance was noted afterwards in the time in which it was learned: some of its values are not normal ones. */
  restartIfMaintained(history: MachineHistory): boolean {
    if (this.#sinceMs === undefined || this.#untilMs === undefined) return false;
    const knownMs = this.#maintainedMs;
    this.#maintainedMs = maintainedMs(history, this.#sinceMs, this.#untilMs);
    return knownMs !== undefined && this.#maintainedMs > knownMs && this.restart(this.#sinceMs);
  }

  state(): BaselineState | undefined {
    if (this.#sinceMs === undefined) return undefined;
    const learned = this.#median === undefined ? { values: [...this.#values] } : { median: this.#median };
    return {
      sinceMs: this.#sinceMs,
      ...(this.#untilMs !== undefined && { untilMs: this.#untilMs }),
      ...(this.#maintainedMs !== undefined && { maintainedMs: this.#maintainedMs }),
      ...learned,
    };
  }

  restore(state: BaselineState): void {
    this.#sinceMs = state.sinceMs;
    this.#untilMs = state.untilMs;
    this.#maintainedMs = state.maintainedMs;
    this.#median = state.median;
    this.#values = [...(state.values ?? [])];
  }
}

export interface BaselineState {
  readonly sinceMs: number;
  /** Absent where it was saved before this was kept. */
  readonly untilMs?: number;
  readonly maintainedMs?: number;
  readonly median?: number;
  readonly values?: readonly number[];
}

function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
