import type { Clock } from '#core/clock.ts';
import { BackgroundWork } from '#core/delivery/background-work.ts';
import { deliverWindow } from '#core/delivery/deliver-window.ts';
import { DeliveryWindow, type DeliveryLimits, type WindowBatch } from '#core/delivery/delivery-window.ts';
import { SettledBefore } from '#core/delivery/settled-before.ts';
import type { BatchHandler, Progress, Subscription } from '#core/ports/event-stream.ts';
import { CheckpointSaver } from './checkpoint-saver.ts';
import { tryLock, type ExclusiveLock } from './exclusive-lock.ts';
import type { HeadMonitor } from './head-monitor.ts';
import type { LogFile, LogHead } from './log-file.ts';
import { LogReader } from './log-reader.ts';
import type { TailCache } from './tail-cache.ts';

/** How often a standby looks whether the group's lock is free. */
const STANDBY_POLL_MS = 50;
/** Of a batch so many blocks are read before the event loop gets a turn: there may be one for each event, and many that the caller has settled. */
const BLOCKS_A_TURN = 64;

export interface GroupSubscriptionOptions {
  readonly file: LogFile;
  readonly monitor: HeadMonitor;
  readonly cache: TailCache;
  readonly clock: Clock;
  readonly group: string;
  readonly handler: BatchHandler;
  readonly limits: DeliveryLimits;
  readonly resumeAfter: readonly Progress[] | undefined;
  readonly checkpointIntervalMs: number;
  /** Told whenever it has read further. */
  readonly onProgress: () => void;
  /** Told when the log could not be read, or the checkpoint not be saved; both are tried again. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * Delivers a stream to one group. The group's lock makes it the only one of the group to do so; a second one stands by. Order within a
 * machine, redelivery and the checkpoint are the DeliveryWindow's.
 */
export class GroupSubscription implements Subscription {
  readonly #options: GroupSubscriptionOptions;
  readonly #work: BackgroundWork;
  #saver: CheckpointSaver | undefined;
  #reader: LogReader | undefined;

  constructor(options: GroupSubscriptionOptions) {
    this.#options = options;
    this.#work = new BackgroundWork(() => this.#runUntilClosed(), options.onFailure);
  }

  /** The position that is read next; undefined for a standby. */
  get readPosition(): number | undefined {
    return this.#reader?.position;
  }

  /** The position below which the group has settled everything, once this subscription is the active one. */
  get checkpoint(): number | undefined {
    return this.#saver?.position;
  }

  close(): Promise<void> {
    return this.#work.close();
  }

  async #runUntilClosed(): Promise<void> {
    const { file, monitor, cache, group, checkpointIntervalMs, onFailure } = this.#options;
    const lock = await this.#takeLock();
    if (!lock) return;
    const stopListening = monitor.listen(() => this.#work.sleeper.wake());
    try {
      monitor.look();
      while (monitor.head.commit === 0 && !this.#work.isClosing) await this.#work.sleeper.sleep(Infinity);
      const savedPosition = startOf(file.groups.readCheckpoint(group) ?? 0, monitor.head);
      const saving = { groups: file.groups, intervalMs: checkpointIntervalMs, onFailure };
      this.#saver = new CheckpointSaver({ ...saving, group, savedPosition });
      this.#reader = new LogReader(file, monitor, cache, savedPosition);
      await this.#deliverAll(this.#reader, savedPosition);
    } finally {
      stopListening();
      await this.#saver?.close();
      this.#saver = undefined;
      this.#reader = undefined;
      lock.release();
    }
  }

  async #takeLock(): Promise<ExclusiveLock | undefined> {
    while (!this.#work.isClosing) {
      const lock = tryLock(this.#options.file.groups.lockPath(this.#options.group));
      if (lock) return lock;
      await this.#work.sleeper.sleep(STANDBY_POLL_MS);
    }
    return undefined;
  }

  async #deliverAll(reader: LogReader, checkpoint: number): Promise<void> {
    const { clock, handler, limits, resumeAfter } = this.#options;
    const settled = new SettledBefore(resumeAfter);
    const window = new DeliveryWindow(limits);
    window.addLane(checkpoint);
    await deliverWindow({
      ...{ window, handler, clock, signal: this.#work.signal, sleeper: this.#work.sleeper },
      isOver: () => this.#work.isClosing,
      readAhead: () => this.#readAhead(reader, window, settled),
      hasMore: () => reader.block() !== undefined,
      onProgress: () => this.#advance(window),
    });
  }

  /** Fills a batch from where the reader is, as full as the backlog allows: after a restart it has again all that was in the one before. */
  async #readAhead(
    reader: LogReader,
    window: DeliveryWindow,
    settled: SettledBefore,
  ): Promise<WindowBatch | undefined> {
    for (let blocks = 1; window.mayReadAhead && !this.#work.isClosing; blocks++) {
      const block = reader.block();
      if (!block) break;
      const { events, firstPosition } = block;
      let index = reader.position - firstPosition;
      for (; index < events.length; index++) {
        const event = events[index]!;
        if (settled.covers(event)) window.skip(0, firstPosition + index);
        else if (window.hasRoomFor(event.payload.byteLength)) window.accept(0, firstPosition + index, event);
        else break;
      }
      reader.moveTo(firstPosition + index);
      if (index < events.length) break;
      if (blocks % BLOCKS_A_TURN > 0) continue;
      this.#advance(window);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return this.#work.isClosing ? undefined : window.takeFresh();
  }

  #advance(window: DeliveryWindow): void {
    this.#saver?.advance(window.checkpoint(0));
    this.#options.onProgress();
  }
}

/** Where delivery begins. A checkpoint that is ahead of the log is of another one: all that is kept comes again. */
function startOf(checkpoint: number, { firstPosition, nextPosition }: LogHead): number {
  return checkpoint > nextPosition ? firstPosition : Math.max(checkpoint, firstPosition);
}
