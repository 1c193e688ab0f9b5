import type { Shard } from './client.ts';
import type { ShardLease } from './lease-table.ts';

/** The leases to make once everything of a shard is settled: of those that it was split or merged into, each with the parents that the group has to settle. */
export function childLeases(
  ended: string,
  listed: readonly Shard[],
  known: readonly ShardLease[],
): readonly Pick<ShardLease, 'shard' | 'parents'>[] {
  const byId = new Map(listed.map((shard) => [shard.id, shard]));
  const leased = new Set(known.map(({ shard }) => shard));
  // Also one that will have a lease only when its own parent has ended.
  const isOfGroup = (id: string): boolean => leased.has(id) || (byId.get(id)?.parents ?? []).some(isOfGroup);
  return listed
    .filter(({ id, parents }) => parents.includes(ended) && !leased.has(id))
    .map(({ id, parents }) => ({ shard: id, parents: parents.filter(isOfGroup) }));
}

/** The leases whose shards may be read: not settled yet, but all their parents are, or are past the stream's retention. */
export function readyLeases(known: readonly ShardLease[], listed: readonly Shard[]): readonly ShardLease[] {
  const isEnded = new Map(known.map((lease) => [lease.shard, lease.isEnded]));
  const isListed = new Set(listed.map(({ id }) => id));
  const isSettled = (parent: string): boolean => isEnded.get(parent) ?? !isListed.has(parent);
  return known.filter((lease) => !lease.isEnded && lease.parents.every(isSettled));
}

/** The leases that say nothing any more: of shards that are settled and past the stream's retention, and for which none waits. */
export function outlivedLeases(known: readonly ShardLease[], listed: readonly Shard[]): readonly ShardLease[] {
  const isListed = new Set(listed.map(({ id }) => id));
  const waitedFor = new Set(known.filter(({ isEnded }) => !isEnded).flatMap(({ parents }) => parents));
  return known.filter(({ shard, isEnded }) => isEnded && !isListed.has(shard) && !waitedFor.has(shard));
}

/** Whether a lease waits for a shard that has none: then it is to be asked whether that is still listed. */
export function waitsForUnleased(known: readonly ShardLease[]): boolean {
  const leased = new Set(known.map(({ shard }) => shard));
  return known.some(({ isEnded, parents }) => !isEnded && parents.some((parent) => !leased.has(parent)));
}
