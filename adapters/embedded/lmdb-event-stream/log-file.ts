import { mkdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { open, type Database, type RootDatabase } from 'lmdb';
import { isName } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';
import { lmdbPortError, reasonOfFailedCommit } from './errors.ts';

const FORMAT = 1;
/** With less left, a failed write is put down to the full disk: a commit writes some pages at a time. */
const DISK_IS_FULL_BYTES = 2 ** 20;
const HEAD_KEY = 'head';
const FORMAT_KEY = 'format';

/** What is durable, as of one commit. Positions count events from the stream's beginning, over all sources. */
export interface LogHead {
  /** Rises by one a commit; a writer that saw another one has missed a commit. */
  readonly commit: number;
  /** The first position that is still kept. */
  readonly firstPosition: number;
  /** The position that the next event will have. */
  readonly nextPosition: number;
  /** Sum of the frames' lengths. */
  readonly bytes: number;
}

/** One commit: frames to append, old ones to remove. */
export interface LogCommit {
  /** The head this follows. */
  readonly after: LogHead;
  /** At the positions that follow `after.nextPosition`. */
  readonly frames: readonly { readonly bytes: Buffer; readonly count: number }[];
  /** Cumulative items of the tenants that changed. */
  readonly tenantItems: ReadonlyMap<string, number>;
  readonly removed: { readonly positions: readonly number[]; readonly bytes: number; readonly firstPosition: number };
}

/**
 * The LMDB environment of one stream: frames by the position of their first event, the head, the tenants' cumulative items, sources'
 * epochs and groups' checkpoints. Several processes may write: a commit names the head that it follows and does nothing otherwise.
 *
 * `overlappingSync: false` gives LMDB's own order: data pages, fdatasync, then the meta page through a synchronous descriptor; only then
 * do readers of any process see the transaction. So what is readable is durable. The map is made large enough at once, so it never moves.
 */
export class LogFile {
  readonly directory: string;
  readonly #root: RootDatabase<Buffer, string>;
  readonly #frames: Database<Buffer, number>;
  readonly #meta: Database<Buffer, string>;
  readonly #tenants: Database<Buffer, string>;
  readonly #sources: Database<Buffer, string>;
  readonly #groups: Database<Buffer, string>;

  constructor(directory: string, mapSize: number, freeSpaceReserveBytes: number) {
    this.directory = directory;
    try {
      mkdirSync(directory, { recursive: true });
      this.#refuseAFullDisk(freeSpaceReserveBytes);
      // Without event-turn batching, and with a threshold of 1, lmdb-js starts a transaction when it is told to, not a turn later.
      const options = {
        overlappingSync: false,
        eventTurnBatching: false,
        txnStartThreshold: 1,
        mapSize,
        maxReaders: 512,
      };
      this.#root = open<Buffer, string>(join(directory, 'log'), { ...options, ...BINARY });
      this.#meta = this.#root.openDB<Buffer, string>('meta', { ...BINARY, useVersions: true });
      this.#frames = this.#root.openDB<Buffer, number>('frames', BINARY);
      this.#tenants = this.#root.openDB<Buffer, string>('tenants', BINARY);
      this.#sources = this.#root.openDB<Buffer, string>('sources', BINARY);
      this.#groups = this.#root.openDB<Buffer, string>('groups', BINARY);
      this.#initialize();
    } catch (error) {
      throw lmdbPortError(error, `opening the event log in ${directory}`);
    }
  }

  /** The file whose content changes at each commit of any process. */
  get dataPath(): string {
    return join(this.directory, 'log', 'data.mdb');
  }

  /** Reads from now on see what has been committed until now, by any process. */
  refresh(): void {
    this.#root.resetReadTxn();
  }

  readHead(): LogHead {
    const record = this.#meta.getBinary(HEAD_KEY);
    if (!record) throw new PortError('data_loss', `the event log in ${this.directory} has no head`);
    return decodeHead(record);
  }

  /** The frame that begins at the position. */
  readFrame(position: number): Buffer | undefined {
    return this.#frames.getBinary(position);
  }

  /** The position of the frame that contains the given one, or of the first after it. */
  findFrame(position: number): number | undefined {
    for (const key of this.#frames.getKeys({ start: position, reverse: true, limit: 1 })) return key;
    for (const key of this.#frames.getKeys({ start: position, limit: 1 })) return key;
    return undefined;
  }

  /** Positions of frames at or after `from`, oldest first. */
  framePositions(from: number, limit: number): number[] {
    return [...this.#frames.getKeys({ start: from, limit })];
  }

  /** Positions of frames at or before `from`, newest first. */
  framePositionsBackwards(from: number, limit: number): number[] {
    return [...this.#frames.getKeys({ start: from, reverse: true, limit })];
  }

  /** The tenant's items up to the durable head. */
  readTenantItems(tenant: string): number {
    return this.#tenants.getBinary(tenant)?.readDoubleLE(0) ?? 0;
  }

  readAllTenantItems(): Map<string, number> {
    const items = new Map<string, number>();
    for (const { key, value } of this.#tenants.getRange({})) items.set(key, value.readDoubleLE(0));
    return items;
  }

  /** Resolves true once durable; false where another process has committed since, and then nothing was done. @throws PortError */
  async commit({ after, frames, tenantItems, removed }: LogCommit): Promise<boolean> {
    try {
      const done = this.#meta.ifVersion(HEAD_KEY, after.commit, () => {
        let nextPosition = after.nextPosition;
        let bytes = after.bytes - removed.bytes;
        for (const frame of frames) {
          void this.#frames.put(nextPosition, frame.bytes);
          nextPosition += frame.count;
          bytes += frame.bytes.byteLength;
        }
        for (const position of removed.positions) void this.#frames.remove(position);
        for (const [tenant, items] of tenantItems) void this.#tenants.put(tenant, doubles(items));
        const head = { commit: after.commit + 1, firstPosition: removed.firstPosition, nextPosition, bytes };
        void this.#meta.put(HEAD_KEY, encodeHead(head), head.commit);
      });
      // A second operation makes lmdb-js start the transaction now instead of in the next turn. It shares the first one's fate.
      this.#meta.remove('none').catch(reasonOfFailedCommit);
      return await done;
    } catch (error) {
      const reason = lmdbPortError(await reasonOfFailedCommit(error), `writing to the event log in ${this.directory}`);
      // LMDB calls a short write an input/output error; where the disk is full, that is what it was.
      if (reason.code !== 'unavailable' || this.freeSpaceBytes() > DISK_IS_FULL_BYTES) throw reason;
      throw new PortError('resource_exhausted', `the file system of ${this.directory} is full`, { cause: reason });
    }
  }

  /** Takes a new epoch for the source: higher than any it had, also where the folder was lost, as long as the clock does not go back. */
  takeEpoch(source: string, nowMs: number): number {
    try {
      return this.#root.transactionSync(() => {
        const previous = this.#sources.getBinary(source)?.readDoubleLE(0) ?? 0;
        const epoch = Math.max(previous + 1, nowMs);
        this.#sources.putSync(source, doubles(epoch));
        return epoch;
      });
    } catch (error) {
      throw lmdbPortError(error, `opening the event log in ${this.directory} for writing`);
    }
  }

  /** Makes the group known from the head on; leaves one alone that is. */
  declareGroup(group: string): void {
    try {
      this.#root.transactionSync(() => {
        if (this.#groups.getBinary(group)) return;
        const { nextPosition } = this.readHead();
        this.#groups.putSync(group, doubles(nextPosition));
      });
    } catch (error) {
      throw lmdbPortError(error, `declaring the group ${group}`);
    }
  }

  /** The position below which the group has settled everything; undefined for a group that was never declared. */
  readCheckpoint(group: string): number | undefined {
    return this.#groups.getBinary(group)?.readDoubleLE(0);
  }

  /** Of all groups the lowest, or undefined without any. */
  readLowestCheckpoint(): number | undefined {
    let lowest: number | undefined;
    for (const { value } of this.#groups.getRange({})) {
      const checkpoint = value.readDoubleLE(0);
      if (lowest === undefined || checkpoint < lowest) lowest = checkpoint;
    }
    return lowest;
  }

  async saveCheckpoint(group: string, position: number): Promise<void> {
    try {
      await this.#groups.put(group, doubles(position));
    } catch (error) {
      throw lmdbPortError(await reasonOfFailedCommit(error), `saving the checkpoint of the group ${group}`);
    }
  }

  /** A path for the lock of a group's active subscription. */
  lockPath(group: string): string {
    return join(this.directory, `${group}.lock`);
  }

  /** Bytes that other files may take on the file system before it is full. */
  freeSpaceBytes(): number {
    const { bavail, bsize } = statfsSync(this.directory);
    return bavail * bsize;
  }

  async close(): Promise<void> {
    await this.#root.close();
  }

  /** A store into a mapped page that the file system has no block for kills the process: LMDB makes its lock file so. */
  #refuseAFullDisk(reserveBytes: number): void {
    const free = this.freeSpaceBytes();
    if (free >= Math.min(reserveBytes, 2 ** 20)) return;
    throw new PortError('resource_exhausted', `only ${free} bytes are free for the event log in ${this.directory}`);
  }

  #initialize(): void {
    const format = this.#meta.getBinary(FORMAT_KEY)?.readDoubleLE(0);
    if (format === FORMAT) return;
    if (format !== undefined)
      throw new PortError(
        'failed_precondition',
        `the event log in ${this.directory} has format ${format}, this program writes ${FORMAT}: start the version that made it`,
      );
    this.#root.transactionSync(() => {
      if (this.#meta.getBinary(FORMAT_KEY)) return;
      this.#meta.putSync(FORMAT_KEY, doubles(FORMAT), 1);
      const empty = { commit: 1, firstPosition: 0, nextPosition: 0, bytes: 0 };
      this.#meta.putSync(HEAD_KEY, encodeHead(empty), empty.commit);
    });
  }
}

/** @throws PortError invalid_argument */
export function checkGroupName(group: string): void {
  if (isName(group)) return;
  const got = JSON.stringify(group).slice(0, 100);
  throw new PortError('invalid_argument', `a group is named with 1 to 64 of A-Z a-z 0-9 _ . -, got ${got}`);
}

const BINARY = { encoding: 'binary', compression: false, cache: false } as const;

function encodeHead(head: LogHead): Buffer {
  return doubles(head.commit, head.firstPosition, head.nextPosition, head.bytes);
}

function decodeHead(record: Buffer): LogHead {
  return {
    commit: record.readDoubleLE(0),
    firstPosition: record.readDoubleLE(8),
    nextPosition: record.readDoubleLE(16),
    bytes: record.readDoubleLE(24),
  };
}

function doubles(...values: readonly number[]): Buffer {
  const record = Buffer.allocUnsafe(values.length * 8);
  values.forEach((value, index) => record.writeDoubleLE(value, index * 8));
  return record;
}
