import type { Clock } from '#core/clock.ts';
import type { DeliveryLimits } from '#core/delivery/delivery-window.ts';
import { LeaseWorker, type LeaseStore } from '#core/delivery/lease-worker.ts';
import { SettledBefore } from '#core/delivery/settled-before.ts';
import type { BatchHandler, Progress, Subscription } from '#core/ports/event-stream.ts';
import type { KinesisCalls } from './client.ts';
import type { LeaseTable, ShardLease, ShardPosition } from './lease-table.ts';
import { childLeases, outlivedLeases, readyLeases, waitsForUnleased } from './shard-family.ts';
import { ShardDelivery, type ShardDeliveryParts } from './shard-delivery.ts';

export interface GroupSubscriptionOptions extends Pick<
  ShardDeliveryParts,
  'iterator' | 'read' | 'decode' | 'onFailure'
> {
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

/** Delivers a stream to one worker of a group, a lease a shard. A shard begins when those that it was split or merged from are settled. */
export function subscribeToShards(options: GroupSubscriptionOptions): Subscription {
  const { clock, limits, handler, pollMs, leaseMs, checkpointIntervalMs, iterator, read, decode, onFailure } = options;
  const settled = new SettledBefore(options.resumeAfter);
  return new LeaseWorker<ShardLease, ShardPosition>({
    ...{ clock, leaseMs, checkpointIntervalMs, onFailure },
    leases: leasesOf(options),
    nameOf: ({ shard }) => shard,
    positionOf: ({ position }) => position,
    isSame: (left, right) => left?.sequenceNumber === right?.sequenceNumber && left?.events === right?.events,
    deliver: (lease, validUntilMs, { closing, inTurn, ended: onEnded }) =>
      new ShardDelivery(lease, validUntilMs, {
        ...{ clock, limits, handler, settled, pollMs, iterator, read, decode, closing, inTurn, onEnded, onFailure },
      }),
  });
}

function leasesOf({ leases, group, shards }: GroupSubscriptionOptions): LeaseStore<ShardLease, ShardPosition> {
  return {
    ready: async () => {
      const known = await leases.list(group);
      return readyLeases(known, waitsForUnleased(known) ? await shards() : []);
    },
    take: (lease, owner, leaseMs) => leases.take(group, lease, owner, leaseMs),
    renew: (lease, position) => leases.renew(group, lease, position),
    release: async (lease, position, isEnded) => {
      if (isEnded) await openChildren(lease.shard);
      await leases.release(group, lease, position, isEnded);
    },
    want: (lease, wantedBy) => leases.want(group, lease, wantedBy),
  };

  /** Makes leases of the shards that this one was split or merged into, and lets go of those of shards that are no more. */
  async function openChildren(parent: string): Promise<void> {
    const [listed, known] = [await shards(), await leases.list(group)];
    for (const child of childLeases(parent, listed, known))
      await leases.create(group, { ...child, position: undefined });
    for (const { shard } of outlivedLeases(known, listed)) await leases.delete(group, shard);
  }
}
