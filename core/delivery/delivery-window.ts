import type { StampedEvent } from '../domain/event.ts';
import type { MachineKey } from '../domain/ids.ts';
import { PortError } from '../errors.ts';
import type { SubscribeOptions } from '../ports/event-stream.ts';
import { ContiguousProgress } from './contiguous-progress.ts';

export interface DeliveryLimits {
  readonly maxBatchEvents: number;
  readonly maxBatchBytes: number;
  /** Beyond so many events waiting behind a failed one, the subscription stops reading ahead. */
  readonly maxHeldEvents: number;
  readonly maxHeldBytes: number;
}

const DEFAULT_MAX_BATCH_BYTES = 4 * 2 ** 20;

/**
 * What a subscriber takes at a time, and how much a subscription holds behind what failed.
 * @throws PortError invalid_argument where that is nothing.
 */
export function deliveryLimits(
  { maxBatchEvents, maxBatchBytes = DEFAULT_MAX_BATCH_BYTES }: SubscribeOptions,
  { maxHeldEvents, maxHeldBytes }: Pick<DeliveryLimits, 'maxHeldEvents' | 'maxHeldBytes'>,
): DeliveryLimits {
  if (!Number.isInteger(maxBatchEvents) || maxBatchEvents < 1)
    throw new PortError('invalid_argument', `maxBatchEvents must be at least 1, got ${maxBatchEvents}`);
  return { maxBatchEvents, maxBatchBytes, maxHeldEvents, maxHeldBytes };
}

/** A batch as the window handed it out; `lanes` and `positions` are those of `events`. */
export interface WindowBatch {
  readonly events: readonly StampedEvent[];
  readonly lanes: readonly number[];
  readonly positions: readonly number[];
  /** How often the event of the batch that came most often was delivered before. */
  readonly redeliveries: number;
}

/**
 * What a subscription to a log-like stream has read but not settled. The stream may have several lanes, as Kinesis has shards: each has
 * positions and a checkpoint of its own, and a machine may come in several. A failed event holds back the later events of its own machine only;
 * the others go on, and the checkpoint stays below the oldest unsettled one. One batch is out at a time. Memory is bounded by the
 * limits, once `mayReadAhead` is heeded.
 */
export class DeliveryWindow {
  readonly #limits: DeliveryLimits;
  readonly #lanes: ContiguousProgress[] = [];
  readonly #holds = new Map<MachineKey, Hold>();
  #heldEvents = 0;
  #heldBytes = 0;
  #fresh: FreshBatch = new FreshBatch();

  constructor(limits: DeliveryLimits) {
    this.#limits = limits;
  }

  /** Adds a lane that is read from the position on; returns its number: 0, 1, ... */
  addLane(firstPosition: number): number {
    return this.#lanes.push(new ContiguousProgress(firstPosition)) - 1;
  }

  /** Everything below it in the lane is settled. */
  checkpoint(lane: number): number {
    return this.#lanes[lane]!.checkpoint;
  }

  get heldEvents(): number {
    return this.#heldEvents;
  }

  /** False once too much waits behind failed events: then only redeliveries go out until it is less. */
  get mayReadAhead(): boolean {
    return this.#heldEvents < this.#limits.maxHeldEvents && this.#heldBytes < this.#limits.maxHeldBytes;
  }

  /** When the next redelivery is due, on the caller's clock; undefined when nothing is held. */
  get nextDueMs(): number | undefined {
    let due: number | undefined;
    for (const hold of this.#holds.values()) if (due === undefined || hold.notBeforeMs < due) due = hold.notBeforeMs;
    return due;
  }

  /** Passes over positions that need no delivery: one, or all from it to before `to`. */
  skip(lane: number, position: number, to: number = position + 1): void {
    this.#lanes[lane]!.settle(position, to);
  }

  /** Whether the batch being collected has room for an event of so many payload bytes. The first one always fits. */
  hasRoomFor(payloadBytes: number): boolean {
    const fresh = this.#fresh;
    if (fresh.events.length === 0) return true;
    return (
      fresh.events.length < this.#limits.maxBatchEvents && fresh.bytes + payloadBytes <= this.#limits.maxBatchBytes
    );
  }

  /** Takes in the next event of a lane: into the batch being collected, or behind an earlier failed event of its machine. */
  accept(lane: number, position: number, event: StampedEvent): void {
    const hold = this.#holds.size > 0 ? this.#holds.get(event.key) : undefined;
    if (hold) this.#hold(hold, { lane, position, event: alone(event), deliveries: 0 });
    else this.#fresh.add(lane, position, event);
  }

  /** The batch collected since the last call, if any. */
  takeFresh(): WindowBatch | undefined {
    if (this.#fresh.events.length === 0) return undefined;
    const fresh = this.#fresh;
    this.#fresh = new FreshBatch();
    return fresh;
  }

  /** A batch of events whose delay is over, if any, in the order of their lanes. */
  takeDue(nowMs: number): WindowBatch | undefined {
    if (this.#holds.size === 0) return undefined;
    const due: Held[] = [];
    let bytes = 0;
    for (const hold of this.#holds.values()) {
      if (hold.notBeforeMs > nowMs) continue;
      for (const held of hold.queue) {
        const full =
          due.length >= this.#limits.maxBatchEvents || bytes + sizeOf(held.event) > this.#limits.maxBatchBytes;
        if (due.length > 0 && full) break;
        due.push(held);
        bytes += sizeOf(held.event);
        hold.outstanding++;
      }
      if (due.length >= this.#limits.maxBatchEvents) break;
    }
    if (due.length === 0) return undefined;
    // One machine's events stay in the order in which they came, also over lanes; a single lane comes back in its own order.
    if (this.#lanes.length === 1) due.sort((left, right) => left.position - right.position);
    return {
      events: due.map((held) => held.event),
      lanes: due.map((held) => held.lane),
      positions: due.map((held) => held.position),
      redeliveries: Math.max(...due.map((held) => held.deliveries)),
    };
  }

  /** Settles the batch but for the events at the failed indexes, which are due again at `notBeforeMs`. */
  settle(batch: WindowBatch, failed: readonly number[], notBeforeMs: number): void {
    const again = new Set(failed);
    for (const index of again)
      if (batch.events[index] === undefined) throw new RangeError(`the batch has no event ${index}`);
    const withdrawn = this.#withdraw(batch);
    this.#settleAllBut(batch, again);
    if (again.size > 0) this.#takeBack(batch, again, notBeforeMs, withdrawn);
    for (const [key, hold] of this.#holds) if (hold.queue.length === 0) this.#holds.delete(key);
  }

  #takeBack(
    batch: WindowBatch,
    failed: ReadonlySet<number>,
    notBeforeMs: number,
    withdrawn: ReadonlyMap<StampedEvent, Held>,
  ): void {
    const returning = new Map<Hold, Held[]>();
    batch.events.forEach((event, index) => {
      if (!failed.has(index)) return;
      const hold = this.#holdOf(event.key);
      hold.notBeforeMs = notBeforeMs;
      const before = withdrawn.get(event)?.deliveries ?? 0;
      const [lane, position] = [batch.lanes[index]!, batch.positions[index]!];
      const held = { lane, position, event: alone(event), deliveries: before + 1 };
      const siblings = returning.get(hold);
      if (siblings) siblings.push(held);
      else returning.set(hold, [held]);
    });
    for (const [hold, events] of returning) this.#putBack(hold, events);
    // Behind the others that are due: a machine that fails again and again must not take all turns.
    for (const { event } of [...returning.values()].map((events) => events[0]!)) {
      const hold = this.#holdOf(event.key);
      this.#holds.delete(event.key);
      this.#holds.set(event.key, hold);
    }
  }

  /** Takes the batch's events out of their holds. */
  #withdraw(batch: WindowBatch): ReadonlyMap<StampedEvent, Held> {
    const withdrawn = new Map<StampedEvent, Held>();
    if (this.#holds.size === 0) return withdrawn;
    for (const key of new Set(batch.events.map((event) => event.key))) {
      const hold = this.#holds.get(key);
      if (!hold || hold.outstanding === 0) continue;
      for (const held of hold.queue.splice(0, hold.outstanding)) {
        withdrawn.set(held.event, held);
        this.#heldEvents--;
        this.#heldBytes -= sizeOf(held.event);
      }
      hold.outstanding = 0;
      hold.notBeforeMs = 0;
    }
    return withdrawn;
  }

  #settleAllBut({ lanes, positions }: WindowBatch, failed: ReadonlySet<number>): void {
    let from = 0;
    for (let index = 1; index <= positions.length; index++) {
      const runGoesOn =
        index < positions.length &&
        positions[index] === positions[index - 1]! + 1 &&
        lanes[index] === lanes[index - 1] &&
        !(failed.size > 0 && (failed.has(index) || failed.has(index - 1)));
      if (runGoesOn) continue;
      if (!failed.has(from)) this.#lanes[lanes[from]!]!.settle(positions[from]!, positions[index - 1]! + 1);
      from = index;
    }
  }

  #holdOf(key: MachineKey): Hold {
    let hold = this.#holds.get(key);
    if (!hold) this.#holds.set(key, (hold = { queue: [], notBeforeMs: 0, outstanding: 0 }));
    return hold;
  }

  #hold(hold: Hold, held: Held): void {
    hold.queue.push(held);
    this.#heldEvents++;
    this.#heldBytes += sizeOf(held.event);
  }

  #putBack(hold: Hold, events: readonly Held[]): void {
    hold.queue.unshift(...events);
    this.#heldEvents += events.length;
    for (const held of events) this.#heldBytes += sizeOf(held.event);
  }
}

interface Held {
  readonly lane: number;
  readonly position: number;
  readonly event: StampedEvent;
  readonly deliveries: number;
}

/** The failed events of one machine and those behind them, oldest first; the first `outstanding` are out in a batch. */
interface Hold {
  readonly queue: Held[];
  notBeforeMs: number;
  outstanding: number;
}

class FreshBatch implements WindowBatch {
  readonly events: StampedEvent[] = [];
  readonly lanes: number[] = [];
  readonly positions: number[] = [];
  readonly redeliveries = 0;
  bytes = 0;

  add(lane: number, position: number, event: StampedEvent): void {
    this.events.push(event);
    this.lanes.push(lane);
    this.positions.push(position);
    this.bytes += event.payload.byteLength;
  }
}

/** The event with a payload that keeps no other's memory, as one that came in a larger buffer would for as long as it is held. */
function alone(event: StampedEvent): StampedEvent {
  const { payload } = event;
  if (payload.byteLength === payload.buffer.byteLength) return event;
  // Of a Buffer `slice` itself is a view.
  return { ...event, payload: Uint8Array.prototype.slice.call(payload) };
}

/** Payload and an allowance for the envelope. */
function sizeOf(event: StampedEvent): number {
  return event.payload.byteLength + 200;
}
