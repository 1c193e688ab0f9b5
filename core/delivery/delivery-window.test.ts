import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { stampedEvent } from '../contracts/sample-event.ts';
import type { StampedEvent } from '../domain/event.ts';
import type { MachineKey } from '../domain/ids.ts';
import { DeliveryWindow, type WindowBatch } from './delivery-window.ts';

const LIMITS = { maxBatchEvents: 4, maxBatchBytes: 10_000, maxHeldEvents: 8, maxHeldBytes: 30_000 };
const RETRY_MS = 10;
/** What the window allows for an event besides its payload. */
const ENVELOPE_BYTES = 200;

describe('delivery window', () => {
  it('settles every event once, each machine in order, however often deliveries fail', () => {
    const attempts = fc.array(fc.array(fc.nat({ max: LIMITS.maxBatchEvents - 1 }), { maxLength: 3 }), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 3 }), { maxLength: 50 }), attempts, (machines, failures) => {
        const log = machines.map(newEvent);
        const settled = deliverAll(log, failures);
        expect([...settled].sort((left, right) => left.seq - right.seq)).toEqual(log);
        for (const own of Map.groupBy(settled, (event) => event.key).values())
          expect(own.map((event) => event.seq)).toEqual(own.map((event) => event.seq).sort((a, b) => a - b));
      }),
    );
  });

  it('keeps its promises whatever is read, delivered and failed, on several lanes', () => {
    fc.assert(
      fc.property(operations, (given) => {
        const model = new ModelledWindow(2);
        for (const operation of given) model.run(operation);
        model.drain();
      }),
      { numRuns: 150 },
    );
  });

  it('gives a machine that failed again no turn before the others that are due', () => {
    const window = new DeliveryWindow({ ...LIMITS, maxBatchEvents: 2 });
    window.addLane(0);
    for (let position = 0; position < 6; position++) {
      window.accept(0, position, newEvent(position >> 1, position));
      if (position % 2 === 1) window.settle(window.takeFresh()!, [0, 1], 0);
    }
    const turns = Array.from({ length: 4 }, () => {
      const batch = window.takeDue(0)!;
      window.settle(batch, [0, 1], 0);
      return batch.events[0]!.key;
    });
    expect(turns.map((key) => key.split('/')[2])).toEqual(['m0', 'm1', 'm2', 'm0']);
  });

  it('holds back a failed machine alone, until its delay is over', () => {
    const window = new DeliveryWindow(LIMITS);
    window.addLane(0);
    const [poisoned, other, behind] = [newEvent(0, 0), newEvent(1, 1), newEvent(0, 2)];
    window.accept(0, 0, poisoned);
    window.accept(0, 1, other);
    window.settle(window.takeFresh()!, [0], RETRY_MS);
    expect(window.checkpoint(0)).toBe(0);
    window.accept(0, 2, behind);
    expect(window.takeFresh()).toBeUndefined();
    expect(window.takeDue(RETRY_MS - 1)).toBeUndefined();
    const again = window.takeDue(RETRY_MS)!;
    expect(again.events).toEqual([poisoned, behind]);
    expect(again.redeliveries).toBe(1);
    window.settle(again, [], 0);
    expect(window.checkpoint(0)).toBe(3);
    expect(window.heldEvents).toBe(0);
  });

  it('keeps a checkpoint for each lane', () => {
    const window = new DeliveryWindow(LIMITS);
    const lanes = [window.addLane(10), window.addLane(70)] as const;
    window.accept(lanes[0], 10, newEvent(0, 0));
    window.accept(lanes[1], 70, newEvent(1, 1));
    window.accept(lanes[1], 71, newEvent(2, 2));
    window.settle(window.takeFresh()!, [1], RETRY_MS);
    expect(window.checkpoint(lanes[0])).toBe(11);
    expect(window.checkpoint(lanes[1])).toBe(70);
    window.settle(window.takeDue(RETRY_MS)!, [], 0);
    expect(window.checkpoint(lanes[1])).toBe(72);
  });

  it('stops reading ahead while too much waits behind a failed event', () => {
    const window = new DeliveryWindow(LIMITS);
    window.addLane(0);
    window.accept(0, 0, newEvent(0, 0));
    window.settle(window.takeFresh()!, [0], RETRY_MS);
    for (let position = 1; position < LIMITS.maxHeldEvents; position++) {
      expect(window.mayReadAhead).toBe(true);
      window.accept(0, position, newEvent(0, position));
    }
    expect(window.mayReadAhead).toBe(false);
    window.settle(window.takeDue(RETRY_MS)!, [], 0);
    expect(window.mayReadAhead).toBe(true);
  });

  it('stops reading ahead while too many bytes wait behind a failed event', () => {
    const window = new DeliveryWindow(LIMITS);
    window.addLane(0);
    const payload = new Uint8Array(LIMITS.maxHeldBytes / 2 - ENVELOPE_BYTES);
    window.accept(0, 0, { ...newEvent(0, 0), payload });
    window.settle(window.takeFresh()!, [0], RETRY_MS);
    expect(window.mayReadAhead).toBe(true);
    window.accept(0, 1, { ...newEvent(0, 1), payload });
    expect(window.heldEvents).toBeLessThan(LIMITS.maxHeldEvents);
    expect(window.mayReadAhead).toBe(false);
  });

  it('keeps of what it holds nothing in memory but the payloads that it counts', () => {
    const window = new DeliveryWindow(LIMITS);
    window.addLane(0);
    const cameIn = Buffer.from('{"ts":1}{"ts":2}');
    const [failed, behind] = [0, 1].map((seq) => ({
      ...newEvent(0, seq),
      payload: cameIn.subarray(8 * seq, 8 * (seq + 1)),
    }));
    window.accept(0, 0, failed!);
    window.settle(window.takeFresh()!, [0], 0);
    window.accept(0, 1, behind!);
    const held = window.takeDue(0)!;
    expect(held.events).toEqual([failed, behind]);
    expect(held.events.map(({ payload }) => payload.buffer.byteLength)).toEqual([8, 8]);
    window.settle(held, [0, 1], 0);
    const again = window.takeDue(0)!;
    expect(again).toMatchObject({ redeliveries: 2, events: [failed, behind] });
    expect(again.events.map(({ payload }) => payload.buffer)).toEqual(held.events.map(({ payload }) => payload.buffer));
  });

  it('refuses an index that the batch does not have, and changes nothing', () => {
    const window = new DeliveryWindow(LIMITS);
    window.addLane(0);
    window.accept(0, 0, newEvent(0, 0));
    const batch = window.takeFresh()!;
    expect(() => window.settle(batch, [1], 0)).toThrow(RangeError);
    expect(window.checkpoint(0)).toBe(0);
    window.settle(batch, [], 0);
    expect(window.checkpoint(0)).toBe(1);
  });
});

type Operation =
  | { readonly what: 'read'; readonly lane: number; readonly machine: number; readonly payloadBytes: number }
  | { readonly what: 'skip'; readonly lane: number }
  | { readonly what: 'deliver'; readonly failed: readonly number[]; readonly delayMs: number }
  | { readonly what: 'wait'; readonly ms: number };

const operations: fc.Arbitrary<Operation[]> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        what: fc.constant('read' as const),
        lane: fc.nat(1),
        machine: fc.nat(1),
        // Now and then one that is larger than a batch.
        payloadBytes: fc.oneof({ weight: 8, arbitrary: fc.nat(500) }, fc.nat(4000), fc.constant(12_000)),
      }),
    },
    { weight: 1, arbitrary: fc.record({ what: fc.constant('skip' as const), lane: fc.nat(1) }) },
    {
      weight: 4,
      arbitrary: fc.record({
        what: fc.constant('deliver' as const),
        failed: fc.uniqueArray(fc.nat(LIMITS.maxBatchEvents - 1)),
        delayMs: fc.nat(30),
      }),
    },
    { weight: 2, arbitrary: fc.record({ what: fc.constant('wait' as const), ms: fc.nat(20) }) },
  ),
  { maxLength: 120 },
);

interface Accepted {
  readonly event: StampedEvent;
  readonly lane: number;
  readonly position: number;
  dueMs: number;
  deliveries: number;
  isSettled: boolean;
  /** Failed, or came while an earlier one of its machine was held. */
  isHeld: boolean;
}

/** A window beside the plainest account of what it must do, compared after each step. */
class ModelledWindow {
  readonly #window = new DeliveryWindow(LIMITS);
  readonly #accepted: Accepted[] = [];
  readonly #nextPositions: number[];
  #nowMs = 0;

  constructor(lanes: number) {
    this.#nextPositions = Array.from({ length: lanes }, () => 0);
    for (let lane = 0; lane < lanes; lane++) this.#window.addLane(0);
  }

  run(operation: Operation): void {
    if (operation.what === 'wait') this.#nowMs += operation.ms;
    else if (operation.what === 'skip') this.#window.skip(operation.lane, this.#nextPositions[operation.lane]!++);
    else if (operation.what === 'read') this.#read(operation);
    else this.#deliver(operation.failed, operation.delayMs);
    this.#check();
  }

  /** Everything that is left succeeds: then all is settled, and nothing held. */
  drain(): void {
    for (let rounds = 0; this.#unsettled().length > 0; rounds++) {
      expect(rounds).toBeLessThan(1000);
      this.#nowMs += 30;
      this.#deliver([], 0);
      this.#check();
    }
    expect(this.#window.heldEvents).toBe(0);
    expect(this.#window.nextDueMs).toBeUndefined();
  }

  #read({ lane, machine, payloadBytes }: Extract<Operation, { readonly what: 'read' }>): void {
    if (!this.#window.mayReadAhead || !this.#window.hasRoomFor(payloadBytes)) return;
    const payload = new Uint8Array(payloadBytes);
    const event = { ...newEvent(machine, this.#accepted.length), payload };
    const position = this.#nextPositions[lane]!++;
    const isHeld = this.#held().some((each) => each.event.key === event.key);
    this.#accepted.push({ event, lane, position, dueMs: 0, deliveries: 0, isSettled: false, isHeld });
    this.#window.accept(lane, position, event);
  }

  #deliver(wanted: readonly number[], delayMs: number): void {
    // As an adapter does: what was collected goes out before anything else is delivered.
    const batch = this.#window.takeFresh() ?? this.#window.takeDue(this.#nowMs);
    if (!batch) return;
    const delivered = batch.events.map((event) => this.#accepted[event.seq - 1]!);
    this.#checkBatch(batch, delivered);
    const failed = wanted.filter((index) => index < delivered.length);
    this.#window.settle(batch, failed, this.#nowMs + delayMs);
    delivered.forEach((each, index) => {
      each.isSettled = !failed.includes(index);
      each.isHeld = !each.isSettled;
      each.dueMs = this.#nowMs + delayMs;
      each.deliveries++;
    });
  }

  #checkBatch(batch: WindowBatch, delivered: readonly Accepted[]): void {
    expect(batch.positions).toEqual(delivered.map((each) => each.position));
    expect(batch.lanes).toEqual(delivered.map((each) => each.lane));
    expect(batch.redeliveries).toBe(Math.max(...delivered.map((each) => each.deliveries)));
    expect(delivered.length).toBeLessThanOrEqual(LIMITS.maxBatchEvents);
    const bytes = delivered.reduce((sum, { event }) => sum + event.payload.byteLength, 0);
    if (delivered.length > 1) expect(bytes).toBeLessThanOrEqual(LIMITS.maxBatchBytes);
    for (const [key, own] of Map.groupBy(delivered, ({ event }) => event.key)) {
      // No event overtakes an earlier one of its machine, nor comes before the delay of its machine is over.
      const waiting = this.#unsettled().filter(({ event }) => event.key === key);
      expect(own).toEqual(waiting.slice(0, own.length));
      expect(own[0]!.dueMs).toBeLessThanOrEqual(this.#nowMs);
    }
  }

  #check(): void {
    this.#nextPositions.forEach((next, lane) => {
      const own = this.#unsettled().filter((each) => each.lane === lane);
      expect(this.#window.checkpoint(lane)).toBe(own[0]?.position ?? next);
    });
    const held = this.#held();
    const heldBytes = held.reduce((sum, { event }) => sum + event.payload.byteLength + ENVELOPE_BYTES, 0);
    expect(this.#window.heldEvents).toBe(held.length);
    expect(this.#window.mayReadAhead).toBe(held.length < LIMITS.maxHeldEvents && heldBytes < LIMITS.maxHeldBytes);
    expect(held.length).toBeLessThan(LIMITS.maxHeldEvents + LIMITS.maxBatchEvents);
  }

  #held(): Accepted[] {
    return this.#unsettled().filter((each) => each.isHeld);
  }

  #unsettled(): Accepted[] {
    return this.#accepted.filter((each) => !each.isSettled);
  }
}

/** Reads the log through a window; each delivery fails at the indexes given for it, and all succeed once those are used up. */
function deliverAll(log: readonly StampedEvent[], failures: readonly (readonly number[])[]): StampedEvent[] {
  const window = new DeliveryWindow(LIMITS);
  window.addLane(0);
  const settled: StampedEvent[] = [];
  let position = 0;
  let deliveries = 0;
  for (let nowMs = 0; window.checkpoint(0) < log.length; nowMs += RETRY_MS / 2) {
    if (nowMs > 100_000) throw new Error('it comes to no end');
    const batch = window.takeDue(nowMs) ?? readAhead();
    if (!batch) continue;
    const failed = firstFailuresOfMachines(batch, failures[deliveries++] ?? []);
    settled.push(...batch.events.filter((_, index) => !failed.includes(index)));
    window.settle(batch, failed, nowMs + RETRY_MS);
    expect(window.checkpoint(0)).toBe(lowestUnsettled(log, settled));
  }
  return settled;

  function readAhead(): WindowBatch | undefined {
    while (position < log.length && window.mayReadAhead && window.hasRoomFor(1)) {
      window.accept(0, position, log[position]!);
      position++;
    }
    return window.takeFresh();
  }
}

/** A handler that keeps the order fails an event with all later ones of its machine. */
function firstFailuresOfMachines(batch: WindowBatch, wanted: readonly number[]): number[] {
  const failedMachines = new Set<MachineKey>();
  const failed: number[] = [];
  batch.events.forEach((event, index) => {
    if (wanted.includes(index)) failedMachines.add(event.key);
    if (failedMachines.has(event.key)) failed.push(index);
  });
  return failed;
}

function lowestUnsettled(log: readonly StampedEvent[], settled: readonly StampedEvent[]): number {
  const done = new Set(settled);
  const position = log.findIndex((event) => !done.has(event));
  return position < 0 ? log.length : position;
}

const newEvent = (machine: number, position: number): StampedEvent =>
  stampedEvent(position + 1, { key: `north/akron/m${machine}` as MachineKey, payload: new Uint8Array(1) });
