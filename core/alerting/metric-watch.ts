/** Rounds of listening within `afterMs`. */
export const ROUNDS_A_WAIT = 16;
/** Heard of in so many rounds, a metric has shown how often it comes, and that it keeps coming. */
const ROUNDS_TO_LEARN = 20;
/** A metric that comes seldom is missed when it is away for so many times the longest gap that was learned while it began. */
const GAPS_TO_MISS = 3;

/** What time it is by the activity of a machine, when the current round of listening began, and the event time of the newest that it sent. */
export interface ActivityClock {
  readonly nowMs: number;
  readonly roundMs: number;
  readonly newestMs: number;
}

/** A watch's state as plain data; times without a name are by the activity clock. Null: none. */
export type MetricWatchState = readonly [
  heardTsMs: number | null,
  silentForMs: number,
  active: 0 | 1,
  decidedMs: number | null,
  knownForMs: number,
  longestGapMs: number,
  rounds: number,
];

/**
 * Whether one metric has stopped while its machine goes on. It is listened for in rounds: once heard in a round, its further readings cost
 * nothing until the next.
 *
 * Missed is what is expected and was away for `afterMs`, or, of what comes seldom, for three times the longest gap while it began. Expected
 * is what the catalogue declares, and what was heard in 20 rounds over at least `afterMs`: what somebody tried out is not missed.
 */
export class MetricWatch {
  isDeclared = false;
  readonly #afterMs: number;
  readonly #clock: ActivityClock;
  #heardTsMs = -Infinity;
  #heardAtMs: number;
  #sinceMs: number;
  #rounds = 0;
  #longestGapMs = 0;
  #active = false;
  #decidedMs = -Infinity;

  constructor(afterMs: number, clock: ActivityClock) {
    this.#afterMs = afterMs;
    this.#clock = clock;
    this.#heardAtMs = this.#sinceMs = clock.nowMs;
  }

  get isActive(): boolean {
    return this.#active;
  }

  /** Event time of the first reading of the last round in which it came; where it never did, since when it is missed. */
  get heardTsMs(): number {
    return this.#heardTsMs === -Infinity ? this.#decidedMs - this.patienceMs : this.#heardTsMs;
  }

  get decidedMs(): number {
    return this.#decidedMs;
  }

  /** It may be away for so long. */
  get patienceMs(): number {
    return Math.max(this.#afterMs, GAPS_TO_MISS * this.#longestGapMs);
  }

  /** It was not heard in this round yet. */
  get isAwaited(): boolean {
    return this.#heardAtMs < this.#clock.roundMs || this.#rounds === 0 || this.#active;
  }

  /** It did not keep coming, and nobody waits for it. */
  get isGone(): boolean {
    return !this.#isExpected && this.#isAway;
  }

  /** It came. True when it had been missed: then {@link decidedMs} is when it returned. Allocates nothing. */
  hear(ts: number): boolean {
    if (!this.isAwaited) return false;
    const { nowMs } = this.#clock;
    if (!this.#keepsComing) this.#learn(nowMs);
    if (ts > this.#heardTsMs) this.#heardTsMs = ts;
    this.#heardAtMs = nowMs;
    if (!this.#active) return false;
    this.#active = false;
    this.#decidedMs = Math.max(ts, this.#decidedMs);
    return true;
  }

  /** True when it has just become missed: then {@link decidedMs} is when that was noticed. */
  check(): boolean {
    if (this.#active || !this.#isAway || !this.#isExpected) return false;
    this.#active = true;
    this.#decidedMs = Math.max(this.#clock.newestMs, this.#decidedMs + 1);
    return true;
  }

  /** Is missed no longer, for another reason than that it came, and counts from now. True when it was: then somebody has to be told. */
  end(ts: number): boolean {
    if (!this.#active) return false;
    this.#active = false;
    this.#heardAtMs = this.#clock.nowMs;
    this.#decidedMs = Math.max(ts, this.#decidedMs);
    return true;
  }

  adopt(sinceMs: number): void {
    this.#active = true;
    this.#decidedMs = sinceMs;
  }

  state(): MetricWatchState {
    const heard = finite(this.#heardTsMs);
    const knownForMs = this.#heardAtMs - this.#sinceMs;
    const silentForMs = this.#clock.nowMs - this.#heardAtMs;
    const [active, decided] = [this.#active ? 1 : 0, finite(this.#decidedMs)] as const;
    return [heard, silentForMs, active, decided, knownForMs, this.#longestGapMs, this.#rounds];
  }

  /** Whether it is missed is taken of the same version of a rule only: under another one it is judged anew. */
  restore(
    [heardTsMs, silentForMs, active, decidedMs, knownForMs, longestGapMs, rounds]: MetricWatchState,
    { isSame }: { readonly isSame: boolean },
  ): void {
    this.#heardTsMs = heardTsMs ?? -Infinity;
    this.#heardAtMs = this.#clock.nowMs - silentForMs;
    this.#sinceMs = this.#heardAtMs - knownForMs;
    this.#longestGapMs = longestGapMs;
    this.#rounds = rounds;
    if (!isSame) return;
    this.#active = active === 1;
    this.#decidedMs = decidedMs ?? -Infinity;
  }

  get #isExpected(): boolean {
    return this.isDeclared || this.#keepsComing;
  }

  get #keepsComing(): boolean {
    return this.#rounds >= ROUNDS_TO_LEARN && this.#heardAtMs - this.#sinceMs >= this.#afterMs;
  }

  get #isAway(): boolean {
    // It may have come until the end of the round in which it was heard.
    return this.#clock.nowMs - this.#heardAtMs >= this.patienceMs + this.#afterMs / ROUNDS_A_WAIT;
  }

  #learn(nowMs: number): void {
    if (this.#rounds === 0) this.#sinceMs = nowMs;
    else this.#longestGapMs = Math.max(this.#longestGapMs, nowMs - this.#heardAtMs);
    this.#rounds += 1;
  }
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
