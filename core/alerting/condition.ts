/** What a step of a condition decided. */
export const UNCHANGED = 0;
export const ACTIVATED = 1;
export const RETURNED = 2;
export type Decision = typeof UNCHANGED | typeof ACTIVATED | typeof RETURNED;

const IDLE = 0;
/** Beyond the limit, but not for the on-delay yet. */
const PENDING = 1;
const ACTIVE = 2;
/** Back inside, but not for the off-delay yet. */
const RETURNING = 3;

/** A condition's state as plain data: phase, since when, time of the last decision (null: none). */
export type ConditionState = readonly [phase: number, sinceMs: number | null, decidedMs: number | null];

/** How a value is judged. `direction` -1 turns the comparison round, for limits that must not be undercut. */
export interface ConditionTuning {
  readonly direction: 1 | -1;
  readonly onDelayMs: number;
  readonly offDelayMs: number;
}

/**
 * One value against one limit, with deadband and delays, in event time: what it decides depends on the values and their times alone, never
 * on the clock, so that the same events judged again decide the same. A delay is over when a later value says so; silence is another
 * rule's matter.
 *
 * Two decisions are never of the same time, so that each has an id of its own; values older than the state they meet change nothing.
 */
export class Condition {
  readonly #direction: 1 | -1;
  readonly #onDelayMs: number;
  readonly #offDelayMs: number;
  /** Times the direction, so that "beyond" is always ">". */
  #limit = Infinity;
  #returnLimit = Infinity;
  #phase = IDLE;
  #sinceMs = -Infinity;
  #decidedMs = -Infinity;

  constructor({ direction, onDelayMs, offDelayMs }: ConditionTuning) {
    this.#direction = direction;
    this.#onDelayMs = onDelayMs;
    this.#offDelayMs = offDelayMs;
  }

  get isActive(): boolean {
    return this.#phase >= ACTIVE;
  }

  /** When the condition that was just decided began. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** Time of the newest decision; `-Infinity` before the first. */
  get decidedMs(): number {
    return this.#decidedMs;
  }

  /** A value equal to the limit is inside. It returns at `deadband` inside the limit. */
  setLimit(limit: number, deadband: number): void {
    this.#limit = this.#direction * limit;
    this.#returnLimit = this.#limit - deadband;
  }

  /** Takes a value. Allocates nothing. */
  step(ts: number, value: number): Decision {
    const signed = this.#direction * value;
    if (this.#phase === IDLE && signed <= this.#limit) return UNCHANGED;
    return this.#phase < ACTIVE ? this.#approach(ts, signed) : this.#leave(ts, signed);
  }

  /** Ends the condition for another reason than its value. True when it was active: then somebody has to be told. */
  end(ts: number): boolean {
    const wasActive = this.isActive;
    this.#phase = IDLE;
    if (wasActive) this.#decidedMs = Math.max(ts, this.#decidedMs);
    return wasActive;
  }

  /** Takes over that it is active since a time, as a journal knows it. */
  adopt(sinceMs: number): void {
    this.#phase = ACTIVE;
    this.#sinceMs = sinceMs;
    this.#decidedMs = sinceMs;
  }

  /** The state to be saved; undefined while it is as new. */
  state(): ConditionState | undefined {
    if (this.#phase === IDLE && this.#decidedMs === -Infinity) return undefined;
    return [this.#phase, finite(this.#sinceMs), finite(this.#decidedMs)];
  }

  restore([phase, sinceMs, decidedMs]: ConditionState): void {
    this.#phase = phase;
    this.#sinceMs = sinceMs ?? -Infinity;
    this.#decidedMs = decidedMs ?? -Infinity;
  }

  #approach(ts: number, signed: number): Decision {
    if (this.#phase === IDLE) {
      if (ts <= this.#decidedMs) return UNCHANGED;
      this.#phase = PENDING;
      this.#sinceMs = ts;
    } else {
      if (ts < this.#sinceMs) return UNCHANGED;
      if (signed <= this.#limit) {
        this.#phase = IDLE;
        return UNCHANGED;
      }
    }
    if (ts - this.#sinceMs < this.#onDelayMs) return UNCHANGED;
    this.#phase = ACTIVE;
    this.#decidedMs = ts;
    return ACTIVATED;
  }

  #leave(ts: number, signed: number): Decision {
    const isInside = signed <= this.#returnLimit;
    if (this.#phase === ACTIVE) {
      if (!isInside || ts <= this.#decidedMs) return UNCHANGED;
      this.#phase = RETURNING;
      this.#sinceMs = ts;
    } else {
      if (ts < this.#sinceMs) return UNCHANGED;
      if (!isInside) {
        this.#phase = ACTIVE;
        return UNCHANGED;
      }
    }
    if (ts - this.#sinceMs < this.#offDelayMs) return UNCHANGED;
    this.#phase = IDLE;
    this.#decidedMs = ts;
    return RETURNED;
  }
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
