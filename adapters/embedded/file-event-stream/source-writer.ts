import { statfsSync } from 'node:fs';
import { mkdir, open, readFile, rm, stat, type FileHandle } from 'node:fs/promises';
import type { Clock } from '#core/clock.ts';
import { PortError } from '#core/errors.ts';
import type { StreamRetention } from './config.ts';
import { filePortError } from './errors.ts';
import { tryLock, type ExclusiveLock } from './exclusive-lock.ts';
import { readFrameHeader, readRecord, readTenantItems, RECORD_BYTES } from './frame-codec.ts';
import { encodePreamble, listSegments, readPreamble, segmentPath, syncDirectory } from './segment.ts';
import { HeadFile, type SourceHead } from './source-head.ts';
import type { StreamPaths } from './stream-paths.ts';

const MIB = 2 ** 20;
const LARGEST_SEGMENT_BYTES = 64 * MIB;
const LOCK_POLL_MS = 50;
/** How long a predecessor under the same name may take to end. */
const LOCK_WAIT_MS = 10_000;

export interface SourceWriterOptions {
  readonly paths: StreamPaths;
  readonly source: string;
  readonly clock: Clock;
  readonly retention: StreamRetention;
  readonly freeSpaceReserveBytes: number;
  /** The lowest position that a group still needs; undefined when there are no groups. */
  readonly lowestNeeded: () => Promise<number | undefined>;
}

/** Where a written record is. */
export interface RecordPlace {
  readonly segment: number;
  readonly end: number;
}

/**
 * The one who appends to a source. Records go to the newest segment and are synced (fdatasync) before anybody is told; a write that
 * failed is cut off again. Opening finds the end by checksum, so that what a killed predecessor left half written is cut off too.
 */
export class SourceWriter {
  readonly #options: SourceWriterOptions;
  readonly #directory: string;
  readonly #lock: ExclusiveLock;
  readonly #headFile: HeadFile;
  readonly #segments: ClosedSegment[];
  #file: FileHandle;
  #active: SegmentState;
  #head: SourceHead;
  #epoch: number;
  #isCutOff = true;

  /** @throws PortError unavailable (another client publishes under the name), resource_exhausted, data_loss (acknowledged records are damaged). */
  static async open(options: SourceWriterOptions): Promise<SourceWriter> {
    const directory = options.paths.source(options.source);
    const doing = `opening the event log in ${directory} for writing`;
    try {
      await mkdir(options.paths.heads, { recursive: true });
      await mkdir(directory, { recursive: true });
      const lock = await takeLock(options);
      try {
        return await openLocked(options, directory, lock);
      } catch (error) {
        lock.release();
        throw error;
      }
    } catch (error) {
      throw filePortError(error, doing);
    }
  }

  constructor(options: SourceWriterOptions, lock: ExclusiveLock, headFile: HeadFile, recovered: RecoveredSource) {
    this.#options = options;
    this.#directory = options.paths.source(options.source);
    this.#lock = lock;
    this.#headFile = headFile;
    this.#segments = recovered.closed;
    this.#file = recovered.file;
    this.#active = recovered.active;
    this.#epoch = recovered.epoch;
    this.#head = recovered.head;
    this.#headFile.write(this.#head);
  }

  /** This client's incarnation: higher than any before. */
  get epoch(): number {
    return this.#epoch;
  }

  get head(): SourceHead {
    return this.#head;
  }

  /** Bytes of all segments. */
  get bytes(): number {
    return this.#active.end + this.#segments.reduce((sum, segment) => sum + segment.bytes, 0);
  }

  /**
   * Appends records and resolves with where each is, once they are durable. `tenants` are the cumulative items after them.
   * @throws PortError resource_exhausted (disk full, or the hard bound reached), unavailable: nothing was appended.
   */
  async append(
    records: readonly Buffer[],
    nextPosition: number,
    tenants: SourceHead['tenants'],
  ): Promise<RecordPlace[]> {
    let bytes = 0;
    for (const record of records) bytes += record.byteLength;
    try {
      await this.#makeRoom(bytes);
      await this.#write(records, bytes);
    } catch (error) {
      throw filePortError(error, `writing to the event log in ${this.#directory}`);
    }
    const segment = this.#active.firstPosition;
    this.#active.lastWrittenAtMs = this.#options.clock.nowMs();
    const places = records.map((record) => ({ segment, end: (this.#active.end += record.byteLength) }));
    this.#head = { ...this.#head, nextPosition, segment, end: this.#active.end, tenants };
    this.#headFile.write(this.#head);
    return places;
  }

  /** Deletes the oldest segments that age or size lets go of, none of which a group still needs. */
  async applyRetention(): Promise<void> {
    const { retention, clock, lowestNeeded } = this.#options;
    const oldest = clock.nowMs() - retention.maxAgeMs;
    const mayGo = (segment: ClosedSegment) => segment.endedAtMs < oldest || this.bytes > retention.maxBytes;
    if (!this.#segments[0] || !mayGo(this.#segments[0])) return;
    const needed = (await lowestNeeded()) ?? Infinity;
    for (;;) {
      const segment = this.#segments.at(0);
      if (!segment || !mayGo(segment) || segment.nextPosition > needed) return;
      this.#segments.shift();
      this.#head = { ...this.#head, firstPosition: segment.nextPosition };
      this.#headFile.write(this.#head);
      await rm(segmentPath(this.#directory, segment.firstPosition), { force: true });
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
    this.#headFile.close();
    this.#lock.release();
  }

  /** Begins a new segment where the active one is large or old enough, and refuses where there is no room. */
  async #makeRoom(bytes: number): Promise<void> {
    const { retention, clock, freeSpaceReserveBytes } = this.#options;
    if (this.bytes + bytes > retention.hardMaxBytes) await this.applyRetention();
    if (this.bytes + bytes > retention.hardMaxBytes)
      throw new PortError(
        'resource_exhausted',
        `the event log in ${this.#directory} holds ${this.bytes} bytes that a consumer group has not acknowledged; its bound is ${retention.hardMaxBytes}`,
      );
    // Synchronous: a few microseconds, and the thread pool is for the disk.
    const { bavail, bsize } = statfsSync(this.#directory);
    if (bavail * bsize < freeSpaceReserveBytes + bytes)
      throw new PortError(
        'resource_exhausted',
        `the file system of ${this.#directory} has ${bavail * bsize} bytes left, and ${freeSpaceReserveBytes} are kept in reserve: free some space`,
      );
    const segmentBytes = Math.min(LARGEST_SEGMENT_BYTES, retention.maxBytes / 8);
    const isEmpty = this.#head.nextPosition === this.#active.firstPosition;
    const isOld = clock.nowMs() - this.#active.createdAtMs > retention.maxAgeMs / 8;
    if (!isEmpty && (this.#active.end + bytes > segmentBytes || isOld)) {
      await this.#beginSegment();
      await this.applyRetention();
    }
  }

  async #write(records: readonly Buffer[], bytes: number): Promise<void> {
    const start = this.#active.end;
    try {
      if (!this.#isCutOff) await this.#file.truncate(start);
      this.#isCutOff = false;
      const { bytesWritten } = await this.#file.writev([...records], start);
      // A short write is how a disk that has just become full answers.
      if (bytesWritten < bytes)
        throw new PortError('resource_exhausted', `the file system of ${this.#directory} is full`);
      await this.#file.datasync();
      this.#isCutOff = true;
    } catch (error) {
      await this.#file.truncate(start).then(
        () => (this.#isCutOff = true),
        () => undefined,
      );
      throw error;
    }
  }

  async #beginSegment(): Promise<void> {
    const nowMs = this.#options.clock.nowMs();
    const { nextPosition, tenants } = this.#head;
    const next = await createSegment(this.#directory, {
      firstPosition: nextPosition,
      createdAtMs: nowMs,
      epoch: this.#epoch,
      tenants,
    });
    await this.#file.close();
    this.#segments.push({
      firstPosition: this.#active.firstPosition,
      nextPosition,
      bytes: this.#active.end,
      endedAtMs: this.#active.lastWrittenAtMs,
    });
    this.#file = next.file;
    this.#active = next.active;
  }
}

interface SegmentState {
  readonly firstPosition: number;
  readonly createdAtMs: number;
  /** Where the next record goes. */
  end: number;
  lastWrittenAtMs: number;
}

interface ClosedSegment {
  readonly firstPosition: number;
  readonly nextPosition: number;
  readonly bytes: number;
  readonly endedAtMs: number;
}

interface RecoveredSource {
  readonly closed: ClosedSegment[];
  readonly file: FileHandle;
  readonly active: SegmentState;
  readonly head: SourceHead;
  readonly epoch: number;
}

async function takeLock({ paths, source, clock }: SourceWriterOptions): Promise<ExclusiveLock> {
  const deadlineMs = clock.monotonicMs() + LOCK_WAIT_MS;
  for (;;) {
    const lock = tryLock(paths.writerLock(source));
    if (lock) return lock;
    if (clock.monotonicMs() > deadlineMs)
      throw new PortError(
        'unavailable',
        `another client publishes as ${source} in ${paths.directory}: give each a name of its own`,
      );
    await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS));
  }
}

async function openLocked(options: SourceWriterOptions, directory: string, lock: ExclusiveLock): Promise<SourceWriter> {
  const headFile = HeadFile.create(options.paths.head(options.source));
  try {
    const recovered = await recover(options.clock, directory, headFile.read());
    return new SourceWriter(options, lock, headFile, recovered);
  } catch (error) {
    headFile.close();
    throw error;
  }
}

/** Finds the end of what a predecessor wrote, cuts off what is behind it, and makes the rest durable. */
async function recover(clock: Clock, directory: string, lastHead: SourceHead | undefined): Promise<RecoveredSource> {
  const nowMs = clock.nowMs();
  const positions = await listSegments(directory);
  const newest = positions.at(-1);
  const opened = newest === undefined ? undefined : await openNewest(directory, newest);
  if (newest !== undefined && !opened) {
    if (lastHead && lastHead.segment >= newest) throw damagedError(directory, newest, lastHead);
    // The one who began it died before that was finished: nothing is in it.
    await rm(segmentPath(directory, newest));
    return recover(clock, directory, lastHead);
  }
  if (!opened) {
    const empty = { firstPosition: 0, createdAtMs: nowMs, epoch: nowMs, tenants: {} };
    const { file, active } = await createSegment(directory, empty);
    const head = { firstPosition: 0, nextPosition: 0, segment: 0, end: active.end, tenants: {} };
    return { closed: [], file, active, head, epoch: nowMs };
  }
  const { file, active, nextPosition, tenants, epoch } = opened;
  if (
    lastHead &&
    (lastHead.segment > active.firstPosition ||
      (lastHead.segment === active.firstPosition && lastHead.end > active.end))
  ) {
    await file.close();
    throw damagedError(directory, nextPosition, lastHead);
  }
  await file.truncate(active.end);
  await file.datasync();
  const closed = await closedSegments(directory, positions, active.createdAtMs);
  const firstPosition = closed[0]?.firstPosition ?? active.firstPosition;
  const head = { firstPosition, nextPosition, segment: active.firstPosition, end: active.end, tenants };
  return { closed, file, active, head, epoch: Math.max(epoch + 1, nowMs) };
}

function damagedError(directory: string, position: number, { nextPosition }: SourceHead): PortError {
  return new PortError(
    'data_loss',
    `the event log in ${directory} is damaged from position ${position} on, and those below ${nextPosition} were acknowledged: restore it from a backup, or move the folder away to begin anew`,
  );
}

/** All segments but the newest. */
async function closedSegments(
  directory: string,
  positions: readonly number[],
  newestBegunAtMs: number,
): Promise<ClosedSegment[]> {
  const closed: ClosedSegment[] = [];
  let endedAtMs = newestBegunAtMs;
  for (let index = positions.length - 2; index >= 0; index--) {
    const firstPosition = positions[index]!;
    const path = segmentPath(directory, firstPosition);
    const file = await open(path, 'r');
    const read = await readPreamble(file).finally(() => file.close());
    const { size } = await stat(path);
    closed.unshift({ firstPosition, nextPosition: positions[index + 1]!, bytes: size, endedAtMs });
    endedAtMs = read?.preamble.createdAtMs ?? endedAtMs;
  }
  return closed;
}

interface OpenedSegment {
  readonly file: FileHandle;
  readonly active: SegmentState;
  readonly nextPosition: number;
  readonly tenants: SourceHead['tenants'];
  readonly epoch: number;
}

/** Reads the newest segment to its end; undefined where it has no beginning. */
async function openNewest(directory: string, firstPosition: number): Promise<OpenedSegment | undefined> {
  const path = segmentPath(directory, firstPosition);
  const file = await open(path, 'r+');
  const begun = await readPreamble(file);
  if (!begun) {
    await file.close();
    return undefined;
  }
  const { preamble, framesStart } = begun;
  const tenants = new Map(Object.entries(preamble.tenants));
  let { epoch } = preamble;
  let nextPosition = firstPosition;
  let end = framesStart;
  let lastWrittenAtMs = preamble.createdAtMs;
  const bytes = await readFile(path);
  for (let frame = readRecord(bytes, end); frame; frame = readRecord(bytes, end)) {
    const header = readFrameHeader(frame);
    if (header.firstPosition !== nextPosition) break;
    for (const [tenant, items] of readTenantItems(frame)) tenants.set(tenant, items);
    epoch = Math.max(epoch, header.epoch);
    nextPosition += header.count;
    lastWrittenAtMs = header.committedAtMs;
    end += RECORD_BYTES + frame.byteLength;
  }
  const active = { firstPosition, createdAtMs: preamble.createdAtMs, end, lastWrittenAtMs };
  return { file, active, nextPosition, tenants: Object.fromEntries(tenants), epoch };
}

/** A segment with its preamble, durable. One of the same name is left of a failed attempt and holds nothing. */
async function createSegment(
  directory: string,
  preamble: Parameters<typeof encodePreamble>[0],
): Promise<{ readonly file: FileHandle; readonly active: SegmentState }> {
  const record = encodePreamble(preamble);
  const file = await open(segmentPath(directory, preamble.firstPosition), 'w+', 0o600);
  try {
    const { bytesWritten } = await file.write(record, 0, record.byteLength, 0);
    if (bytesWritten < record.byteLength)
      throw new PortError('resource_exhausted', `the file system of ${directory} is full`);
    await file.datasync();
    await syncDirectory(directory);
  } catch (error) {
    await file.close();
    throw error;
  }
  const { firstPosition, createdAtMs } = preamble;
  return { file, active: { firstPosition, createdAtMs, end: record.byteLength, lastWrittenAtMs: createdAtMs } };
}
