/** A silence's state as plain data: newest time heard of (null: none), how long it is silent, whether that is alarmed, last decision. */
export type SilenceState = readonly [
  heardTsMs: number | null,
  silentForMs: number,
  active: 0 | 1,
  decidedMs: number | null,
];

/**
 * Whether something that should keep coming has stopped. Silence is counted on the engine's own silence clock, which stands still while
 * the engine is not being fed; the time of the decision is that of the last reading plus the allowed silence, so that it is the same
 * whenever it is decided again.
 */
export class SilenceWatch {
  readonly #afterMs: number;
  #heardTsMs = -Infinity;
  #heardAtMs = -Infinity;
  #active = false;
  #decidedMs = -Infinity;

  constructor(afterMs: number) {
    this.#afterMs = afterMs;
  }

  get isActive(): boolean {
    return this.#active;
  }

  /** Time of the newest reading; `-Infinity` before the first. */
  get heardTsMs(): number {
    return this.#heardTsMs;
  }

  /** It may be silent for so long. */
  get patienceMs(): number {
    return this.#afterMs;
  }

  get decidedMs(): number {
    return this.#decidedMs;
  }

  /** Something came. True when it had been missed: then {@link decidedMs} is when it returned. Allocates nothing. */
  hear(ts: number, silenceClockMs: number): boolean {
    if (ts > this.#heardTsMs) this.#heardTsMs = ts;
    this.#heardAtMs = silenceClockMs;
    if (!this.#active) return false;
    this.#active = false;
    this.#decidedMs = Math.max(ts, this.#decidedMs);
    return true;
  }

  /** Begins to count, where nothing was heard of yet: for a metric that a machine owes from the moment it sends anything. */
  expect(ts: number, silenceClockMs: number): void {
    if (this.#heardAtMs === -Infinity) {
      this.#heardTsMs = ts;
      this.#heardAtMs = silenceClockMs;
    }
  }

  /** True when the silence has just become too long: then {@link decidedMs} is when it did. */
  check(silenceClockMs: number): boolean {
    if (this.#active || silenceClockMs - this.#heardAtMs < this.#afterMs || this.#heardAtMs === -Infinity) return false;
    this.#active = true;
    this.#decidedMs = Math.max(this.#heardTsMs + this.#afterMs, this.#decidedMs + 1);
    return true;
  }

  /** Counts from now. True when it was active: then somebody has to be told. */
  end(ts: number, silenceClockMs: number): boolean {
    if (this.#heardAtMs !== -Infinity) this.#heardAtMs = silenceClockMs;
    const wasActive = this.#active;
    this.#active = false;
    if (wasActive) this.#decidedMs = Math.max(ts, this.#decidedMs);
    return wasActive;
  }

  adopt(sinceMs: number, silenceClockMs: number): void {
    this.#active = true;
    this.#heardTsMs = sinceMs - this.#afterMs;
    this.#heardAtMs = silenceClockMs;
    this.#decidedMs = sinceMs;
  }

  state(silenceClockMs: number): SilenceState | undefined {
    if (this.#heardAtMs === -Infinity) return undefined;
    return [finite(this.#heardTsMs), silenceClockMs - this.#heardAtMs, this.#active ? 1 : 0, finite(this.#decidedMs)];
  }

  restore([heardTsMs, silentForMs, active, decidedMs]: SilenceState, silenceClockMs: number): void {
    this.#heardTsMs = heardTsMs ?? -Infinity;
    this.#heardAtMs = silenceClockMs - silentForMs;
    this.#active = active === 1;
    this.#decidedMs = decidedMs ?? -Infinity;
  }
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
