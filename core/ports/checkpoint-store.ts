import type { CallOptions } from '../errors.ts';

/**
 * Small documents of a consumer group's state (windows, timers), saved by compare-and-set, and leases with fencing.
 * A snapshot and the outbox rows that go with it are saved in one transaction.
 */
export interface CheckpointStore {
  /** The newest saved state, or undefined where none was saved. */
  load(name: string, options?: CallOptions): Promise<Checkpoint | undefined>;
  /** Saves when the stored version is `expectedVersion` (0: none yet). @throws PortError failed_precondition otherwise. */
  save(name: string, state: Uint8Array, expectedVersion: number, options?: CallOptions): Promise<Checkpoint>;
  /**
   * Takes the lease when it is free or expired, and returns a fencing token higher than any before; undefined when another holder has it.
   * Time is the store's own, so that holders' clocks do not matter.
   */
  acquireLease(name: string, holder: string, leaseMs: number, options?: CallOptions): Promise<Lease | undefined>;
  /** Extends it. @throws PortError failed_precondition when it was lost. */
  renewLease(lease: Lease, leaseMs: number, options?: CallOptions): Promise<void>;
  /** Gives the lease back at once; one that was lost, or given back before, is no error. */
  releaseLease(lease: Lease, options?: CallOptions): Promise<void>;
}

/** A saved state. `version` counts its saves, from 1. */
export interface Checkpoint {
  readonly version: number;
  readonly state: Uint8Array;
}

/** A lease that was taken: proof of being the only holder until it expires. */
export interface Lease {
  readonly name: string;
  readonly holder: string;
  /** Monotonic per name; a store that saw a higher one refuses a lower. */
  readonly fence: number;
}
