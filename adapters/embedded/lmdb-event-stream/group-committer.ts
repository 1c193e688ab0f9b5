import type { Clock } from '#core/clock.ts';
import { MAX_EVENT_BYTES, type MachineEvent, type StampedEvent } from '#core/domain/event.ts';
import { PortError } from '#core/errors.ts';
import type { StreamRetention } from './config.ts';
import { checkEncodable, FrameBuilder, type FrameTenant } from './frame-codec.ts';
import type { LogCommit, LogFile, LogHead } from './log-file.ts';
import { planRemoval, removeNothing } from './retention.ts';
import { SettledBound } from './settled-bound.ts';
import type { EventBlock } from './tail-cache.ts';

/** LMDB looks for consecutive free pages for a frame; short runs are found at once. */
const MAX_FRAME_BYTES = 256 * 1024;
const RETENTION_CHECK_MS = 1000;
/** A commit that takes longer is reported as unavailable, and goes on. */
const COMMIT_TIMEOUT_MS = 30_000;
/**
 * A commit begins so long after the one before, or as soon as that has ended: each costs about as much as twenty events, whatever is in
 * it. The first after a pause begins at once.
 */
const COMMIT_SPACING_MS = 3;
/** What an event takes besides its payload, in memory and in the log, about. */
export const ENVELOPE_BYTES = 100;

export interface GroupCommitterOptions {
  readonly file: LogFile;
  readonly source: string;
  readonly clock: Clock;
  readonly retention: StreamRetention;
  readonly maxPendingBytes: number;
  readonly freeSpaceReserveBytes: number;
  /** Whether the committed events are wanted as objects. */
  readonly wantsBlocks: () => boolean;
  /** Called after each commit, before its publishers hear of it. */
  readonly onCommitted: (head: LogHead, blocks: readonly SizedEventBlock[]) => void;
  /** Told when the groups' progress cannot be read. */
  readonly onFailure: (error: unknown) => void;
}

export interface SizedEventBlock extends EventBlock {
  readonly bytes: number;
}

/**
 * Appends events to the log, one transaction at a time: what is published in one turn of the event loop, or while a transaction is under
 * way, goes into the next one. Encoding happens on arrival, while the disk is busy with what came before.
 */
export class GroupCommitter {
  readonly #options: GroupCommitterOptions;
  readonly #settled: SettledBound;
  /** Of what is appended from now on. */
  #epoch: number;
  #nextSeq = 1;
  /** True after a commit that failed: its events may be durable all the same, so that no other event may have their numbers. */
  #isEpochSpent = false;
  #head: LogHead;
  /** What is known of tenants' items at `#head`. */
  readonly #tenantItems = new Map<string, number>();
  #pending = new PendingCommit();
  #spareBuilders: FrameBuilder[] = [];
  #running: Promise<void> | undefined;
  /** True after a commit that did not succeed: what is durable must be read again. */
  #isStale = false;
  #retentionDueMs = 0;
  /** When the last commit began. */
  #begunMs = -Infinity;
  #closed = false;

  constructor(options: GroupCommitterOptions) {
    this.#options = options;
    this.#settled = new SettledBound(options.file.groups, options.clock, options.onFailure);
    this.#epoch = this.#takeEpoch();
    options.file.refresh();
    this.#head = options.file.readHead();
  }

  /** Resolves once the events are durable, which they become in one transaction. @throws PortError as EventStream.publish does. */
  async publish(events: readonly MachineEvent[]): Promise<void> {
    if (this.#closed) throw closedError();
    const bytes = checkedSize(events);
    if (this.#pending.bytes > 0 && this.#pending.bytes + bytes > this.#options.maxPendingBytes)
      throw overloadedError(this.#options.maxPendingBytes);
    for (const event of events) this.#append(event);
    this.#pending.bytes += bytes;
    await new Promise<void>((resolve, reject) => {
      this.#pending.waiters.push({ resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Whether a commit is under way, of which `onCommitted` will tell. */
  get isCommitting(): boolean {
    return this.#running !== undefined;
  }

  /** Lets go of what retention says, where nothing is published that would do it. */
  maintain(): void {
    if (this.#closed || this.#running) return;
    if (this.#removable(false).bytes === 0) return;
    this.#retentionDueMs = 0;
    this.#running = this.#run();
  }

  /** Refuses what comes from now on, and waits for what is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  #append(event: MachineEvent): void {
    const frames = this.#pending.frames;
    let frame = frames.at(-1);
    const isFull =
      frame &&
      (frame.builder.isFull || frame.builder.byteLength + event.payload.byteLength + ENVELOPE_BYTES > MAX_FRAME_BYTES);
    if (!frame || isFull) {
      frame = { builder: this.#spareBuilders.pop() ?? new FrameBuilder(64 * 1024), events: [], tenants: [], items: [] };
      frames.push(frame);
    }
    const tenant = frame.builder.append(event);
    frame.events.push(event);
    frame.tenants.push(tenant);
    frame.items.push(tenant.items);
  }

  async #run(): Promise<void> {
    do {
      await this.#untilNextCommit();
      const pending = this.#pending;
      this.#pending = new PendingCommit();
      await this.#settle(pending);
    } while (this.#pending.waiters.length > 0);
    this.#running = undefined;
  }

  /** At least until all that is published in this turn of the event loop is there. */
  async #untilNextCommit(): Promise<void> {
    const { clock } = this.#options;
    const waitMs = Math.min(this.#begunMs + COMMIT_SPACING_MS - clock.monotonicMs(), COMMIT_SPACING_MS);
    await new Promise((resolve) => (waitMs > 0 ? setTimeout(resolve, waitMs) : setImmediate(resolve)));
    this.#begunMs = clock.monotonicMs();
  }

  async #settle(pending: PendingCommit): Promise<void> {
    const timeout = setTimeout(() => pending.reject(timeoutError()), COMMIT_TIMEOUT_MS);
    try {
      await this.#commit(pending);
      pending.resolve();
    } catch (error) {
      this.#isStale = true;
      pending.reject(error);
    } finally {
      clearTimeout(timeout);
    }
    for (const { builder } of pending.frames) {
      builder.reset();
      if (this.#spareBuilders.length < 4 && builder.capacity <= 2 * MAX_FRAME_BYTES) this.#spareBuilders.push(builder);
    }
  }

  async #commit(pending: PendingCommit): Promise<void> {
    const { clock, onCommitted, wantsBlocks } = this.#options;
    for (;;) {
      if (this.#isStale) this.#reload();
      const sealed = this.#seal(pending, clock.nowMs());
      const removed = this.#planRemoval(sealed.bytes);
      this.#refuseWithoutRoom(sealed, removed);
      const commit: LogCommit = { after: this.#head, frames: sealed.frames, tenantItems: sealed.tenantItems, removed };
      if (await this.#tryCommit(commit)) {
        const blocks = wantsBlocks() ? this.#blocksOf(pending) : [];
        this.#advance(commit, sealed);
        onCommitted(this.#head, blocks);
        return;
      }
      // Another client of this process has committed since: its events come first.
      this.#isStale = true;
    }
  }

  /** False where another client has committed since. */
  async #tryCommit(commit: LogCommit): Promise<boolean> {
    try {
      return await this.#options.file.commit(commit);
    } catch (error) {
      this.#isEpochSpent = true;
      throw error;
    }
  }

  #seal(pending: PendingCommit, committedAtMs: number): SealedFrames {
    const tenantItems = new Map<string, number>();
    let firstSeq = this.#nextSeq;
    let bytes = 0;
    const itemsBefore = (tenant: string) => tenantItems.get(tenant) ?? this.#itemsOf(tenant);
    const frames = pending.frames.map(({ builder }) => {
      const stamp = { source: this.#options.source, epoch: this.#epoch, firstSeq, committedAtMs, itemsBefore };
      const frame = { bytes: builder.seal(stamp), count: builder.count };
      for (const tenant of builder.tenants) tenantItems.set(tenant.name, tenant.itemsBefore + tenant.items);
      firstSeq += frame.count;
      bytes += frame.bytes.byteLength;
      return frame;
    });
    return { frames, tenantItems, bytes, nextSeq: firstSeq };
  }

  #itemsOf(tenant: string): number {
    let items = this.#tenantItems.get(tenant);
    if (items === undefined) {
      this.#options.file.refresh();
      items = this.#options.file.readTenantItems(tenant);
      this.#tenantItems.set(tenant, items);
    }
    return items;
  }

  #planRemoval(bytesToAdd: number): LogCommit['removed'] {
    const { retention, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    if (this.#head.bytes <= retention.maxBytes && nowMs < this.#retentionDueMs) return removeNothing(this.#head);
    let removed = this.#removable(false);
    if (this.#head.bytes - removed.bytes + bytesToAdd > retention.hardMaxBytes) removed = this.#removable(true);
    // Where some were removed there may be more; where none could be, looking again at once is in vain.
    if (removed.positions.length === 0) this.#retentionDueMs = nowMs + RETENTION_CHECK_MS;
    return removed;
  }

  #removable(isUrgent: boolean): LogCommit['removed'] {
    const { file, retention, clock } = this.#options;
    file.refresh();
    return planRemoval(file, this.#head, this.#settled.below(this.#head, isUrgent), retention, clock.nowMs());
  }

  #refuseWithoutRoom(sealed: SealedFrames, removed: LogCommit['removed']): void {
    if (sealed.bytes === 0) return;
    const { file, retention, freeSpaceReserveBytes } = this.#options;
    if (this.#head.bytes - removed.bytes + sealed.bytes > retention.hardMaxBytes)
      throw new PortError(
        'resource_exhausted',
        `the event log in ${file.directory} holds ${this.#head.bytes} bytes, of which a consumer group has not acknowledged enough; its bound is ${retention.hardMaxBytes}`,
      );
    const free = file.freeSpaceBytes();
    if (free < freeSpaceReserveBytes + sealed.bytes)
      throw new PortError(
        'resource_exhausted',
        `the file system of ${file.directory} has ${free} bytes left, and ${freeSpaceReserveBytes} are kept in reserve: free some space`,
      );
  }

  /** The events as consumers see them, stamped as their frames were. */
  #blocksOf(pending: PendingCommit): SizedEventBlock[] {
    let firstPosition = this.#head.nextPosition;
    let seq = this.#nextSeq;
    const { source } = this.#options;
    const epoch = this.#epoch;
    return pending.frames.map(({ builder, events, tenants, items }) => {
      const stamped = new Array<StampedEvent>(events.length);
      for (let index = 0; index < events.length; index++) {
        const cumulativeItems = tenants[index]!.itemsBefore + items[index]!;
        stamped[index] = { ...events[index]!, source, epoch, seq: seq++, cumulativeItems };
      }
      const bytes = builder.byteLength + events.length * ENVELOPE_BYTES;
      const block = { firstPosition, events: stamped, bytes };
      firstPosition += events.length;
      return block;
    });
  }

  #advance({ after, frames, tenantItems, removed }: LogCommit, sealed: SealedFrames): void {
    let count = 0;
    for (const frame of frames) count += frame.count;
    this.#nextSeq = sealed.nextSeq;
    for (const [tenant, items] of tenantItems) this.#tenantItems.set(tenant, items);
    this.#head = {
      commit: after.commit + 1,
      firstPosition: removed.firstPosition,
      nextPosition: after.nextPosition + count,
      bytes: after.bytes - removed.bytes + sealed.bytes,
    };
  }

  #takeEpoch(): number {
    const { file, source, clock } = this.#options;
    return file.takeEpoch(source, clock.nowMs());
  }

  #reload(): void {
    if (this.#isEpochSpent) {
      this.#epoch = this.#takeEpoch();
      this.#nextSeq = 1;
      this.#isEpochSpent = false;
    }
    this.#tenantItems.clear();
    this.#options.file.refresh();
    this.#head = this.#options.file.readHead();
    this.#isStale = false;
  }
}

interface SealedFrames {
  readonly frames: LogCommit['frames'];
  readonly tenantItems: ReadonlyMap<string, number>;
  readonly bytes: number;
  readonly nextSeq: number;
}

/** A frame being filled, with what stamping its events needs: each one's tenant, and the tenant's items in the frame up to it. */
interface PendingFrame {
  readonly builder: FrameBuilder;
  readonly events: MachineEvent[];
  readonly tenants: Readonly<FrameTenant>[];
  readonly items: number[];
}

class PendingCommit {
  readonly frames: PendingFrame[] = [];
  readonly waiters: { readonly resolve: () => void; readonly reject: (error: unknown) => void }[] = [];
  bytes = 0;

  resolve(): void {
    for (const waiter of this.waiters) waiter.resolve();
  }

  reject(error: unknown): void {
    for (const waiter of this.waiters) waiter.reject(error);
  }
}

/** About the bytes that the events take. @throws PortError invalid_argument */
function checkedSize(events: readonly MachineEvent[]): number {
  let bytes = 0;
  for (const event of events) {
    if (event.payload.byteLength > MAX_EVENT_BYTES) throw tooLargeError(event);
    checkEncodable(event);
    bytes += event.payload.byteLength + ENVELOPE_BYTES;
  }
  return bytes;
}

function closedError(): PortError {
  return new PortError('failed_precondition', 'the event stream is closed');
}

function tooLargeError(event: MachineEvent): PortError {
  return new PortError(
    'invalid_argument',
    `an event's payload must be at most ${MAX_EVENT_BYTES} bytes, got ${event.payload.byteLength}; put it in the object store and publish a reference`,
  );
}

function overloadedError(maxPendingBytes: number): PortError {
  return new PortError(
    'resource_exhausted',
    `more than ${maxPendingBytes} bytes wait for the disk; publish slower, or raise maxPendingBytes`,
  );
}

function timeoutError(): PortError {
  return new PortError(
    'unavailable',
    `the event log has not answered within ${COMMIT_TIMEOUT_MS} ms; look at its disk`,
  );
}
