import { join } from 'node:path';
import type { Clock } from '#core/clock.ts';
import { deliveryLimits } from '#core/delivery/delivery-window.ts';
import type { MachineEvent, StampedEvent, StreamName } from '#core/domain/event.ts';
import { PortError, throwIfAborted } from '#core/errors.ts';
import type { BatchHandler, StreamLag, SubscribeOptions, Subscription } from '#core/ports/event-stream.ts';
import type { LmdbEventStreamConfig, StreamRetention } from './config.ts';
import { decodeFrame, readFrameHeader } from './frame-codec.ts';
import { GroupCommitter } from './group-committer.ts';
import { GroupSubscription } from './group-subscription.ts';
import { HeadMonitor } from './head-monitor.ts';
import { LogFile } from './log-file.ts';
import { TailCache } from './tail-cache.ts';

const MIB = 2 ** 20;
const MAINTENANCE_MS = 30_000;
/** How often a publisher looks whether the process that publishes has ended. */
const WRITER_POLL_MS = 25;
/** Frames looked at, or read, before the event loop gets a turn. */
const FRAMES_A_TURN = 64;

export interface StreamLogOptions {
  readonly config: LmdbEventStreamConfig;
  readonly stream: StreamName;
  readonly retention: StreamRetention;
  readonly clock: Clock;
  readonly onFailure: (error: unknown) => void;
}

/** One stream of one client: its log, the publisher if it publishes, and its groups' subscriptions. */
export class StreamLog {
  readonly #options: StreamLogOptions;
  readonly #file: LogFile;
  readonly #monitor: HeadMonitor;
  readonly #cache: TailCache;
  readonly #subscriptions = new Map<GroupSubscription, string>();
  #publishing: Promise<GroupCommitter> | undefined;
  #committer: GroupCommitter | undefined;
  #maintenance: NodeJS.Timeout | undefined;
  #isClosing = false;

  private constructor(file: LogFile, options: StreamLogOptions) {
    this.#options = options;
    this.#file = file;
    this.#monitor = new HeadMonitor(file, () => this.#committer?.isCommitting ?? false, options.onFailure);
    this.#cache = new TailCache(options.config.tailCacheBytes ?? 16 * MIB);
  }

  static async open(options: StreamLogOptions): Promise<StreamLog> {
    const { config, stream, retention } = options;
    const file = await LogFile.open({
      directory: join(config.directory, stream),
      // Free pages between the live ones, and pages that a transaction rewrites, come on top of the frames.
      mapSize: 2 * retention.hardMaxBytes + 256 * MIB,
      freeSpaceReserveBytes: config.freeSpaceReserveBytes ?? 16 * MIB,
    });
    return new StreamLog(file, options);
  }

  /** What was published before `close` was called is published. */
  publish(events: readonly MachineEvent[]): Promise<void> {
    this.#publishing ??= this.#openForWriting();
    return this.#publishing.then((committer) => committer.publish(events));
  }

  async declareGroup(group: string): Promise<void> {
    await this.#file.groups.declare(group, () => {
      this.#monitor.look();
      return this.#monitor.head.nextPosition;
    });
  }

  async forgetGroup(group: string): Promise<void> {
    await this.#file.groups.forget(group);
  }

  /** @throws PortError not_found for a group that was not declared. */
  subscribe(group: string, handler: BatchHandler, subscribe: SubscribeOptions): Subscription {
    this.#checkpointOf(group);
    const { config, clock, onFailure } = this.#options;
    const { maxHeldEvents = 10_000, maxHeldBytes = 16 * MIB } = config;
    const limits = deliveryLimits(subscribe, { maxHeldEvents, maxHeldBytes });
    const subscription = new GroupSubscription({
      file: this.#file,
      monitor: this.#monitor,
      cache: this.#cache,
      clock,
      group,
      handler,
      limits,
      resumeAfter: subscribe.resumeAfter,
      checkpointIntervalMs: config.checkpointIntervalMs ?? 200,
      onProgress: () => this.#dropReadEvents(),
      onFailure,
    });
    this.#subscriptions.set(subscription, group);
    return {
      close: async () => {
        await subscription.close();
        this.#subscriptions.delete(subscription);
      },
    };
  }

  acceptedItems(): Map<string, number> {
    this.#file.refresh();
    return this.#file.readAllTenantItems();
  }

  lag(group: string): StreamLag {
    this.#monitor.look();
    const { firstPosition, nextPosition, bytes } = this.#monitor.head;
    const checkpoint = Math.max(this.#checkpointOf(group), firstPosition);
    const events = nextPosition - checkpoint;
    if (events <= 0) return { events: 0, oldestAgeMs: 0, fullness: 0 };
    const frame = this.#file.readFrame(this.#file.findFrame(checkpoint) ?? checkpoint);
    const committedAtMs = frame ? readFrameHeader(frame).committedAtMs : Infinity;
    return {
      events,
      oldestAgeMs: Math.max(0, this.#options.clock.nowMs() - committedAtMs),
      // As if events were all of one size: exact for the group that keeps a stream from letting go of anything.
      fullness: Math.min(1, ((events / (nextPosition - firstPosition)) * bytes) / this.#options.retention.hardMaxBytes),
    };
  }

  /** Blocks of the newest events, oldest first. */
  async *readTail(maxEvents: number, sinceMs: number, signal?: AbortSignal): AsyncGenerator<readonly StampedEvent[]> {
    this.#monitor.look();
    const { nextPosition } = this.#monitor.head;
    let skip: number;
    let position: number;
    [position, skip] = await this.#startOfTail(nextPosition, maxEvents, sinceMs, signal);
    for (let frames = 1; position < nextPosition; frames++) {
      throwIfAborted(signal);
      this.#file.refresh();
      const frame = this.#file.readFrame(position);
      if (!frame) return;
      const events = decodeFrame(frame);
      position += events.length;
      const wanted = events.slice(skip).filter((event) => event.acceptedAtMs >= sinceMs);
      skip = 0;
      if (wanted.length > 0) yield wanted;
      if (frames % FRAMES_A_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#publishing?.catch(() => undefined);
    clearInterval(this.#maintenance);
    await this.#committer?.close();
    await Promise.all([...this.#subscriptions.keys()].map((subscription) => subscription.close()));
    this.#monitor.close();
    await this.#file.release();
  }

  async #openForWriting(): Promise<GroupCommitter> {
    try {
      await this.#becomeWriter();
      return (this.#committer = this.#newCommitter());
    } catch (error) {
      this.#publishing = undefined;
      throw error;
    }
  }

  /** A publisher that was started again meets the lock of its predecessor for as long as that takes to end. */
  async #becomeWriter(): Promise<void> {
    const { source, writerWaitMs = 15_000 } = this.#options.config;
    for (let waitedMs = 0; !this.#file.tryBecomeWriter(source); waitedMs += WRITER_POLL_MS) {
      if (this.#isClosing) throw new PortError('failed_precondition', 'the event stream is closed');
      if (waitedMs >= writerWaitMs) throw this.#occupiedError();
      await new Promise((resolve) => setTimeout(resolve, WRITER_POLL_MS));
    }
  }

  /** It may pass by itself, and to a consumer that publishes what it derives it must not look like the fault of an event. */
  #occupiedError(): PortError {
    const { stream, config } = this.#options;
    return new PortError(
      'unavailable',
      `${this.#file.writer()} publishes to the stream ${stream} in ${config.directory}, and one process at a time can: stop that one, or publish through it`,
    );
  }

  #newCommitter(): GroupCommitter {
    const { config, retention, clock, onFailure } = this.#options;
    const committer = new GroupCommitter({
      file: this.#file,
      source: config.source,
      clock,
      retention,
      maxPendingBytes: config.maxPendingBytes ?? 32 * MIB,
      freeSpaceReserveBytes: config.freeSpaceReserveBytes ?? 16 * MIB,
      wantsBlocks: () => this.#subscriptions.size > 0,
      onCommitted: (head, blocks) => {
        for (const block of blocks) this.#cache.add(block, block.bytes);
        this.#monitor.advance(head);
      },
      onFailure,
    });
    this.#maintenance = setInterval(() => {
      this.#file.freeDeadReaders();
      committer.maintain();
    }, MAINTENANCE_MS);
    this.#maintenance.unref();
    return committer;
  }

  #checkpointOf(group: string): number {
    for (const [subscription, itsGroup] of this.#subscriptions)
      if (itsGroup === group && subscription.checkpoint !== undefined) return subscription.checkpoint;
    const checkpoint = this.#file.groups.readCheckpoint(group);
    if (checkpoint !== undefined) return checkpoint;
    throw new PortError('not_found', `no group ${group} was declared on the stream ${this.#options.stream}`);
  }

  #dropReadEvents(): void {
    let lowest = Infinity;
    for (const subscription of this.#subscriptions.keys())
      lowest = Math.min(lowest, subscription.readPosition ?? Infinity);
    this.#cache.dropBefore(lowest);
  }

  /** Where the wanted tail begins: the position of its first frame, and how many events of that to pass over. */
  async #startOfTail(
    nextPosition: number,
    maxEvents: number,
    sinceMs: number,
    signal: AbortSignal | undefined,
  ): Promise<[position: number, skip: number]> {
    let start = nextPosition;
    for (;;) {
      throwIfAborted(signal);
      this.#file.refresh();
      const positions = this.#file.framePositionsBackwards(start - 1, FRAMES_A_TURN);
      for (const position of positions) {
        const frame = this.#file.readFrame(position);
        if (!frame || readFrameHeader(frame).newestAcceptedAtMs < sinceMs) return [start, 0];
        start = position;
        if (nextPosition - start >= maxEvents) return [start, nextPosition - start - maxEvents];
      }
      if (positions.length < FRAMES_A_TURN) return [start, 0];
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
