import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { atStart } from '#core/delivery/at-start.ts';
import { messageOf } from '#core/errors.ts';
import type { CheckpointStore, Lease } from '#core/ports/checkpoint-store.ts';
import { KeptLease, type LeaseKeeping } from './kept-lease.ts';

/** What a process does from the time it takes a lease until it loses it or ends. */
export interface Turn {
  /** An abort ends it early, when the lease was lost or the process ends: it then rejects. */
  begin(signal: AbortSignal): Promise<void>;
  /** Why it cannot work now; undefined while it can. */
  problem(): string | undefined;
  /** Ends what was begun, also when that failed half-way. The lease is given back after it. */
  close(): Promise<void>;
}

export interface TurnTakingOptions<Each extends Turn> {
  readonly checkpoints: Pick<CheckpointStore, 'acquireLease'> & LeaseKeeping;
  readonly lease: string;
  readonly leaseMs: number;
  /** A turn knows nothing of the one before: what another process did meanwhile is in the stores alone. */
  readonly makeTurn: (kept: KeptLease) => Each;
  /** Why it cannot work while another process has its turn; none given: one that stands by is well. */
  readonly waiting?: string;
  /** What failed of taking a turn is tried again after this. Default: 200 ms. */
  readonly againAfterMs?: number;
  readonly onProblem: (doing: string, error: unknown) => void;
}

const LOOK_EVERY_MS = 200;

/** A turn and the lease that it is. */
interface Held<Each> {
  readonly turn: Each;
  readonly kept: KeptLease;
}

/** Lets one process at a time have its turn. One that lost the lease waits for it again, and then begins anew. */
export class TurnTaking<Each extends Turn> {
  readonly #options: TurnTakingOptions<Each>;
  readonly #holder = randomUUID();
  readonly #stopping = new AbortController();
  #held: Held<Each> | undefined;
  #problem: string | undefined = 'it is being started';
  #taking: Promise<void> | undefined;

  constructor(options: TurnTakingOptions<Each>) {
    this.#options = options;
  }

  /** The turn that has begun. */
  get turn(): Each | undefined {
    return this.#held?.turn;
  }

  problem(): string | undefined {
    return this.#held ? (this.#held.kept.problem() ?? this.#held.turn.problem()) : this.#problem;
  }

  /** Resolves once the first turn has begun, or waits for another process to end its own. */
  async start(): Promise<void> {
    const first = this.#tryTurn((ask) => atStart(ask, { signal: this.#stopping.signal }));
    this.#taking = first.then(
      () => this.#takeTurns(),
      () => undefined,
    );
    await first;
  }

  /** Ends the turn, also one that is only beginning. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#taking;
  }

  async #takeTurns(): Promise<void> {
    const { signal } = this.#stopping;
    let waitMs = LOOK_EVERY_MS;
    for (;;) {
      if (this.#held) {
        const { kept } = this.#held;
        await aborted(AbortSignal.any([signal, kept.lost]));
        await this.#end(this.#held);
        this.#held = undefined;
        this.#problem = this.#options.waiting;
      }
      await sleep(waitMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      waitMs = LOOK_EVERY_MS;
      await this.#tryTurn((ask) => ask()).catch((error: unknown) => {
        if (!signal.aborted) this.#report('begin', error);
        waitMs = this.#options.againAfterMs ?? LOOK_EVERY_MS;
      });
    }
  }

  async #tryTurn(asking: (ask: () => Promise<Lease | undefined>) => Promise<Lease | undefined>): Promise<void> {
    const { checkpoints, lease: name, leaseMs, makeTurn, onProblem } = this.#options;
    let askedAtMs = performance.now();
    const lease = await asking(() => {
      askedAtMs = performance.now();
      return checkpoints.acquireLease(name, this.#holder, leaseMs);
    });
    if (!lease) {
      this.#problem = this.#options.waiting;
      return;
    }
    const kept = new KeptLease(lease, { checkpoints, leaseMs, askedAtMs, onProblem });
    const held: Held<Each> = { turn: makeTurn(kept), kept };
    try {
      await held.turn.begin(AbortSignal.any([this.#stopping.signal, kept.lost]));
    } catch (error) {
      await this.#end(held);
      if (!kept.lost.aborted) throw error;
      this.#problem = this.#options.waiting;
      return;
    }
    this.#held = held;
  }

  async #end({ turn, kept }: Held<Each>): Promise<void> {
    await turn.close().catch((error: unknown) => this.#report('end a turn', error));
    await kept.release().catch((error: unknown) => this.#report('release the lease', error));
  }

  #report(doing: string, error: unknown): void {
    this.#problem = `cannot ${doing}: ${messageOf(error)}`;
    this.#options.onProblem(doing, error);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
