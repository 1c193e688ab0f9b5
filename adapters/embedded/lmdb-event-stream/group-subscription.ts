import type { Clock } from '#core/clock.ts';
import { deliverBatch } from '#core/delivery/deliver-batch.ts';
import { DeliveryWindow, type WindowBatch } from '#core/delivery/delivery-window.ts';
import { SettledBefore } from '#core/delivery/settled-before.ts';
import type { BatchHandler, SubscribeOptions, Subscription } from '#core/ports/event-stream.ts';
import { CheckpointSaver } from './checkpoint-saver.ts';
import { tryLock, type ExclusiveLock } from './exclusive-lock.ts';
import type { HeadMonitor } from './head-monitor.ts';
import type { LogFile, LogHead } from './log-file.ts';
import { LogReader } from './log-reader.ts';
import type { TailCache } from './tail-cache.ts';

const DEFAULT_MAX_BATCH_BYTES = 4 * 2 ** 20;
/** How often a standby looks whether the group's lock is free. */
const STANDBY_POLL_MS = 50;
const RESTART_MS = 1000;
/** Of a batch so many blocks are read before the event loop gets a turn: there may be one for each event, and many that the caller has settled. */
const BLOCKS_A_TURN = 64;

export interface GroupSubscriptionOptions {
  readonly file: LogFile;
  readonly monitor: HeadMonitor;
  readonly cache: TailCache;
  readonly clock: Clock;
  readonly group: string;
  readonly handler: BatchHandler;
  readonly subscribe: SubscribeOptions;
  readonly maxHeldEvents: number;
  readonly maxHeldBytes: number;
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
  readonly #abort = new AbortController();
  readonly #done: Promise<void>;
  #saver: CheckpointSaver | undefined;
  #reader: LogReader | undefined;
  #wake: () => void = () => undefined;

  constructor(options: GroupSubscriptionOptions) {
    this.#options = options;
    this.#done = this.#run();
  }

  /** The position that is read next; undefined for a standby. */
  get readPosition(): number | undefined {
    return this.#reader?.position;
  }

  /** The position below which the group has settled everything, once this subscription is the active one. */
  get checkpoint(): number | undefined {
    return this.#saver?.position;
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.#wake();
    await this.#done;
  }

  get #isClosing(): boolean {
    return this.#abort.signal.aborted;
  }

  async #run(): Promise<void> {
    while (!this.#isClosing) {
      try {
        await this.#runUntilClosed();
      } catch (error) {
        this.#options.onFailure(error);
        await this.#sleep(RESTART_MS);
      }
    }
  }

  async #runUntilClosed(): Promise<void> {
    const { file, monitor, cache, group, checkpointIntervalMs, onFailure } = this.#options;
    const lock = await this.#takeLock();
    if (!lock) return;
    const stopListening = monitor.listen(() => this.#wake());
    try {
      monitor.look();
      while (monitor.head.commit === 0 && !this.#isClosing) await this.#sleep(undefined);
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
    while (!this.#isClosing) {
      const lock = tryLock(this.#options.file.groups.lockPath(this.#options.group));
      if (lock) return lock;
      await this.#sleep(STANDBY_POLL_MS);
    }
    return undefined;
  }

  async #deliverAll(reader: LogReader, checkpoint: number): Promise<void> {
    const { clock, handler, subscribe, maxHeldEvents, maxHeldBytes } = this.#options;
    const settled = new SettledBefore(subscribe.resumeAfter);
    const window = new DeliveryWindow({
      maxBatchEvents: subscribe.maxBatchEvents,
      maxBatchBytes: subscribe.maxBatchBytes ?? DEFAULT_MAX_BATCH_BYTES,
      maxHeldEvents,
      maxHeldBytes,
    });
    window.addLane(checkpoint);
    const delivery = { window, handler, clock, signal: this.#abort.signal, onSettled: () => this.#advance(window) };
    while (!this.#isClosing) {
      const batch = window.takeDue(clock.monotonicMs()) ?? (await this.#readAhead(reader, window, settled));
      if (batch) await deliverBatch(batch, delivery);
      else this.#advance(window);
      const dueMs = window.nextDueMs;
      // The event loop gets its turn after each batch: a long backlog must not starve the publisher or a timer.
      if (batch || (window.mayReadAhead && reader.block())) await new Promise((resolve) => setImmediate(resolve));
      else await this.#sleep(dueMs === undefined ? undefined : dueMs - clock.monotonicMs());
    }
  }

  /** Fills a batch from where the reader is, as full as the backlog allows: after a restart it has again all that was in the one before. */
  async #readAhead(
    reader: LogReader,
    window: DeliveryWindow,
    settled: SettledBefore,
  ): Promise<WindowBatch | undefined> {
    for (let blocks = 1; window.mayReadAhead && !this.#isClosing; blocks++) {
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
    return this.#isClosing ? undefined : window.takeFresh();
  }

  #advance(window: DeliveryWindow): void {
    this.#saver?.advance(window.checkpoint(0));
    this.#options.onProgress();
  }

  /** Sleeps until woken, or so long. */
  async #sleep(ms: number | undefined): Promise<void> {
    if (this.#isClosing || (ms !== undefined && ms <= 0)) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (ms !== undefined) timer = setTimeout(resolve, Math.ceil(ms));
    });
    clearTimeout(timer);
    this.#wake = () => undefined;
  }
}

/** Where delivery begins. A checkpoint that is ahead of the log is of another one: all that is kept comes again. */
function startOf(checkpoint: number, { firstPosition, nextPosition }: LogHead): number {
  return checkpoint > nextPosition ? firstPosition : Math.max(checkpoint, firstPosition);
}
