import { join } from 'node:path';
import type { Clock } from '#core/clock.ts';
import type { MachineEvent, StampedEvent, StreamName } from '#core/domain/event.ts';
import { PortError, throwIfAborted } from '#core/errors.ts';
import type { BatchHandler, SubscribeOptions, Subscription } from '#core/ports/event-stream.ts';
import type { LmdbEventStreamConfig, StreamRetention } from './config.ts';
import { decodeFrame, readFrameHeader } from './frame-codec.ts';
import { GroupCommitter } from './group-committer.ts';
import { GroupSubscription } from './group-subscription.ts';
import { HeadMonitor } from './head-monitor.ts';
import { LogFile } from './log-file.ts';
import { TailCache } from './tail-cache.ts';

const MIB = 2 ** 20;
const MAINTENANCE_MS = 30_000;
/** Frames looked at, or read, before the event loop gets a turn. */
const FRAMES_A_TURN = 64;

export interface StreamLogOptions {
  readonly config: LmdbEventStreamConfig;
  readonly stream: StreamName;
  readonly retention: StreamRetention;
  readonly clock: Clock;
  readonly onFailure: (error: unknown) => void;
}

/** One stream of this process: its file, the publisher if it publishes, and its groups' subscriptions. */
export class StreamLog {
  readonly #options: StreamLogOptions;
  readonly #file: LogFile;
  readonly #monitor: HeadMonitor;
  readonly #cache: TailCache;
  readonly #subscriptions = new Map<GroupSubscription, string>();
  #committer: GroupCommitter | undefined;
  #maintenance: NodeJS.Timeout | undefined;

  constructor(options: StreamLogOptions) {
    this.#options = options;
    const { directory, tailCacheBytes = 16 * MIB, freeSpaceReserveBytes = 16 * MIB } = options.config;
    // Free pages between the live ones, and pages that a transaction rewrites, come on top of the frames.
    const mapSize = 2 * options.retention.hardMaxBytes + 256 * MIB;
    this.#file = new LogFile(join(directory, options.stream), mapSize, freeSpaceReserveBytes);
    this.#monitor = new HeadMonitor(this.#file, () => this.#committer?.isCommitting ?? false);
    this.#cache = new TailCache(tailCacheBytes);
  }

  publish(events: readonly MachineEvent[]): Promise<void> {
    this.#committer ??= this.#openForWriting();
    return this.#committer.publish(events);
  }

  declareGroup(group: string): void {
    this.#file.declareGroup(group);
  }

  /** @throws PortError not_found for a group that was not declared. */
  subscribe(group: string, handler: BatchHandler, subscribe: SubscribeOptions): Subscription {
    this.#checkpointOf(group);
    const { config, clock, onFailure } = this.#options;
    const subscription = new GroupSubscription({
      file: this.#file,
      monitor: this.#monitor,
      cache: this.#cache,
      clock,
      group,
      handler,
      subscribe,
      maxHeldEvents: config.maxHeldEvents ?? 10_000,
      maxHeldBytes: config.maxHeldBytes ?? 16 * MIB,
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

  lag(group: string): { events: number; oldestAgeMs: number } {
    this.#monitor.look();
    const { firstPosition, nextPosition } = this.#monitor.head;
    const checkpoint = Math.max(this.#checkpointOf(group), firstPosition);
    const events = nextPosition - checkpoint;
    if (events <= 0) return { events: 0, oldestAgeMs: 0 };
    const frame = this.#file.readFrame(this.#file.findFrame(checkpoint) ?? checkpoint);
    const committedAtMs = frame ? readFrameHeader(frame).committedAtMs : Infinity;
    return { events, oldestAgeMs: Math.max(0, this.#options.clock.nowMs() - committedAtMs) };
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
    clearInterval(this.#maintenance);
    await this.#committer?.close();
    await Promise.all([...this.#subscriptions.keys()].map((subscription) => subscription.close()));
    this.#monitor.close();
    await this.#file.close();
  }

  #openForWriting(): GroupCommitter {
    const { config, retention, clock } = this.#options;
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
    });
    this.#maintenance = setInterval(() => committer.maintain(), MAINTENANCE_MS);
    this.#maintenance.unref();
    return committer;
  }

  #checkpointOf(group: string): number {
    for (const [subscription, itsGroup] of this.#subscriptions)
      if (itsGroup === group && subscription.checkpoint !== undefined) return subscription.checkpoint;
    this.#file.refresh();
    const checkpoint = this.#file.readCheckpoint(group);
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
