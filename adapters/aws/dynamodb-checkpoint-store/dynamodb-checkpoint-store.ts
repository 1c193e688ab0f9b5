import { randomUUID } from 'node:crypto';
import { systemClock, type Clock } from '#core/clock.ts';
import { isPortError, PortError, type CallOptions } from '#core/errors.ts';
import type { Checkpoint, CheckpointStore, Lease } from '#core/ports/checkpoint-store.ts';
import { awsCall, type AwsCodes } from '../aws-errors.ts';
import { openDynamoTable, type DynamoItem, type DynamoTable } from '../dynamo-table.ts';
import type { DynamodbCheckpointStoreConfig } from './config.ts';

/** An item of DynamoDB takes at most 400 KB, names included. */
const PART_BYTES = 380_000;
/** A reader that meets a save looks again, at most so often. */
const LOOKS = 5;

const CODES: AwsCodes = {
  ConditionalCheckFailedException: 'failed_precondition',
  // The table: an item that is absent is no error.
  ResourceNotFoundException: 'failed_precondition',
};

/** A lease as this process first saw it so. */
interface SeenLease {
  readonly fence: number;
  readonly renewals: number;
  readonly sinceMonotonicMs: number;
}

/**
 * Checkpoints and leases in a table of DynamoDB, by conditional writes. DynamoDB tells no time, and holders' clocks do not matter: a lease is over
 * once this process has watched it for its whole length without a renewal. So one whose holder is gone is taken over by who asks again.
 */
export class DynamodbCheckpointStore implements CheckpointStore {
  readonly #config: DynamodbCheckpointStoreConfig;
  readonly #table: DynamoTable;
  readonly #clock: Clock;
  readonly #seen = new Map<string, SeenLease>();

  constructor(config: DynamodbCheckpointStoreConfig, table: DynamoTable, clock: Clock = systemClock) {
    this.#config = config;
    this.#table = table;
    this.#clock = clock;
  }

  static async open(config: DynamodbCheckpointStoreConfig): Promise<DynamodbCheckpointStore> {
    return new DynamodbCheckpointStore(config, await openDynamoTable(config));
  }

  async load(name: string, options: CallOptions = {}): Promise<Checkpoint | undefined> {
    for (let look = 0; look < LOOKS; look++) {
      const head = await this.#call(`load checkpoint ${name}`, options, (signal) =>
        this.#table.get(checkpointKey(name), signal),
      );
      if (!head) return undefined;
      const state = (head['state'] as Uint8Array | undefined) ?? (await this.#loadParts(name, head, options));
      if (state) return { version: Number(head['version']), state };
    }
    throw new PortError('unavailable', `load checkpoint ${name}: it was saved again each time that it was read`);
  }

  async save(name: string, state: Uint8Array, expectedVersion: number, options: CallOptions = {}): Promise<Checkpoint> {
    const [version, what] = [expectedVersion + 1, `save checkpoint ${name}`];
    const parts = await this.#saveParts(name, state, options);
    try {
      const change = {
        set: parts ? { version, ...parts } : { version, state },
        remove: parts ? ['state'] : ['write', 'parts'],
        where: { version: expectedVersion === 0 ? undefined : expectedVersion },
      };
      const before = await this.#call(what, options, (signal) =>
        this.#table.update(checkpointKey(name), change, signal, 'old'),
      );
      await this.#deleteParts(name, before);
      return { version, state };
    } catch (error) {
      if (!isRefused(error)) throw error;
      if (parts) await this.#deleteParts(name, parts);
      throw new PortError(
        'failed_precondition',
        `checkpoint ${name} is no longer at version ${expectedVersion}: another process saved it`,
        { cause: error },
      );
    }
  }

  async acquireLease(
    name: string,
    holder: string,
    leaseMs: number,
    options: CallOptions = {},
  ): Promise<Lease | undefined> {
    const what = `acquire lease ${name}`;
    const found = await this.#call(what, options, (signal) => this.#table.get(leaseKey(name), signal));
    const heldBy = found?.['holder'];
    if (found && heldBy !== undefined && heldBy !== holder && !this.#isOver(name, found)) return undefined;
    const [fence, renewals] = [found?.['fence'], found?.['renewals']];
    const change = {
      set: { holder, leaseMs, renewals: 0 },
      add: { fence: 1 },
      where: { fence, renewals, holder: heldBy },
    };
    try {
      const taken = await this.#call(what, options, (signal) => this.#table.update(leaseKey(name), change, signal));
      this.#isOver(name, taken);
      return { name, holder, fence: Number(taken['fence']) };
    } catch (error) {
      if (isRefused(error)) return undefined;
      throw error;
    }
  }

  async renewLease(lease: Lease, leaseMs: number, options: CallOptions = {}): Promise<void> {
    const { name, holder, fence } = lease;
    try {
      const change = { set: { leaseMs }, add: { renewals: 1 }, where: { holder, fence } };
      await this.#call(`renew lease ${name}`, options, (signal) => this.#table.update(leaseKey(name), change, signal));
    } catch (error) {
      if (!isRefused(error)) throw error;
      const detail = `the lease ${name} was lost: another process took it after it had expired`;
      throw new PortError('failed_precondition', detail, { cause: error });
    }
  }

  async releaseLease({ name, holder, fence }: Lease, options: CallOptions = {}): Promise<void> {
    try {
      // The fence stays, so that the next holder's is higher.
      const change = { remove: ['holder'], where: { holder, fence } };
      await this.#call(`release lease ${name}`, options, (signal) =>
        this.#table.update(leaseKey(name), change, signal),
      );
    } catch (error) {
      if (!isRefused(error)) throw error;
    }
  }

  /** Lets go of connections. Idempotent. */
  close(): void {
    this.#table.close();
  }

  /** Whether this process has seen the lease unchanged for its whole length. */
  #isOver(name: string, { fence, renewals, leaseMs }: DynamoItem): boolean {
    const nowMs = this.#clock.monotonicMs();
    const seen = this.#seen.get(name);
    if (seen && seen.fence === fence && seen.renewals === renewals)
      return nowMs - seen.sinceMonotonicMs >= Number(leaseMs);
    this.#seen.set(name, { fence: Number(fence), renewals: Number(renewals), sinceMonotonicMs: nowMs });
    return false;
  }

  /** Where the state is too large for an item: its parts, which nobody reads until the checkpoint names them. */
  async #saveParts(name: string, state: Uint8Array, options: CallOptions): Promise<Parts | undefined> {
    if (state.byteLength <= PART_BYTES) return undefined;
    const written = { write: randomUUID(), parts: Math.ceil(state.byteLength / PART_BYTES) };
    await Promise.all(
      partKeys(name, written).map((key, index) => {
        const part = state.subarray(index * PART_BYTES, (index + 1) * PART_BYTES);
        return this.#call(`save part ${index} of checkpoint ${name}`, options, (signal) =>
          this.#table.update(key, { set: { state: part } }, signal),
        );
      }),
    );
    return written;
  }

  /** Undefined where a later save has deleted some. */
  async #loadParts(name: string, head: DynamoItem, options: CallOptions): Promise<Uint8Array | undefined> {
    const items = await Promise.all(
      partKeys(name, head).map((key) =>
        this.#call(`load a part of checkpoint ${name}`, options, (signal) => this.#table.get(key, signal)),
      ),
    );
    const states = items.map((item) => item?.['state'] as Uint8Array | undefined);
    return states.every((state) => state !== undefined) ? Buffer.concat(states) : undefined;
  }

  /** Parts that no checkpoint names any more. What cannot be deleted only takes room. */
  async #deleteParts(name: string, head: DynamoItem | Parts): Promise<void> {
    await Promise.allSettled(
      partKeys(name, head).map((key) =>
        this.#call(`delete a part of checkpoint ${name}`, {}, (signal) => this.#table.delete(key, signal)),
      ),
    );
  }

  #call<Result>(
    doing: string,
    { signal }: CallOptions,
    call: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const { table, timeoutMs } = this.#config;
    return awsCall({ what: `${doing} in table ${table}`, timeoutMs, signal, codes: CODES }, call);
  }
}

/** Of a state in parts: which write they are of, and how many. */
interface Parts {
  readonly write: string;
  readonly parts: number;
}

function partKeys(name: string, { write, parts = 0 }: DynamoItem | Parts) {
  const { pk } = checkpointKey(name);
  return Array.from({ length: Number(parts) }, (_, index) => ({ pk, sk: `part#${String(write)}#${index}` }));
}

export const checkpointKey = (name: string) => ({ pk: `checkpoint#${name}`, sk: 'head' });
export const leaseKey = (name: string) => ({ pk: `lease#${name}`, sk: 'head' });

/** A condition that did not hold; a table that is not there has the same code. */
function isRefused(error: unknown): boolean {
  return isPortError(error) && error.cause instanceof Error && error.cause.name === 'ConditionalCheckFailedException';
}
