import { setTimeout as delay } from 'node:timers/promises';
import { isPortError, isRetryable, messageOf, PortError, throwIfAborted } from '#core/errors.ts';
import { backoffMs } from '../transport/backoff.ts';
import type { Batch, SendReceipt, Uplink } from '../transport/uplink.ts';

export interface ReliableSenderOptions {
  readonly uplink: Uplink;
  /** Batches that are under way at a time; the source waits for acknowledgements beyond that. */
  readonly maxInFlight: number;
  /** How long a platform may be away before the sender gives up. */
  readonly giveUpAfterMs: number;
  readonly signal: AbortSignal;
  readonly onAcknowledged: (batch: Batch, receipt: SendReceipt) => void;
  /** The platform will never take this batch. */
  readonly onRefused: (batch: Batch, reason: PortError) => void;
}

const BACKOFF = { minMs: 100, maxMs: 5000 };

/** Sends batches until each is acknowledged: bounded in flight, in order for each machine, at least once. */
export class ReliableSender {
  readonly #options: ReliableSenderOptions;
  /** The last batch of each machine that has one under way. */
  readonly #lastOf = new Map<string, Promise<void>>();
  readonly #underWay = new Set<Promise<void>>();
  readonly #waiting: (() => void)[] = [];
  #failure: unknown;

  constructor(options: ReliableSenderOptions) {
    this.#options = options;
  }

  /** Resolves once there is room for the batch and it is on its way. Rejects when an earlier one could not be delivered. */
  async send(batch: Batch): Promise<void> {
    while (this.#underWay.size >= this.#options.maxInFlight && this.#failure === undefined) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#throwIfFailed();
    const before = this.#lastOf.get(batch.machine) ?? Promise.resolve();
    const delivery = this.#deliver(batch, before)
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => {
        this.#underWay.delete(delivery);
        if (this.#lastOf.get(batch.machine) === delivery) this.#lastOf.delete(batch.machine);
        for (const wake of this.#waiting.splice(0, this.#failure === undefined ? 1 : Infinity)) wake();
      });
    this.#underWay.add(delivery);
    this.#lastOf.set(batch.machine, delivery);
  }

  /** Resolves once everything is acknowledged. */
  async drain(): Promise<void> {
    await Promise.all(this.#underWay);
    this.#throwIfFailed();
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure as Error;
  }

  /** On a pipelining uplink the first attempt does not wait for the batch before; any further one does, so that order survives a lost connection. */
  async #deliver(batch: Batch, before: Promise<void>): Promise<void> {
    const { uplink, signal, giveUpAfterMs, onAcknowledged, onRefused } = this.#options;
    if (!uplink.pipelines) await before;
    let triedSinceMs: number | undefined;
    for (let failures = 1; ; failures++) {
      throwIfAborted(signal);
      if (this.#failure !== undefined) return;
      try {
        onAcknowledged(batch, await uplink.send(batch, { signal }));
        return;
      } catch (error) {
        if (isPortError(error) && error.code === 'invalid_argument') {
          onRefused(batch, error);
          return;
        }
        if (!isRetryable(error)) throw error;
        await before;
        triedSinceMs ??= performance.now();
        if (performance.now() - triedSinceMs > giveUpAfterMs) throw gaveUp(giveUpAfterMs, error);
        await delay(backoffMs(error, failures, BACKOFF), undefined, { signal }).catch(() => undefined);
      }
    }
  }
}

function gaveUp(afterMs: number, error: unknown): PortError {
  const reason = messageOf(error);
  return new PortError('unavailable', `gave up after ${Math.round(afterMs / 1000)} s: ${reason}`, { cause: error });
}
