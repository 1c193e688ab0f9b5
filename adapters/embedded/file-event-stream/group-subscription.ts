import type { Clock } from '#core/clock.ts';
import { DeliveryWindow, type WindowBatch } from '#core/delivery/delivery-window.ts';
import type { StampedEvent } from '#core/domain/event.ts';
import type { BatchHandler, Progress, SubscribeOptions, Subscription } from '#core/ports/event-stream.ts';
import { CheckpointSaver } from './checkpoint-saver.ts';
import { tryLock, type ExclusiveLock } from './exclusive-lock.ts';
import type { GroupPositions } from './group-file.ts';
import { SourceReader } from './source-reader.ts';
import type { StreamLog } from './stream-log.ts';

const DEFAULT_MAX_BATCH_BYTES = 4 * 2 ** 20;
/** How often a standby looks whether the group's lock is free. */
const STANDBY_POLL_MS = 50;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5000;
const RESTART_MS = 1000;
/** A batch is looked for in so many blocks before the event loop gets a turn: a caller may have settled much more than the checkpoint says. */
const MAX_BLOCKS_A_BATCH = 64;

export interface GroupSubscriptionOptions {
  readonly log: StreamLog;
  readonly clock: Clock;
  readonly group: string;
  readonly handler: BatchHandler;
  readonly subscribe: SubscribeOptions;
  readonly maxHeldEvents: number;
  readonly maxHeldBytes: number;
  readonly checkpointIntervalMs: number;
  /** Told when the log could not be read; delivery is tried again. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * Delivers a stream to one group. The group's lock makes it the only one of the group to do so; a second one stands by. Each publisher is
 * a lane of the DeliveryWindow, which keeps the order within a machine, redelivery and the checkpoints.
 */
export class GroupSubscription implements Subscription {
  readonly #options: GroupSubscriptionOptions;
  readonly #abort = new AbortController();
  readonly #done: Promise<void>;
  #delivery: Delivery | undefined;
  #wake: () => void = () => undefined;

  constructor(options: GroupSubscriptionOptions) {
    this.#options = options;
    this.#done = this.#run();
  }

  /** By source what the group has settled, once this subscription is the active one. */
  get positions(): GroupPositions | undefined {
    return this.#delivery?.positions();
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
    const { log, group, checkpointIntervalMs } = this.#options;
    const lock = await this.#takeLock();
    if (!lock) return;
    try {
      const delivery = new Delivery(this.#options, (await log.groups.read(group)) ?? new Map());
      const saver = new CheckpointSaver(log.groups, group, checkpointIntervalMs, () => delivery.positions());
      const stopListening = log.listen({
        onNews: () => this.#wake(),
        positionOf: (source) => delivery.positionOf(source),
      });
      this.#delivery = delivery;
      try {
        await this.#deliverAll(delivery, saver);
      } finally {
        this.#delivery = undefined;
        stopListening();
        await saver.close();
        await delivery.close();
      }
    } finally {
      lock.release();
    }
  }

  async #takeLock(): Promise<ExclusiveLock | undefined> {
    while (!this.#isClosing) {
      const lock = tryLock(this.#options.log.paths.groupLock(this.#options.group));
      if (lock) return lock;
      await this.#sleep(STANDBY_POLL_MS);
    }
    return undefined;
  }

  async #deliverAll(delivery: Delivery, saver: CheckpointSaver): Promise<void> {
    const { clock, log } = this.#options;
    while (!this.#isClosing) {
      delivery.addNewSources();
      const batch = delivery.takeDue(clock.monotonicMs()) ?? (await delivery.readAhead());
      if (batch) await this.#deliver(delivery, batch);
      if (delivery.hasAdvanced()) saver.touch();
      log.dropReadEvents();
      const dueMs = delivery.nextDueMs;
      // The event loop gets its turn after each batch: a long backlog must not starve the publisher or a timer.
      if (batch || delivery.canRead) await new Promise((resolve) => setImmediate(resolve));
      else await this.#sleep(dueMs === undefined ? undefined : dueMs - clock.monotonicMs());
    }
  }

  async #deliver(delivery: Delivery, batch: WindowBatch): Promise<void> {
    const { clock, handler } = this.#options;
    let isSettled = false;
    const settle = (failed: readonly number[], delayMs: number): void => {
      if (isSettled) return;
      isSettled = true;
      delivery.settle(batch, failed, failed.length > 0 ? clock.monotonicMs() + delayMs : 0);
    };
    const retryMs = Math.min(FIRST_RETRY_MS * 2 ** Math.min(batch.redeliveries, 16), LONGEST_RETRY_MS);
    try {
      await handler(
        {
          events: batch.events,
          redeliveries: batch.redeliveries,
          ack: async () => settle([], 0),
          nack: async (failed, { delayMs = retryMs } = {}) => settle(failed, delayMs),
        },
        this.#abort.signal,
      );
    } catch {
      // The port says so: a rejection is a nack. What failed is the handler's to report.
    }
    settle([...batch.events.keys()], retryMs);
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

/** What an active subscription has read and not settled, of every source of the stream. */
class Delivery {
  readonly #log: StreamLog;
  readonly #start: GroupPositions;
  readonly #window: DeliveryWindow;
  readonly #settledBefore: SettledBefore;
  readonly #lanes = new Map<string, { readonly lane: number; readonly reader: SourceReader }>();
  #hasAdvanced = false;

  constructor({ log, subscribe, maxHeldEvents, maxHeldBytes }: GroupSubscriptionOptions, start: GroupPositions) {
    this.#log = log;
    this.#start = start;
    this.#settledBefore = new SettledBefore(subscribe.resumeAfter ?? []);
    this.#window = new DeliveryWindow({
      maxBatchEvents: subscribe.maxBatchEvents,
      maxBatchBytes: subscribe.maxBatchBytes ?? DEFAULT_MAX_BATCH_BYTES,
      maxHeldEvents,
      maxHeldBytes,
    });
  }

  addNewSources(): void {
    for (const source of this.#log.sources) {
      if (this.#lanes.has(source.name)) continue;
      const directory = this.#log.paths.source(source.name);
      const start = this.#start.get(source.name) ?? 0;
      const reader = new SourceReader(directory, source.cache, () => source.head, start);
      this.#lanes.set(source.name, { lane: this.#window.addLane(reader.position), reader });
    }
  }

  /** By source the position below which everything is settled; a source that was not seen yet keeps the one it had. */
  positions(): GroupPositions {
    const positions = new Map(this.#start);
    for (const [source, { lane }] of this.#lanes) positions.set(source, this.#window.checkpoint(lane));
    return positions;
  }

  positionOf(source: string): number | undefined {
    return this.#lanes.get(source)?.reader.position;
  }

  get nextDueMs(): number | undefined {
    return this.#window.nextDueMs;
  }

  get canRead(): boolean {
    return this.#window.mayReadAhead && [...this.#lanes.values()].some(({ reader }) => !reader.isAtHead);
  }

  takeDue(nowMs: number): WindowBatch | undefined {
    return this.#window.takeDue(nowMs);
  }

  /** Fills a batch from where the readers are, one source after the other. */
  async readAhead(): Promise<WindowBatch | undefined> {
    for (const [source, { lane, reader }] of this.#lanes) {
      if (!(await this.#readLane(lane, reader))) {
        // The next batch begins with another source.
        const entry = this.#lanes.get(source)!;
        this.#lanes.delete(source);
        this.#lanes.set(source, entry);
        break;
      }
    }
    return this.#window.takeFresh();
  }

  settle(batch: WindowBatch, failed: readonly number[], notBeforeMs: number): void {
    this.#window.settle(batch, failed, notBeforeMs);
    this.#hasAdvanced = true;
  }

  /** Whether a checkpoint may have moved since the last call. */
  hasAdvanced(): boolean {
    const hasAdvanced = this.#hasAdvanced;
    this.#hasAdvanced = false;
    return hasAdvanced;
  }

  async close(): Promise<void> {
    for (const { reader } of this.#lanes.values()) await reader.close();
  }

  /** False once the batch is full. */
  async #readLane(lane: number, reader: SourceReader): Promise<boolean> {
    const window = this.#window;
    for (let blocks = 0; blocks < MAX_BLOCKS_A_BATCH && window.mayReadAhead; blocks++) {
      const block = await reader.block();
      if (!block) return true;
      const { events, firstPosition } = block;
      let index = reader.position - firstPosition;
      for (; index < events.length; index++) {
        const event = events[index]!;
        if (this.#settledBefore.covers(event)) {
          window.skip(lane, firstPosition + index);
          this.#hasAdvanced = true;
        } else if (window.hasRoomFor(event.payload.byteLength)) window.accept(lane, firstPosition + index, event);
        else break;
      }
      reader.moveTo(firstPosition + index);
      if (index < events.length) return false;
    }
    return false;
  }
}

/** What the caller has settled by its own account. */
class SettledBefore {
  readonly #progress: readonly Progress[];
  #last: Progress | undefined;

  constructor(progress: readonly Progress[]) {
    this.#progress = progress;
  }

  covers({ source, epoch, seq }: StampedEvent): boolean {
    if (this.#progress.length === 0) return false;
    if (this.#last?.epoch !== epoch || this.#last.source !== source)
      this.#last = this.#progress.find((each) => each.epoch === epoch && each.source === source) ?? {
        source,
        epoch,
        seq: 0,
      };
    return seq <= this.#last.seq;
  }
}
