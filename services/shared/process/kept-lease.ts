import { setTimeout as sleep } from 'node:timers/promises';
import { isPortError, messageOf, PortError } from '#core/errors.ts';
import type { CheckpointStore, Lease } from '#core/ports/checkpoint-store.ts';

/** Of a checkpoint store, what keeps a lease that was taken. */
export type LeaseKeeping = Pick<CheckpointStore, 'renewLease' | 'releaseLease'>;

export interface KeptLeaseOptions {
  readonly checkpoints: LeaseKeeping;
  readonly leaseMs: number;
  /** When it was asked for, by the clock of this process that no one sets: from then on it lasts. Default: now. */
  readonly askedAtMs?: number;
  readonly onProblem: (doing: string, error: unknown) => void;
}

/** Of the time it lasts, after which it is renewed: two more attempts are made before it runs out. */
const RENEWED_AFTER = 1 / 3;

/**
 * A lease that is renewed from the time it was taken until it is lost or given back, whatever its holder is doing meanwhile: one that begins for longer
 * than a lease lasts would lose it before it has begun, and so would the next.
 */
export class KeptLease {
  readonly lease: Lease;
  readonly #options: KeptLeaseOptions;
  readonly #losing = new AbortController();
  readonly #stopping = new AbortController();
  readonly #renewing: Promise<void>;
  #untilMs: number;
  #problem: string | undefined;

  constructor(lease: Lease, options: KeptLeaseOptions) {
    this.lease = lease;
    this.#options = options;
    this.#untilMs = (options.askedAtMs ?? performance.now()) + options.leaseMs;
    this.#renewing = this.#renewUntilItEnds();
  }

  /** Aborts when another holder has it. */
  get lost(): AbortSignal {
    return this.#losing.signal;
  }

  /** Why it could not be renewed of late; undefined while it is. */
  problem(): string | undefined {
    return this.#problem;
  }

  /** @throws PortError unavailable when it is known to be lost; where it is soon to end, its store is asked. */
  async keep(): Promise<void> {
    this.#throwIfLost();
    if (performance.now() >= this.#untilMs - this.#options.leaseMs / 2) await this.confirm();
  }

  /** Asks its store. @throws PortError unavailable when it was lost; that of the store when this is not known. */
  async confirm(): Promise<void> {
    this.#throwIfLost();
    const { checkpoints, leaseMs } = this.#options;
    try {
      const untilMs = performance.now() + leaseMs;
      await checkpoints.renewLease(this.lease, leaseMs);
      this.#untilMs = Math.max(this.#untilMs, untilMs);
      this.#problem = undefined;
    } catch (error) {
      if (isPortError(error) && error.code === 'failed_precondition') this.#losing.abort();
      this.#throwIfLost(error);
      throw error;
    }
  }

  /** Ends the renewals, and gives it back unless it was lost. */
  async release(): Promise<void> {
    this.#stopping.abort();
    await this.#renewing;
    if (!this.#losing.signal.aborted) await this.#options.checkpoints.releaseLease(this.lease);
  }

  async #renewUntilItEnds(): Promise<void> {
    const ended = AbortSignal.any([this.#stopping.signal, this.#losing.signal]);
    const waitMs = this.#options.leaseMs * RENEWED_AFTER;
    while (!(await sleep(waitMs, false, { signal: ended }).catch(() => true))) {
      await this.confirm().catch((error: unknown) => {
        if (ended.aborted) return;
        this.#problem = `cannot keep its lease: ${messageOf(error)}`;
        this.#options.onProblem('keep its lease', error);
      });
    }
  }

  #throwIfLost(cause?: unknown): void {
    if (this.#losing.signal.aborted) throw new PortError('unavailable', 'another process has the lease now', { cause });
  }
}
