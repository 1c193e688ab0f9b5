import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { Subscription } from '../ports/event-stream.ts';
import { Sleeper } from './sleeper.ts';

/** A lease is renewed so many times in its length. */
const RENEWALS_A_LEASE = 3;

/** Says whose a part of a stream is: a shard, a partition. */
export interface Lease {
  readonly owner: string | undefined;
  /** Rises with each owner, and within one with each renewal. */
  readonly fence: number;
  readonly renewals: number;
  readonly leaseMs: number;
  /** Who asks the owner to give the part up once its batch is settled. */
  readonly wantedBy: string | undefined;
}

/** The leases of one group. Every change is conditional: it is made to the lease as it was given, or not at all. */
export interface LeaseStore<Held extends Lease, Position> {
  /** Those of parts that may be worked on, whoever has them. */
  ready(): Promise<readonly Held[]>;
  /** With nobody else as its owner: undefined where somebody was first, or the owner renewed it. */
  take(lease: Held, owner: string, leaseMs: number): Promise<Held | undefined>;
  /** Saves the position, and says that the owner is alive. Undefined where the lease is no longer the owner's. */
  renew(lease: Held, position: Position): Promise<Held | undefined>;
  /** Gives the lease back at once; one that is no longer the owner's is left alone. */
  release(lease: Held, position: Position, isEnded: boolean): Promise<void>;
  /** Asks the owner for it. */
  want(lease: Held, wantedBy: string): Promise<void>;
}

/** Delivers a part, for as long as its lease is held. */
export interface LeasedDelivery<Position> {
  /** On the monotonic clock: until then nobody else can have the part. */
  validUntilMs: number;
  settledPosition(): Position;
  /** True once everything of the part is settled, and nothing will be added. */
  readonly isEnded: boolean;
  /** Resolves once the handler is done with the batch that is out; no other follows. */
  stop(): Promise<void>;
  /** The part is somebody else's: what the handler acknowledges now counts no more. */
  fence(): void;
}

/** What a delivery has of its worker. */
export interface WorkerSide {
  /** Aborted when the worker closes. */
  readonly closing: AbortSignal;
  /** Runs one thing at a time of all parts of the worker. */
  readonly inTurn: (work: () => Promise<void>) => Promise<void>;
  /** To be called once the delivery has ended. */
  readonly ended: () => void;
  /** To be called where somebody else is seen to have the part. */
  readonly lost: () => void;
}

/** So soon it is asked again whether a lease is held that was not renewed in time. */
const UNCERTAIN_MS = 50;

/** Whether a part's batches may go out. */
export interface HeldTurn {
  readonly inTurn: WorkerSide['inTurn'];
  /** Whether the lease is known to be held: it may be renewed late, or lost. */
  readonly isHeld: () => boolean;
  /** Whether nothing is to go out any more. */
  readonly isOver: () => boolean;
  /** Woken when it is over. */
  readonly sleeper: Sleeper;
}

/**
 * Does the work in its turn, while the lease is held; not at all where it is over before. A batch waits for that rather than be given back: those of other
 * machines would overtake it then, and who settles a publisher's events up to a number would take it for settled.
 */
export async function inTurnWhileHeld(
  { inTurn, isHeld, isOver, sleeper }: HeldTurn,
  work: () => Promise<void>,
): Promise<void> {
  const attempt = async (): Promise<boolean> => {
    let isTaken = false as boolean;
    await inTurn(async () => {
      isTaken = !isOver() && isHeld();
      if (isTaken) await work();
    });
    return isTaken;
  };
  while (!isOver() && !(await attempt())) await sleeper.sleep(UNCERTAIN_MS);
}

export interface LeaseWorkerOptions<Held extends Lease, Position> {
  readonly clock: Clock;
  readonly leases: LeaseStore<Held, Position>;
  /** Of the lease's part. */
  readonly nameOf: (lease: Held) => string;
  readonly positionOf: (lease: Held) => Position;
  readonly isSame: (left: Position, right: Position) => boolean;
  readonly deliver: (lease: Held, validUntilMs: number, worker: WorkerSide) => LeasedDelivery<Position>;
  readonly leaseMs: number;
  readonly checkpointIntervalMs: number;
  /** Told of what failed in the background and is tried again. */
  readonly onFailure: (error: unknown) => void;
}

/** A lease as this process first saw it so. */
interface SeenLease {
  readonly fence: number;
  readonly renewals: number;
  readonly sinceMonotonicMs: number;
}

/**
 * A worker of a group whose stream has parts, and a lease a part that says whose it is. Clocks do not matter: a lease is over once a worker
 * has seen it unrenewed for its whole length. Who has less than its share takes what is free, and else asks for a part, which its owner gives
 * up once the batch that is out is settled.
 */
export class LeaseWorker<Held extends Lease, Position> implements Subscription {
  readonly #options: LeaseWorkerOptions<Held, Position>;
  readonly #owner = randomUUID();
  readonly #closing = new AbortController();
  readonly #held = new Map<string, HeldPart<Held, Position>>();
  readonly #seen = new Map<string, SeenLease>();
  readonly #done: Promise<void>;
  #turn: Promise<void> = Promise.resolve();
  #lookedAtMs = -Infinity;
  readonly #sleeper = new Sleeper();

  constructor(options: LeaseWorkerOptions<Held, Position>) {
    this.#options = options;
    this.#done = this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#sleeper.wake();
    await this.#done;
  }

  get #isClosing(): boolean {
    return this.#closing.signal.aborted;
  }

  get #renewEveryMs(): number {
    return this.#options.leaseMs / RENEWALS_A_LEASE;
  }

  async #run(): Promise<void> {
    const intervalMs = Math.min(this.#options.checkpointIntervalMs, this.#renewEveryMs);
    // Leases are renewed until the last handler is done with its batch.
    while (!this.#isClosing || this.#held.size > 0) {
      await this.#tick().catch(this.#options.onFailure);
      if (!this.#isClosing || this.#held.size > 0) await this.#sleeper.sleep(intervalMs);
    }
  }

  async #tick(): Promise<void> {
    await Promise.all([...this.#held.values()].map((held) => this.#keep(held)));
    const { clock } = this.#options;
    if (this.#isClosing || clock.monotonicMs() - this.#lookedAtMs < this.#renewEveryMs) return;
    this.#lookedAtMs = clock.monotonicMs();
    await this.#lookForParts();
  }

  /** Renews the lease where it is time, with what was settled; gives it back where that is asked for. */
  async #keep(held: HeldPart<Held, Position>): Promise<void> {
    const { clock, leases, leaseMs, isSame } = this.#options;
    const { delivery } = held;
    if ((this.#isClosing || delivery.isEnded) && !held.givingBack) held.givingBack = this.#giveBack(held);
    const nowMs = clock.monotonicMs();
    const position = delivery.settledPosition();
    const hasAdvanced = !isSame(position, held.saved);
    if (held.isGone || (!hasAdvanced && nowMs - held.renewedAtMs < this.#renewEveryMs)) return;
    const renewed = await leases.renew(held.lease, position);
    if (!renewed) {
      this.#drop(held);
      return;
    }
    Object.assign(held, { lease: renewed, saved: position, renewedAtMs: nowMs });
    delivery.validUntilMs = nowMs + leaseMs;
    if (renewed.wantedBy !== undefined) held.givingBack ??= this.#giveBack(held);
  }

  /** The lease is somebody else's. */
  #drop(held: HeldPart<Held, Position>): void {
    held.isGone = true;
    held.delivery.fence();
    held.givingBack ??= this.#giveBack(held);
  }

  async #giveBack(held: HeldPart<Held, Position>): Promise<void> {
    const { leases, nameOf, onFailure } = this.#options;
    const { delivery } = held;
    try {
      await delivery.stop();
      if (held.isGone) return;
      await leases.release(held.lease, delivery.settledPosition(), delivery.isEnded);
      if (delivery.isEnded) this.#lookedAtMs = -Infinity;
    } catch (error) {
      // The lease expires by itself, and whoever takes it goes on from its last renewal.
      onFailure(error);
    } finally {
      held.isGone = true;
      this.#held.delete(nameOf(held.lease));
      this.#sleeper.wake();
    }
  }

  async #lookForParts(): Promise<void> {
    const { leases, nameOf } = this.#options;
    const ready = await leases.ready();
    const free = ready.filter(
      (each) => !this.#held.has(nameOf(each)) && (each.owner === undefined || this.#isOver(each)),
    );
    const byOwner = Map.groupBy(
      ready.filter((each) => !free.includes(each)),
      ({ owner }) => owner,
    );
    byOwner.delete(this.#owner);
    const workers = byOwner.size + 1;
    const share = Math.ceil(ready.length / workers);
    for (const lease of free) if (this.#held.size < share) await this.#take(lease);
    if (free.length > 0 || this.#held.size >= Math.floor(ready.length / workers)) return;
    const [most] = [...byOwner.values()].sort((left, right) => right.length - left.length);
    // One at a time: others ask, too.
    if (most && !most.some(({ wantedBy }) => wantedBy === this.#owner)) await leases.want(most[0]!, this.#owner);
  }

  async #take(lease: Held): Promise<void> {
    const { clock, leases, leaseMs, nameOf, positionOf, deliver } = this.#options;
    const renewedAtMs = clock.monotonicMs();
    const taken = await leases.take(lease, this.#owner, leaseMs);
    if (!taken || this.#isClosing) {
      if (taken) await leases.release(taken, positionOf(taken), false);
      return;
    }
    const delivery = deliver(taken, renewedAtMs + leaseMs, {
      closing: this.#closing.signal,
      inTurn: (work) => {
        const done = this.#turn.then(work);
        this.#turn = done.catch(() => undefined);
        return done;
      },
      ended: () => this.#sleeper.wake(),
      lost: () => this.#drop(held),
    });
    const held: HeldPart<Held, Position> = {
      ...{ lease: taken, delivery, renewedAtMs, saved: positionOf(taken), isGone: false, givingBack: undefined },
    };
    this.#held.set(nameOf(taken), held);
  }

  /** Whether this worker has seen the lease unchanged for its whole length. */
  #isOver(lease: Held): boolean {
    const { fence, renewals, leaseMs } = lease;
    const name = this.#options.nameOf(lease);
    const nowMs = this.#options.clock.monotonicMs();
    const seen = this.#seen.get(name);
    if (seen?.fence === fence && seen.renewals === renewals) return nowMs - seen.sinceMonotonicMs >= leaseMs;
    this.#seen.set(name, { fence, renewals, sinceMonotonicMs: nowMs });
    return false;
  }
}

/** A part whose lease this worker has. */
interface HeldPart<Held extends Lease, Position> {
  /** As the store has it. */
  lease: Held;
  readonly delivery: LeasedDelivery<Position>;
  renewedAtMs: number;
  saved: Position;
  isGone: boolean;
  givingBack: Promise<void> | undefined;
}
