import { copyFileSync, mkdirSync, readFileSync, realpathSync, statfsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PortError } from '#core/errors.ts';
import { lmdbPortError, reasonOfFailedCommit } from './errors.ts';
import { tryLock, type ExclusiveLock } from './exclusive-lock.ts';
import { GroupFiles } from './group-files.ts';
import { dataPath, hasLog, openForReading, openForWriting, type LogEnvironment } from './log-environment.ts';
import { CommitGate, whileNobodyCommits } from './opening-gate.ts';

/** With less left, a failed write is put down to the full disk: a commit writes some pages at a time. */
const DISK_IS_FULL_BYTES = 2 ** 20;
const HEAD_KEY = 'head';

/** What is durable, as of one commit. Positions count events from the stream's beginning, over all sources. */
export interface LogHead {
  /** Rises by one a commit; a client that saw another one has missed a commit. 0 as long as no publisher has made the log. */
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

export interface LogFileOptions {
  readonly directory: string;
  readonly mapSize: number;
  readonly freeSpaceReserveBytes: number;
}

/**
 * The log of one stream: frames by the position of their first event, the head, the tenants' cumulative items and the sources' epochs in
 * an LMDB environment, the groups' progress in files beside it.
 *
 * One process writes: it holds a lock of the operating system, which a killed one frees, from its first publish until its last client
 * closes. All others open the environment to read only, and may do so before the writer has made it. The clients of one process share one
 * LogFile: lmdb-js opens a file once a process, either to read or to write. A commit names the head that it follows, and does nothing
 * when another client was first. Opening excludes committing and closing, see CommitGate.
 *
 * `overlappingSync: false` gives LMDB's own order: data pages, fdatasync, then the meta page through a synchronous descriptor; only then
 * do readers of any process see the transaction. So what is readable is durable. The map is made large enough at once, so it never moves.
 */
export class LogFile {
  readonly directory: string;
  readonly groups: GroupFiles;
  readonly #options: LogFileOptions;
  #users = 0;
  #environment: LogEnvironment | undefined;
  /** Held while the environment is open to write. */
  #writerLock: ExclusiveLock | undefined;
  /** Of the writer, and of whoever closes: keeps that apart from the openings by other processes. */
  #gate: CommitGate | undefined;

  private constructor(options: LogFileOptions) {
    this.directory = options.directory;
    this.groups = new GroupFiles(join(options.directory, 'groups'));
    this.#options = options;
  }

  /** The log, shared with the process's other clients of it. Each calls `release` when it is done. @throws PortError */
  static async open(given: LogFileOptions): Promise<LogFile> {
    try {
      mkdirSync(given.directory, { recursive: true, mode: 0o700 });
      const directory = realpathSync(given.directory);
      while (closing.has(directory)) await closing.get(directory);
      let file = shared.get(directory);
      if (!file) {
        file = new LogFile({ ...given, directory });
        file.#look();
        shared.set(directory, file);
      }
      file.#users++;
      return file;
    } catch (error) {
      throw lmdbPortError(error, `opening the event log in ${given.directory}`);
    }
  }

  /** The file whose content changes at each commit of any process. */
  get dataPath(): string {
    return dataPath(this.directory);
  }

  /** Reads from now on see what has been committed until now, by any process. */
  refresh(): void {
    if (this.#environment) this.#environment.root.resetReadTxn();
    else this.#look();
  }

  readHead(): LogHead {
    if (!this.#environment) return NO_LOG_YET;
    const record = this.#environment.meta.getBinary(HEAD_KEY);
    if (!record) throw new PortError('data_loss', `the event log in ${this.directory} has no head`);
    return decodeHead(record);
  }

  /** The frame that begins at the position. */
  readFrame(position: number): Buffer | undefined {
    return this.#environment?.frames.getBinary(position);
  }

  /** The position of the frame that contains the given one, or of the first after it. */
  findFrame(position: number): number | undefined {
    return this.framePositionsBackwards(position, 1)[0] ?? this.framePositions(position, 1)[0];
  }

  /** Positions of frames at or after `from`, oldest first. */
  framePositions(from: number, limit: number): number[] {
    return [...(this.#environment?.frames.getKeys({ start: from, limit }) ?? [])];
  }

  /** Positions of frames at or before `from`, newest first. */
  framePositionsBackwards(from: number, limit: number): number[] {
    return [...(this.#environment?.frames.getKeys({ start: from, reverse: true, limit }) ?? [])];
  }

  /** The tenant's items up to the durable head. */
  readTenantItems(tenant: string): number {
    return this.#environment?.tenants.getBinary(tenant)?.readDoubleLE(0) ?? 0;
  }

  readAllTenantItems(): Map<string, number> {
    const items = new Map<string, number>();
    for (const { key, value } of this.#environment?.tenants.getRange({}) ?? []) items.set(key, value.readDoubleLE(0));
    return items;
  }

  /**
   * Makes this process the stream's writer, and the log where there is none; false while another process is the writer.
   * `source` is what others are told of it.
   * @throws PortError
   */
  tryBecomeWriter(source: string): boolean {
    if (this.#writerLock) return true;
    try {
      const lock = tryLock(join(this.directory, 'writer.lock'));
      if (!lock) return false;
      try {
        this.#refuseAFullDisk();
        writeFileSync(this.#writerPath, `process ${process.pid} (${source})`);
        this.#environment = whileNobodyCommits(this.#gatePath, () => {
          // One that is open to read closes at once, so that whoever reads meets the one or the other.
          void this.#environment?.root.close();
          this.#environment = undefined;
          return openForWriting(this.directory, this.#options.mapSize, encodeHead(EMPTY));
        });
        this.#gate = new CommitGate(this.#gatePath);
        this.#writerLock = lock;
      } finally {
        if (!this.#writerLock) lock.release();
      }
      return true;
    } catch (error) {
      throw lmdbPortError(error, `opening the event log in ${this.directory} for writing`);
    }
  }

  /** Who is the writer, in words. */
  writer(): string {
    try {
      return readFileSync(this.#writerPath, 'utf8');
    } catch {
      return 'another process';
    }
  }

  /** Resolves true once durable; false where another client has committed since, and then nothing was done. @throws PortError */
  async commit(commit: LogCommit): Promise<boolean> {
    const { gate } = this.#writable();
    await gate.enter();
    try {
      return await this.#commit(commit);
    } finally {
      gate.leave();
    }
  }

  async #commit({ after, frames, tenantItems, removed }: LogCommit): Promise<boolean> {
    const { environment } = this.#writable();
    try {
      const done = environment.meta.ifVersion(HEAD_KEY, after.commit, () => {
        let nextPosition = after.nextPosition;
        let bytes = after.bytes - removed.bytes;
        for (const frame of frames) {
          void environment.frames.put(nextPosition, frame.bytes);
          nextPosition += frame.count;
          bytes += frame.bytes.byteLength;
        }
        for (const position of removed.positions) void environment.frames.remove(position);
        for (const [tenant, items] of tenantItems) void environment.tenants.put(tenant, doubles(items));
        const head = { commit: after.commit + 1, firstPosition: removed.firstPosition, nextPosition, bytes };
        void environment.meta.put(HEAD_KEY, encodeHead(head), head.commit);
      });
      // A second operation makes lmdb-js start the transaction now instead of in the next turn. It shares the first one's fate.
      environment.meta.remove('none').catch(reasonOfFailedCommit);
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
    const { environment, gate } = this.#writable();
    const { root, sources } = environment;
    gate.enterNow();
    try {
      return root.transactionSync(() => {
        const previous = sources.getBinary(source)?.readDoubleLE(0) ?? 0;
        const epoch = Math.max(previous + 1, nowMs);
        sources.putSync(source, doubles(epoch));
        return epoch;
      });
    } catch (error) {
      throw lmdbPortError(error, `opening the event log in ${this.directory} for writing`);
    } finally {
      gate.leave();
    }
  }

  /** Copies the log, as of one commit, into a folder that is made for it; publishing goes on. False where there is no log yet. */
  async copyTo(directory: string): Promise<boolean> {
    this.refresh();
    if (!this.#environment) return false;
    const copy = dirname(dataPath(directory));
    mkdirSync(copy, { recursive: true, mode: 0o700 });
    await this.#environment.root.backup(copy, true);
    copyFileSync(join(this.directory, 'format'), join(directory, 'format'));
    return true;
  }

  /** Frees what killed readers held: the pages that they were reading could not be used again. */
  freeDeadReaders(): void {
    this.#environment?.root.readerCheck();
  }

  /** Bytes that other files may take on the file system before it is full. */
  freeSpaceBytes(): number {
    const { bavail, bsize } = statfsSync(this.directory);
    return bavail * bsize;
  }

  /** Closes the log when no client of the process uses it any more. Each client's last call. */
  async release(): Promise<void> {
    if (--this.#users > 0) return;
    shared.delete(this.directory);
    const closed = this.#close().finally(() => closing.delete(this.directory));
    closing.set(this.directory, closed);
    await closed;
  }

  get #gatePath(): string {
    return join(this.directory, 'opening.lock');
  }

  get #writerPath(): string {
    return join(this.directory, 'writer');
  }

  /** Opens the log to read if it has come to be. */
  #look(): void {
    try {
      // Where nothing was ever written there is nothing to open, and nothing to refuse: it is empty, on a full disk too.
      if (!hasLog(this.directory)) return;
      this.#refuseAFullDisk();
      this.#environment = whileNobodyCommits(this.#gatePath, () =>
        openForReading(this.directory, this.#options.mapSize),
      );
    } catch (error) {
      throw lmdbPortError(error, `opening the event log in ${this.directory}`);
    }
  }

  #writable(): { readonly environment: LogEnvironment; readonly gate: CommitGate } {
    if (this.#gate && this.#environment) return { environment: this.#environment, gate: this.#gate };
    throw new PortError('internal', `this process is not the writer of the event log in ${this.directory}`);
  }

  async #close(): Promise<void> {
    try {
      await this.#closeEnvironment();
    } finally {
      this.#gate?.close();
      this.#gate = undefined;
      this.#writerLock?.release();
      this.#writerLock = undefined;
    }
  }

  async #closeEnvironment(): Promise<void> {
    const environment = this.#environment;
    if (!environment) return;
    this.#environment = undefined;
    const gate = (this.#gate ??= new CommitGate(this.#gatePath));
    await gate.enter();
    try {
      await environment.root.close();
    } finally {
      gate.leave();
    }
  }

  /** A store into a mapped page that the file system has no block for kills the process: LMDB makes its lock file so. */
  #refuseAFullDisk(): void {
    const free = this.freeSpaceBytes();
    if (free >= Math.min(this.#options.freeSpaceReserveBytes, 2 ** 20)) return;
    throw new PortError('resource_exhausted', `only ${free} bytes are free for the event log in ${this.directory}`);
  }
}

/** The logs that clients of this process have open, by folder, and those that are being closed. */
const shared = new Map<string, LogFile>();
const closing = new Map<string, Promise<void>>();

const EMPTY: LogHead = { commit: 1, firstPosition: 0, nextPosition: 0, bytes: 0 };
const NO_LOG_YET: LogHead = { ...EMPTY, commit: 0 };

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
