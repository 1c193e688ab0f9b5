import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { StampedEvent } from '../domain/event.ts';
import type { MachineKey } from '../domain/ids.ts';
import { DeliveryWindow, type WindowBatch } from './delivery-window.ts';

const LIMITS = { maxBatchEvents: 4, maxBatchBytes: 10_000, maxHeldEvents: 8, maxHeldBytes: 100_000 };
const RETRY_MS = 10;

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

/** Reads the log through a window; each delivery fails at the indexes given for it, and all succeed once those are used up. */
function deliverAll(log: readonly StampedEvent[], failures: readonly (readonly number[])[]): StampedEvent[] {
  const window = new DeliveryWindow(LIMITS);
  window.addLane(0);
  const settled: StampedEvent[] = [];
  let position = 0;
  let deliveries = 0;
  for (let nowMs = 0; window.checkpoint(0) < log.length; nowMs += RETRY_MS / 2) {
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

function newEvent(machine: number, position: number): StampedEvent {
  return {
    eventId: `e-${position}`,
    kind: 'telemetry',
    key: `north/akron/m${machine}` as MachineKey,
    items: 1,
    acceptedAtMs: 0,
    payload: new Uint8Array(1),
    source: 'test',
    epoch: 1,
    seq: position + 1,
    cumulativeItems: position + 1,
  };
}
