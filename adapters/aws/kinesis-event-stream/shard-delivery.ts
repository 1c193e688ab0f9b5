import type { Clock } from '#core/clock.ts';
import { deliverBatch } from '#core/delivery/deliver-batch.ts';
import { DeliveryWindow, type DeliveryLimits, type WindowBatch } from '#core/delivery/delivery-window.ts';
import { inTurnWhileHeld, type LeasedDelivery } from '#core/delivery/lease-worker.ts';
import type { SettledBefore } from '#core/delivery/settled-before.ts';
import { Sleeper } from '#core/delivery/sleeper.ts';
import type { StampedEvent } from '#core/domain/event.ts';
import { codeOf } from '#core/errors.ts';
import type { BatchHandler } from '#core/ports/event-stream.ts';
import type { IncomingRecord, ShardStart } from './client.ts';
import { startOf, type ShardLease, type ShardPosition } from './lease-table.ts';
import { decodeRecord } from './record-codec.ts';

export interface ShardDeliveryParts {
  readonly clock: Clock;
  readonly limits: DeliveryLimits;
  readonly settled: SettledBefore;
  readonly handler: BatchHandler;
  readonly pollMs: number;
  /** The events of a record; absent where Tribo wrote it. */
  readonly decode?: ((record: IncomingRecord) => readonly StampedEvent[]) | undefined;
  /** Aborted when the subscription closes. */
  readonly closing: AbortSignal;
  readonly iterator: (shard: string, start: ShardStart, signal: AbortSignal) => Promise<string>;
  readonly read: (
    iterator: string,
    signal: AbortSignal,
  ) => Promise<{ readonly records: readonly IncomingRecord[]; readonly next: string | undefined }>;
  /** Runs one thing at a time of all shards of the subscription. */
  readonly inTurn: (work: () => Promise<void>) => Promise<void>;
  /** Told once everything of a closed shard is settled. */
  readonly onEnded: () => void;
  readonly onFailure: (error: unknown) => void;
}

/** A record that was read: its events are the window's positions from `from` on. */
interface ReadRecord {
  readonly sequenceNumber: string;
  readonly from: number;
  readonly to: number;
}

/** Delivers one shard, for as long as its lease is held: order within a machine, redelivery and progress are the DeliveryWindow's. */
export class ShardDelivery implements LeasedDelivery<ShardPosition> {
  readonly lease: ShardLease;
  readonly #parts: ShardDeliveryParts;
  readonly #window: DeliveryWindow;
  /** Tells the handler and a read under way to stop. */
  readonly #fence = new AbortController();
  readonly #signal: AbortSignal;
  /** Records that are not settled as a whole, in order. */
  readonly #records: ReadRecord[] = [];
  readonly #waiting: { readonly position: number; readonly event: StampedEvent }[] = [];
  readonly #done: Promise<void>;
  #settledTo: ShardPosition;
  #nextPosition = 0;
  #iterator: string | undefined;
  #isAtEnd = false;
  #isStopping = false;
  #readAtMs = -Infinity;
  /** On the monotonic clock: until then nobody else can have the shard. */
  validUntilMs: number;
  readonly #sleeper = new Sleeper();

  constructor(lease: ShardLease, validUntilMs: number, parts: ShardDeliveryParts) {
    this.lease = lease;
    this.validUntilMs = validUntilMs;
    this.#parts = parts;
    this.#settledTo = lease.position;
    this.#window = new DeliveryWindow(parts.limits);
    this.#window.addLane(0);
    this.#signal = AbortSignal.any([parts.closing, this.#fence.signal]);
    this.#done = this.#run();
  }

  /** What is settled of the shard; records of which nothing is left are forgotten. */
  settledPosition(): ShardPosition {
    const checkpoint = this.#window.checkpoint(0);
    let settled = 0;
    while (settled < this.#records.length && this.#records[settled]!.to <= checkpoint) settled++;
    if (settled > 0) this.#settledTo = { sequenceNumber: this.#records[settled - 1]!.sequenceNumber };
    this.#records.splice(0, settled);
    const [first] = this.#records;
    if (first && checkpoint > first.from)
      return { sequenceNumber: first.sequenceNumber, events: checkpoint - first.from };
    return this.#settledTo;
  }

  /** True once the shard is closed and everything of it is settled. */
  get isEnded(): boolean {
    return this.#isAtEnd && this.#window.checkpoint(0) === this.#nextPosition;
  }

  /** Resolves once the handler is done with the batch that is out; no other follows. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#sleeper.wake();
    await this.#done;
  }

  /** The shard is somebody else's: what the handler acknowledges now counts no more. */
  fence(): void {
    this.#isStopping = true;
    this.#fence.abort();
    this.#sleeper.wake();
  }

  get #isOver(): boolean {
    return this.#isStopping || this.#signal.aborted;
  }

  get #isHeld(): boolean {
    return this.#parts.clock.monotonicMs() < this.validUntilMs;
  }

  async #run(): Promise<void> {
    while (!this.#isOver && !this.isEnded) {
      try {
        await this.#step();
      } catch (error) {
        this.#iterator = undefined;
        if (this.#signal.aborted) return;
        this.#parts.onFailure(error);
        await this.#sleeper.sleep(this.#parts.pollMs);
      }
    }
    if (this.isEnded) this.#parts.onEnded();
  }

  async #step(): Promise<void> {
    const { clock, inTurn, handler } = this.#parts;
    const window = this.#window;
    // The lease is about to be renewed, or lost.
    if (!this.#isHeld) return this.#sleeper.sleep(this.#parts.pollMs);
    const batch = window.takeDue(clock.monotonicMs()) ?? this.#readAhead();
    if (batch) {
      const turn = { inTurn, isHeld: () => this.#isHeld, isOver: () => this.#isOver, sleeper: this.#sleeper };
      await inTurnWhileHeld(turn, () =>
        deliverBatch(batch, { window, handler, clock, signal: this.#signal, onSettled: () => undefined }),
      );
      // The event loop gets its turn after each batch: a long backlog must not starve the publisher or a timer.
      await new Promise((resolve) => setImmediate(resolve));
      return;
    }
    const { nextDueMs } = window;
    const untilDueMs = nextDueMs === undefined ? Infinity : nextDueMs - clock.monotonicMs();
    const untilReadMs = this.#mayRead ? this.#readAtMs + this.#parts.pollMs - clock.monotonicMs() : Infinity;
    if (untilReadMs <= 0) await this.#read();
    else await this.#sleeper.sleep(Math.min(untilDueMs, untilReadMs));
  }

  get #mayRead(): boolean {
    return !this.#isAtEnd && this.#waiting.length === 0 && this.#window.mayReadAhead;
  }

  #readAhead(): WindowBatch | undefined {
    const window = this.#window;
    let taken = 0;
    for (const { position, event } of window.mayReadAhead ? this.#waiting : []) {
      if (this.#parts.settled.covers(event)) window.skip(0, position);
      else if (window.hasRoomFor(event.payload.byteLength)) window.accept(0, position, event);
      else break;
      taken++;
    }
    this.#waiting.splice(0, taken);
    return window.takeFresh();
  }

  async #read(): Promise<void> {
    const { clock, iterator, read } = this.#parts;
    const { shard } = this.lease;
    if (this.#iterator === undefined) {
      const last = this.#records.at(-1);
      this.#iterator = await iterator(shard, startOf(last ?? this.#settledTo), this.#signal);
    }
    this.#readAtMs = clock.monotonicMs();
    try {
      const { records, next } = await read(this.#iterator, this.#signal);
      for (const record of records) this.#takeIn(record);
      this.#iterator = next;
      this.#isAtEnd = next === undefined;
    } catch (error) {
      if (codeOf(error) !== 'resource_exhausted') throw error;
      // Throttled, by reads of other groups: the iterator is still good. Somebody has to know, as all that comes is late.
      this.#parts.onFailure(error);
    }
  }

  #decoded(record: IncomingRecord): readonly StampedEvent[] {
    try {
      const what = `record ${record.sequenceNumber} of ${this.lease.shard}`;
      return this.#parts.decode?.(record) ?? decodeRecord(record.data, what);
    } catch (error) {
      // It stays in the shard for whoever wants to see it; nothing of ours is behind it for ever.
      this.#parts.onFailure(error);
      return [];
    }
  }

  #takeIn(record: IncomingRecord): void {
    const { sequenceNumber } = record;
    const { position } = this.lease;
    const events = this.#decoded(record);
    const settledEvents = position?.sequenceNumber === sequenceNumber ? (position.events ?? 0) : 0;
    const from = this.#nextPosition;
    this.#nextPosition += events.length;
    this.#records.push({ sequenceNumber, from, to: this.#nextPosition });
    events.forEach((event, index) => {
      if (index < settledEvents) this.#window.skip(0, from + index);
      else this.#waiting.push({ position: from + index, event });
    });
  }
}
