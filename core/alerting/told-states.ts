import { READING_MAX_DISTANCE_MS } from '../features/operating-points.ts';

/** In which operating state (as a bit) a machine was told to be, first and last. */
export type ToldRun = readonly [fromMs: number, lastMs: number, state: number];

/** A machine that changes its state more often than this within minutes is judged by the newest changes alone. */
const MAX_RUNS = 64;

/**
 * What a machine was doing, in event time, by its readings: runs of the same state, in whatever order they were told. What was told speaks until
 * something else is, and for {@link READING_MAX_DISTANCE_MS} at most: a sensor of speed that dies must not silence the rules.
 */
export class ToldStates {
  readonly #runs: { fromMs: number; lastMs: number; state: number }[] = [];

  /** When the newest state was last told; -Infinity where none was. */
  get newestMs(): number {
    return this.#runs.at(-1)?.lastMs ?? -Infinity;
  }

  tell(ts: number, state: number): void {
    const newest = this.#runs[this.#runs.length - 1];
    if (newest !== undefined && ts < newest.lastMs) this.#tellLate(ts, state);
    else if (newest?.state === state && ts - newest.lastMs <= READING_MAX_DISTANCE_MS) newest.lastMs = ts;
    else this.#runs.push({ fromMs: ts, lastMs: ts, state });
    this.#forgetOldest();
  }

  /** Bits of the states in [fromMs, untilMs), as far as they were told: 0 where none was. */
  during(fromMs: number, untilMs: number): number {
    let states = 0;
    let endMs = Infinity;
    for (let at = this.#runs.length - 1; at >= 0; at--) {
      const run = this.#runs[at]!;
      if (run.fromMs < untilMs && Math.min(endMs, run.lastMs + READING_MAX_DISTANCE_MS + 1) > fromMs)
        states |= run.state;
      if (run.fromMs <= fromMs) break;
      endMs = run.fromMs;
    }
    return states;
  }

  clear(): void {
    this.#runs.length = 0;
  }

  state(): readonly ToldRun[] {
    return this.#runs.map(({ fromMs, lastMs, state }) => [fromMs, lastMs, state]);
  }

  restore(runs: readonly ToldRun[]): void {
    this.#runs.splice(0, Infinity, ...runs.map(([fromMs, lastMs, state]) => ({ fromMs, lastMs, state })));
  }

  #tellLate(ts: number, state: number): void {
    const place = this.#runs.findLastIndex(({ fromMs }) => fromMs <= ts);
    const run = this.#runs[place];
    const next = this.#runs[place + 1];
    const told = { fromMs: ts, lastMs: ts, state };
    if (run?.state === state && ts - run.lastMs <= READING_MAX_DISTANCE_MS) {
      run.lastMs = Math.max(run.lastMs, ts);
    } else if (run !== undefined && ts < run.lastMs) {
      // When exactly the state was left and entered again is not known: it is told of this moment alone.
      const after = { fromMs: ts + 1, lastMs: run.lastMs, state: run.state };
      run.lastMs = ts - 1;
      this.#runs.splice(place + 1, 0, told, after);
      if (run.fromMs > run.lastMs) this.#runs.splice(place, 1);
    } else if (next?.state === state && next.fromMs - ts <= READING_MAX_DISTANCE_MS) {
      next.fromMs = ts;
    } else {
      this.#runs.splice(place + 1, 0, told);
    }
  }

  #forgetOldest(): void {
    if (this.#runs.length > MAX_RUNS) this.#runs.splice(0, this.#runs.length - MAX_RUNS);
  }
}
