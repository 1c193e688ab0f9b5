import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '#core/errors.ts';
import type { CheckpointStore, Lease } from '#core/ports/checkpoint-store.ts';

/** What a process does from the time it takes a lease until it loses it or ends. */
export interface Turn {
  /** An abort ends it early: it then rejects. */
  begin(signal: AbortSignal): Promise<void>;
  /** Resolves when another holder has the lease. */
  readonly lost: Promise<unknown>;
  /** Why it cannot work now; undefined while it can. */
  problem(): string | undefined;
  /** Ends what was begun, also when that failed half-way, and releases the lease if it is still held. */
  close(): Promise<void>;
}

export interface TurnTakingOptions<Each extends Turn> {
  readonly checkpoints: Pick<CheckpointStore, 'acquireLease'>;
  readonly lease: string;
  readonly leaseMs: number;
  /** A turn knows nothing of the one before: what another process did meanwhile is in the stores alone. */
  readonly makeTurn: (lease: Lease) => Each;
  /** Why it cannot work while another process has its turn; none given: one that stands by is well. */
  readonly waiting?: string;
  /** What failed of taking a turn is tried again after this. Default: 200 ms. */
  readonly againAfterMs?: number;
  readonly onProblem: (doing: string, error: unknown) => void;
}

const LOOK_EVERY_MS = 200;

/** Lets one process at a time have its turn. One that lost the lease waits for it again, and then begins anew. */
export class TurnTaking<Each extends Turn> {
  readonly #options: TurnTakingOptions<Each>;
  readonly #holder = randomUUID();
  readonly #stopping = new AbortController();
  #turn: Each | undefined;
  #problem: string | undefined = 'it is being started';
  #taking: Promise<void> | undefined;

  constructor(options: TurnTakingOptions<Each>) {
    this.#options = options;
  }

  /** The turn that has begun. */
  get turn(): Each | undefined {
    return this.#turn;
  }

  problem(): string | undefined {
    return this.#turn ? this.#turn.problem() : this.#problem;
  }

  /** Resolves once the first turn has begun, or waits for another process to end its own. */
  async start(): Promise<void> {
    await this.#tryTurn();
    this.#taking = this.#takeTurns();
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#taking;
  }

  async #takeTurns(): Promise<void> {
    const { signal } = this.#stopping;
    const { promise: stopped, resolve } = Promise.withResolvers<undefined>();
    signal.addEventListener('abort', () => resolve(undefined));
    let waitMs = LOOK_EVERY_MS;
    while (this.#turn || !signal.aborted) {
      if (!this.#turn) {
        await sleep(waitMs, undefined, { signal }).catch(() => undefined);
        waitMs = LOOK_EVERY_MS;
        if (signal.aborted) continue;
        await this.#tryTurn().catch((error: unknown) => {
          this.#report('begin', error);
          waitMs = this.#options.againAfterMs ?? LOOK_EVERY_MS;
        });
        continue;
      }
      if (!signal.aborted) await Promise.race([stopped, this.#turn.lost]);
      await this.#end(this.#turn);
      this.#turn = undefined;
      this.#problem = this.#options.waiting;
    }
  }

  async #tryTurn(): Promise<void> {
    const { checkpoints, lease: name, leaseMs, makeTurn } = this.#options;
    const lease = await checkpoints.acquireLease(name, this.#holder, leaseMs);
    if (!lease) {
      this.#problem = this.#options.waiting;
      return;
    }
    const turn = makeTurn(lease);
    try {
      await turn.begin(this.#stopping.signal);
    } catch (error) {
      await this.#end(turn);
      throw error;
    }
    this.#turn = turn;
  }

  async #end(turn: Each): Promise<void> {
    await turn.close().catch((error: unknown) => this.#report('end a turn', error));
  }

  #report(doing: string, error: unknown): void {
    this.#problem = `cannot ${doing}: ${messageOf(error)}`;
    this.#options.onProblem(doing, error);
  }
}
