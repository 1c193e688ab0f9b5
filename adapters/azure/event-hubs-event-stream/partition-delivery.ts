import type { Clock } from '#core/clock.ts';
import { deliverWindow } from '#core/delivery/deliver-window.ts';
import { DeliveryWindow, type DeliveryLimits, type WindowBatch } from '#core/delivery/delivery-window.ts';
import { inTurnWhileHeld, type LeasedDelivery, type WorkerSide } from '#core/delivery/lease-worker.ts';
import type { SettledBefore } from '#core/delivery/settled-before.ts';
import { Sleeper } from '#core/delivery/sleeper.ts';
import type { StampedEvent } from '#core/domain/event.ts';
import { PortError } from '#core/errors.ts';
import type { BatchHandler } from '#core/ports/event-stream.ts';
import type { HubConsumer, IncomingEvent } from './client.ts';
import type { PartitionLease } from './partition-leases.ts';
import { PartitionReader } from './partition-reader.ts';

export interface PartitionDeliveryParts {
  readonly clock: Clock;
  readonly hub: string;
  readonly consumer: HubConsumer;
  readonly limits: DeliveryLimits;
  readonly settled: SettledBefore;
  /** What it throws is told, and the event is passed over. */
  readonly decode: (incoming: IncomingEvent, where: string) => StampedEvent;
  readonly handler: BatchHandler;
  readonly receiveWaitMs: number;
  readonly onFailure: (error: unknown) => void;
}

/** Delivers one partition, for as long as its lease is held: order within a machine, redelivery and progress are the DeliveryWindow's. */
export class PartitionDelivery implements LeasedDelivery<number> {
  readonly #lease: PartitionLease;
  readonly #parts: PartitionDeliveryParts;
  readonly #worker: WorkerSide;
  readonly #window: DeliveryWindow;
  readonly #reader: PartitionReader;
  /** Tells the handler to stop. */
  readonly #fence = new AbortController();
  readonly #signal: AbortSignal;
  readonly #sleeper = new Sleeper();
  readonly #done: Promise<void>;
  #isStopping = false;
  /** The one after the last that the window has. */
  #next: number;
  validUntilMs: number;
  /** A partition has no end. */
  readonly isEnded = false;

  constructor(lease: PartitionLease, validUntilMs: number, parts: PartitionDeliveryParts, worker: WorkerSide) {
    this.#lease = lease;
    this.validUntilMs = validUntilMs;
    this.#parts = parts;
    this.#worker = worker;
    this.#next = lease.position + 1;
    this.#window = new DeliveryWindow(parts.limits);
    this.#window.addLane(this.#next);
    this.#signal = AbortSignal.any([worker.closing, this.#fence.signal]);
    const { consumer, receiveWaitMs: waitMs, onFailure } = parts;
    this.#reader = new PartitionReader({
      ...{ consumer, waitMs, onFailure },
      ...{ partition: lease.partition, after: lease.position, ownerLevel: lease.fence },
      onMore: () => this.#sleeper.wake(),
      onTaken: () => worker.lost(),
    });
    this.#done = this.#run();
  }

  settledPosition(): number {
    return this.#window.checkpoint(0) - 1;
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#sleeper.wake();
    await this.#done;
  }

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
    try {
      await deliverWindow({
        ...{ window: this.#window, clock: this.#parts.clock, signal: this.#signal, sleeper: this.#sleeper },
        handler: this.#inTurn,
        isOver: () => this.#isOver,
        readAhead: () => this.#readAhead(),
        hasMore: () => this.#reader.waiting.length > 0,
        onProgress: () => undefined,
      });
    } finally {
      await this.#reader.close();
    }
  }

  /** A rejection of the handler counts as if it had settled nothing, and must not end the turns of the other partitions. */
  readonly #inTurn: BatchHandler = (batch, signal) => {
    const { inTurn } = this.#worker;
    const turn = { inTurn, isHeld: () => this.#isHeld, isOver: () => this.#isOver, sleeper: this.#sleeper };
    return inTurnWhileHeld(turn, () => this.#parts.handler(batch, signal).catch(() => undefined));
  };

  #readAhead(): WindowBatch | undefined {
    const window = this.#window;
    let taken = 0;
    for (const incoming of window.mayReadAhead ? this.#reader.waiting : []) {
      const event = this.#decoded(incoming);
      if (event && !this.#parts.settled.covers(event)) {
        if (!window.hasRoomFor(event.payload.byteLength)) break;
        this.#passGap(incoming);
        window.accept(0, incoming.sequenceNumber, event);
      } else {
        this.#passGap(incoming);
        window.skip(0, incoming.sequenceNumber);
      }
      this.#next = incoming.sequenceNumber + 1;
      taken++;
    }
    this.#reader.take(taken);
    return window.takeFresh();
  }

  /** Sequence numbers have no holes: what is missing was let go of, as its time was over. */
  #passGap({ sequenceNumber }: IncomingEvent): void {
    if (sequenceNumber === this.#next) return;
    this.#window.skip(0, this.#next, sequenceNumber);
    const { hub, onFailure } = this.#parts;
    const what = `partition ${this.#lease.partition} of ${hub} no longer has the events ${this.#next} to ${sequenceNumber - 1}`;
    onFailure(new PortError('data_loss', `${what}, which a group had still to read. Give the hub a longer retention.`));
  }

  #decoded(incoming: IncomingEvent): StampedEvent | undefined {
    const { hub, decode, onFailure } = this.#parts;
    try {
      return decode(incoming, `partition ${this.#lease.partition} of ${hub}`);
    } catch (error) {
      onFailure(error);
      return undefined;
    }
  }
}
