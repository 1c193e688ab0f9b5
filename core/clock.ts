/** Time as use cases see it, so that a test can hold or move it. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z; may jump when an operator sets the clock. */
  nowMs(): number;
  /** Milliseconds from an arbitrary origin; never goes back. Delays and leases are measured by it. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};
