import type { Lease } from '#core/delivery/lease-worker.ts';
import { isPortError } from '#core/errors.ts';
import { awsCall, type AwsCodes } from '../aws-errors.ts';
import type { DynamoChange, DynamoItem, DynamoKey, DynamoTable } from '../dynamo-table.ts';
import type { ShardStart } from './client.ts';

const CODES: AwsCodes = {
  ConditionalCheckFailedException: 'already_exists',
  // The table: an item that is absent is no error.
  ResourceNotFoundException: 'failed_precondition',
};

/** Of a group and shard, as the table has it. */
export interface ShardLease extends Lease {
  readonly shard: string;
  /** What the group has settled of the shard. */
  readonly position: ShardPosition;
  /** Shards that the group settles before it, as what they have of a machine is older. */
  readonly parents: readonly string[];
  /** True once everything of the shard is settled, and nothing will be added. */
  readonly isEnded: boolean;
}

/** So many events of the record are settled, and all before it; all of it without a number. Undefined: nothing of the shard. */
export type ShardPosition = { readonly sequenceNumber: string; readonly events?: number } | undefined;

/** Where reading goes on from a position. */
export function startOf(position: ShardPosition): ShardStart {
  if (!position) return { at: 'oldest' };
  const { sequenceNumber, events } = position;
  return { at: events === undefined ? 'after' : 'record', sequenceNumber };
}

/** The groups of one stream, and their leases, in a table of DynamoDB. Every change of a lease is conditional on its owner and fence. */
export class LeaseTable {
  readonly #table: DynamoTable;
  readonly #stream: string;
  readonly #timeoutMs: number;
  readonly #beforeProgress: (group: string) => Promise<void>;

  /** `beforeProgress` has to succeed before the progress of the group is saved. */
  constructor(
    table: DynamoTable,
    stream: string,
    timeoutMs: number,
    beforeProgress: (group: string) => Promise<void> = () => Promise.resolve(),
  ) {
    this.#table = table;
    this.#stream = stream;
    this.#timeoutMs = timeoutMs;
    this.#beforeProgress = beforeProgress;
  }

  async isDeclared(group: string, signal?: AbortSignal): Promise<boolean> {
    const found = await this.#call(`look for group ${group}`, signal, (stopped) =>
      this.#table.get(this.#groupKey(group), stopped),
    );
    return found !== undefined;
  }

  /** The last step of a declaration, after its leases. */
  async declare(group: string, signal?: AbortSignal): Promise<void> {
    await this.#update(`declare group ${group}`, this.#groupKey(group), { set: { isDeclared: true } }, signal);
  }

  /** Takes the declaration back, then the leases. */
  async forget(group: string, signal?: AbortSignal): Promise<void> {
    const what = `forget group ${group}`;
    await this.#call(what, signal, (stopped) => this.#table.delete(this.#groupKey(group), stopped));
    for (const { shard } of await this.list(group, signal)) await this.delete(group, shard, signal);
  }

  async list(group: string, signal?: AbortSignal): Promise<readonly ShardLease[]> {
    const items = await this.#call(`list leases of group ${group}`, signal, (stopped) =>
      this.#table.list(this.#leaseKey(group, '').pk, stopped),
    );
    return items.map(leaseOf);
  }

  /** Makes the lease where there is none, with nobody as its owner. */
  async create(
    group: string,
    { shard, position, parents }: Pick<ShardLease, 'shard' | 'position' | 'parents'>,
    signal?: AbortSignal,
  ): Promise<void> {
    const set = { fence: 0, renewals: 0, parents: parents.join(' '), ...attributesOf(position) };
    await this.#change(`create lease of ${shard}`, group, shard, { set, where: { fence: undefined } }, signal);
  }

  /** Undefined where somebody else was first, or the owner renewed it. */
  async take(group: string, lease: ShardLease, owner: string, leaseMs: number): Promise<ShardLease | undefined> {
    const { shard, fence, renewals } = lease;
    return this.#change(`take lease of ${shard}`, group, shard, {
      set: { owner, leaseMs, renewals: 0 },
      add: { fence: 1 },
      remove: ['wantedBy'],
      where: { fence, renewals, owner: lease.owner },
    });
  }

  /** Saves the position, and says that the owner is alive. Undefined where the lease is no longer the owner's. */
  async renew(group: string, lease: ShardLease, position: ShardPosition): Promise<ShardLease | undefined> {
    const { shard, owner, fence } = lease;
    await this.#beforeProgress(group);
    return this.#change(`renew lease of ${shard}`, group, shard, {
      ...changeTo(position),
      add: { renewals: 1 },
      where: { owner, fence },
    });
  }

  /** Gives the lease back at once; one that is no longer the owner's is left alone. */
  async release(group: string, lease: ShardLease, position: ShardPosition, isEnded: boolean): Promise<void> {
    const { shard, owner, fence } = lease;
    const { set, remove = [] } = changeTo(position);
    await this.#beforeProgress(group);
    await this.#change(`release lease of ${shard}`, group, shard, {
      set: { ...set, ...(isEnded && { isEnded }) },
      remove: [...remove, 'owner', 'wantedBy'],
      where: { owner, fence },
    });
  }

  /** Asks the owner for it. */
  async want(group: string, { shard, owner, fence }: ShardLease, wantedBy: string): Promise<void> {
    await this.#change(`want lease of ${shard}`, group, shard, { set: { wantedBy }, where: { owner, fence } });
  }

  async delete(group: string, shard: string, signal?: AbortSignal): Promise<void> {
    const key = this.#leaseKey(group, shard);
    await this.#call(`delete lease of ${shard}`, signal, (stopped) => this.#table.delete(key, stopped));
  }

  /** A number above all that it gave before for the source. */
  async openEpoch(source: string): Promise<number> {
    const key = { pk: `stream#${this.#stream}`, sk: `epoch#${source}` };
    const { epoch } = await this.#update(`open an epoch of ${source}`, key, { add: { epoch: 1 } });
    return Number(epoch);
  }

  async #change(
    doing: string,
    group: string,
    shard: string,
    change: DynamoChange,
    signal?: AbortSignal,
  ): Promise<ShardLease | undefined> {
    try {
      return leaseOf(await this.#update(`${doing} for group ${group}`, this.#leaseKey(group, shard), change, signal));
    } catch (error) {
      // The condition did not hold.
      if (isPortError(error) && error.code === 'already_exists') return undefined;
      throw error;
    }
  }

  #update(doing: string, key: DynamoKey, change: DynamoChange, signal?: AbortSignal): Promise<DynamoItem> {
    return this.#call(doing, signal, (stopped) => this.#table.update(key, change, stopped));
  }

  #call<Result>(
    doing: string,
    signal: AbortSignal | undefined,
    call: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const what = `${doing} (stream ${this.#stream})`;
    return awsCall({ what, timeoutMs: this.#timeoutMs, signal, codes: CODES }, call);
  }

  #groupKey(group: string): DynamoKey {
    return { pk: `stream#${this.#stream}`, sk: `group#${group}` };
  }

  #leaseKey(group: string, shard: string): DynamoKey {
    return { pk: `stream#${this.#stream}#group#${group}`, sk: shard };
  }
}

function changeTo(position: ShardPosition): { set: DynamoItem; remove?: readonly string[] } {
  const set = attributesOf(position);
  return position?.events === undefined ? { set, remove: ['events'] } : { set };
}

function attributesOf(position: ShardPosition): DynamoItem {
  return { sequenceNumber: position?.sequenceNumber, events: position?.events };
}

function leaseOf(item: DynamoItem): ShardLease {
  const sequenceNumber = item['sequenceNumber'] as string | undefined;
  const events = item['events'] as number | undefined;
  return {
    shard: item['sk'] as string,
    position: sequenceNumber === undefined ? undefined : { sequenceNumber, ...(events !== undefined && { events }) },
    parents: String(item['parents'] ?? '')
      .split(' ')
      .filter((parent) => parent !== ''),
    isEnded: item['isEnded'] === true,
    owner: item['owner'] as string | undefined,
    fence: item['fence'] as number,
    renewals: item['renewals'] as number,
    leaseMs: (item['leaseMs'] as number | undefined) ?? 0,
    wantedBy: item['wantedBy'] as string | undefined,
  };
}
