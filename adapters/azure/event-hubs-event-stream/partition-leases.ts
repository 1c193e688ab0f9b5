import type { Lease, LeaseStore } from '#core/delivery/lease-worker.ts';
import type { LeaseBlobs, MetadataBlob } from './lease-blobs.ts';

/** Of a group and partition. Its fence is the owner level of the receiver, so that Event Hubs ends the receivers of owners before. */
export interface PartitionLease extends Lease {
  readonly partition: number;
  /** The last event that is settled with all before it, by its sequence number; -1 for none. */
  readonly position: number;
  readonly etag: string;
}

const DECLARED = 'declared';

/** The leases of a group on a hub's partitions, a blob each, which say how far the group is, too. Every change is conditional on the blob's ETag. */
export class PartitionLeases implements LeaseStore<PartitionLease, number> {
  readonly #blobs: LeaseBlobs;
  readonly #prefix: string;

  constructor(blobs: LeaseBlobs, hub: string, group: string) {
    this.#blobs = blobs;
    this.#prefix = `${hub}/${group}/`;
  }

  /** Undefined for a group that was not declared. */
  async list(signal?: AbortSignal): Promise<readonly PartitionLease[] | undefined> {
    const blobs = await this.#blobs.list(this.#prefix, signal);
    const names = blobs.map(({ name }) => name.slice(this.#prefix.length));
    if (!names.includes(DECLARED)) return undefined;
    return blobs.flatMap((blob, index) => (names[index] === DECLARED ? [] : [leaseOf(names[index]!, blob)]));
  }

  /** Makes the lease where there is none, with nobody as its owner. */
  async create(partition: number, position: number, signal?: AbortSignal): Promise<void> {
    const lease = { partition, position, owner: undefined, fence: 0, renewals: 0, leaseMs: 0, wantedBy: undefined };
    await this.#blobs.put(this.#nameOf(lease), metadataOf(lease), { ifNoneMatch: '*' }, signal);
  }

  /** The last step of a declaration, after its leases. */
  async declare(signal?: AbortSignal): Promise<void> {
    await this.#blobs.put(`${this.#prefix}${DECLARED}`, {}, { ifNoneMatch: '*' }, signal);
  }

  /** Takes the declaration back, then the leases. */
  async forget(signal?: AbortSignal): Promise<void> {
    await this.#blobs.delete(`${this.#prefix}${DECLARED}`, signal);
    for (const { name } of await this.#blobs.list(this.#prefix, signal)) await this.#blobs.delete(name, signal);
  }

  async ready(): Promise<readonly PartitionLease[]> {
    return (await this.list()) ?? [];
  }

  take(lease: PartitionLease, owner: string, leaseMs: number): Promise<PartitionLease | undefined> {
    return this.#put({ ...lease, owner, leaseMs, fence: lease.fence + 1, renewals: 0, wantedBy: undefined });
  }

  renew(lease: PartitionLease, position: number): Promise<PartitionLease | undefined> {
    return this.#change(lease, (own) => ({ ...own, position, renewals: own.renewals + 1 }));
  }

  async release(lease: PartitionLease, position: number): Promise<void> {
    await this.#change(lease, (own) => ({ ...own, position, owner: undefined, wantedBy: undefined }));
  }

  async want(lease: PartitionLease, wantedBy: string): Promise<void> {
    await this.#put({ ...lease, wantedBy });
  }

  /** Changes the owner's own lease, also where it was wanted or renewed since it was read. */
  async #change(
    lease: PartitionLease,
    change: (own: PartitionLease) => PartitionLease,
  ): Promise<PartitionLease | undefined> {
    const changed = await this.#put(change(lease));
    if (changed) return changed;
    const now = (await this.ready()).find(({ partition }) => partition === lease.partition);
    return now && now.owner === lease.owner && now.fence === lease.fence ? this.#put(change(now)) : undefined;
  }

  async #put(lease: PartitionLease): Promise<PartitionLease | undefined> {
    const etag = await this.#blobs.put(this.#nameOf(lease), metadataOf(lease), { ifMatch: lease.etag });
    return etag === undefined ? undefined : { ...lease, etag };
  }

  #nameOf({ partition }: Pick<PartitionLease, 'partition'>): string {
    return `${this.#prefix}${partition}`;
  }
}

function metadataOf(lease: Omit<PartitionLease, 'etag'>): Record<string, string> {
  const { position, owner, fence, renewals, leaseMs, wantedBy } = lease;
  return {
    ...{ position: String(position), fence: String(fence), renewals: String(renewals), leasems: String(leaseMs) },
    ...(owner !== undefined && { owner }),
    ...(wantedBy !== undefined && { wantedby: wantedBy }),
  };
}

function leaseOf(name: string, { etag, metadata }: MetadataBlob): PartitionLease {
  return {
    ...{ partition: Number(name), etag, owner: metadata['owner'], wantedBy: metadata['wantedby'] },
    ...{ position: Number(metadata['position']), fence: Number(metadata['fence']) },
    ...{ renewals: Number(metadata['renewals']), leaseMs: Number(metadata['leasems']) },
  };
}
