import { randomUUID } from 'node:crypto';
import type { Clock } from '#core/clock.ts';
import type { DeliveryLimits } from '#core/delivery/delivery-window.ts';
import { SettledBefore } from '#core/delivery/settled-before.ts';
import type { BatchHandler, Progress, Subscription } from '#core/ports/event-stream.ts';
import type { KinesisCalls } from './client.ts';
import type { LeaseTable, ShardLease } from './lease-table.ts';
import { Sleeper } from '#core/delivery/sleeper.ts';
import { childLeases, outlivedLeases, readyLeases, waitsForUnleased } from './shard-family.ts';
import { ShardDelivery, type ShardDeliveryParts } from './shard-delivery.ts';

/** A lease is renewed so many times in its length. */
const RENEWALS_A_LEASE = 3;

export interface GroupSubscriptionOptions extends Pick<ShardDeliveryParts, 'iterator' | 'read' | 'onFailure'> {
  readonly clock: Clock;
  readonly leases: LeaseTable;
  readonly shards: () => ReturnType<KinesisCalls['shards']>;
  readonly group: string;
  readonly handler: BatchHandler;
  readonly limits: DeliveryLimits;
  readonly resumeAfter: readonly Progress[] | undefined;
  readonly pollMs: number;
  readonly leaseMs: number;
  readonly checkpointIntervalMs: number;
}

/** A lease as this process first saw it so. */
interface SeenLease {
  readonly fence: number;
  readonly renewals: number;
  readonly sinceMonotonicMs: number;
}

/**
 * Delivers a stream to one worker of a group. A lease a shard says whose it is; clocks do not matter: a lease is over once a worker has
 * seen it unrenewed for its whole length. Who has less than its share takes what is free, and else asks for a shard, which its owner
 * gives up once the batch that is out is settled. A shard begins when those that it was split or merged from are settled.
 */
export class GroupSubscription implements Subscription {
  readonly #options: GroupSubscriptionOptions;
  readonly #owner = randomUUID();
  readonly #closing = new AbortController();
  readonly #settled: SettledBefore;
  readonly #held = new Map<string, Held>();
  readonly #seen = new Map<string, SeenLease>();
  readonly #done: Promise<void>;
  #turn: Promise<void> = Promise.resolve();
  #lookedAtMs = -Infinity;
  readonly #sleeper = new Sleeper();

  constructor(options: GroupSubscriptionOptions) {
    this.#options = options;
    this.#settled = new SettledBefore(options.resumeAfter);
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
    await this.#lookForShards();
  }

  /** Renews the lease where it is time, with what was settled; gives it back where that is asked for. */
  async #keep(held: Held): Promise<void> {
    const { clock, leases, group, leaseMs } = this.#options;
    const { delivery } = held;
    if ((this.#isClosing || delivery.isEnded) && !held.givingBack) held.givingBack = this.#giveBack(held);
    const nowMs = clock.monotonicMs();
    const position = delivery.settledPosition();
    const hasAdvanced =
      position?.sequenceNumber !== held.saved?.sequenceNumber || position?.events !== held.saved?.events;
    if (held.isGone || (!hasAdvanced && nowMs - held.renewedAtMs < this.#renewEveryMs)) return;
    const renewed = await leases.renew(group, delivery.lease, position);
    if (!renewed) {
      this.#drop(held);
      return;
    }
    Object.assign(held, { saved: position, renewedAtMs: nowMs });
    delivery.validUntilMs = nowMs + leaseMs;
    if (renewed.wantedBy !== undefined) held.givingBack ??= this.#giveBack(held);
  }

  /** The lease is somebody else's. */
  #drop(held: Held): void {
    held.isGone = true;
    held.delivery.fence();
    held.givingBack ??= this.#giveBack(held);
  }

  async #giveBack(held: Held): Promise<void> {
    const { leases, group, onFailure } = this.#options;
    const { delivery } = held;
    const { lease } = delivery;
    try {
      await delivery.stop();
      if (held.isGone) return;
      if (delivery.isEnded) await this.#openChildren(lease.shard);
      await leases.release(group, lease, delivery.settledPosition(), delivery.isEnded);
      if (delivery.isEnded) this.#lookedAtMs = -Infinity;
    } catch (error) {
      // The lease expires by itself, and whoever takes it goes on from its last renewal.
      onFailure(error);
    } finally {
      held.isGone = true;
      this.#held.delete(lease.shard);
      this.#sleeper.wake();
    }
  }

  /** Makes leases of the shards that this one was split or merged into, and lets go of those of shards that are no more. */
  async #openChildren(parent: string): Promise<void> {
    const { leases, group, shards } = this.#options;
    const [listed, known] = [await shards(), await leases.list(group)];
    for (const child of childLeases(parent, listed, known))
      await leases.create(group, { ...child, position: undefined });
    for (const { shard } of outlivedLeases(known, listed)) await leases.delete(group, shard);
  }

  async #lookForShards(): Promise<void> {
    const { leases, group, shards } = this.#options;
    const known = await leases.list(group);
    const ready = readyLeases(known, waitsForUnleased(known) ? await shards() : []);
    const free = ready.filter(
      (each) => !this.#held.has(each.shard) && (each.owner === undefined || this.#isOver(each)),
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
    if (most && !most.some(({ wantedBy }) => wantedBy === this.#owner)) await leases.want(group, most[0]!, this.#owner);
  }

  async #take(lease: ShardLease): Promise<void> {
    const { clock, leases, group, leaseMs, handler, limits, pollMs, iterator, read, onFailure } = this.#options;
    const renewedAtMs = clock.monotonicMs();
    const taken = await leases.take(group, lease, this.#owner, leaseMs);
    if (!taken || this.#isClosing) {
      if (taken) await leases.release(group, taken, taken.position, false);
      return;
    }
    const delivery = new ShardDelivery(taken, renewedAtMs + leaseMs, {
      ...{ clock, limits, handler, pollMs, iterator, read, onFailure },
      settled: this.#settled,
      closing: this.#closing.signal,
      inTurn: (work) => (this.#turn = this.#turn.then(work)),
      onEnded: () => this.#sleeper.wake(),
    });
    this.#held.set(taken.shard, { delivery, renewedAtMs, saved: taken.position, isGone: false, givingBack: undefined });
  }

  /** Whether this worker has seen the lease unchanged for its whole length. */
  #isOver({ shard, fence, renewals, leaseMs }: ShardLease): boolean {
    const nowMs = this.#options.clock.monotonicMs();
    const seen = this.#seen.get(shard);
    if (seen?.fence === fence && seen.renewals === renewals) return nowMs - seen.sinceMonotonicMs >= leaseMs;
    this.#seen.set(shard, { fence, renewals, sinceMonotonicMs: nowMs });
    return false;
  }
}

/** A shard whose lease this worker has. */
interface Held {
  readonly delivery: ShardDelivery;
  renewedAtMs: number;
  /** As the table has it. */
  saved: ShardLease['position'];
  isGone: boolean;
  givingBack: Promise<void> | undefined;
}
