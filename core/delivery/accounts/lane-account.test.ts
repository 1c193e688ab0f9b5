import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { behind, laterOf, publishedTo, type PublishedLane, type SettledLane } from './lane-account.ts';

const settledAt = (epoch: number, seq: number, acceptedAtMs = 0): SettledLane => ({ epoch, seq, acceptedAtMs });

/** A lane whose publisher made so many events durable in each of its epochs, which began at `firstEpoch`, one a second. */
function laneOf(epochs: readonly number[], startMs = 0): PublishedLane {
  let lane: PublishedLane | undefined;
  let nowMs = startMs;
  epochs.forEach((count, index) => {
    for (let seq = 1; seq <= count; seq++) lane = publishedTo(lane, { epoch: index + 1, seq }, (nowMs += 1000));
  });
  return lane!;
}

describe('what a group has still to settle of a lane', () => {
  it('is everything between what it settled and what is published, over epochs', () => {
    const counts = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(counts, fc.nat(), (epochs, at) => {
        const events = epochs.flatMap((count, index) =>
          Array.from({ length: count }, (_, seq) => settledAt(index + 1, seq + 1)),
        );
        const place = at % events.length;
        const lane = laneOf(epochs);
        expect(behind(lane, events[place], 0).events).toBe(events.length - 1 - place);
        expect(behind(lane, undefined, 0).events).toBe(events.length);
      }),
    );
  });

  it('is nothing where it has settled what the publisher has not said', () => {
    expect(behind(laneOf([5]), settledAt(1, 7), 9000)).toEqual({ events: 0, oldestAgeMs: 0 });
    expect(behind(laneOf([5]), settledAt(2, 1), 9000)).toEqual({ events: 0, oldestAgeMs: 0 });
    expect(behind(laneOf([5, 3]), settledAt(1, 9), 9000).events).toBe(3);
  });

  it('is what is known to wait where its epoch is longer ago than is known', () => {
    const lane = laneOf(Array.from({ length: 12 }, () => 2));
    expect(behind(lane, settledAt(1, 1), 0).events).toBe(8 * 2 + 2);
  });

  it('is as old as it is said to be, or younger by less than a second, and no older than what was settled last', () => {
    const arrivals = fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 2, maxLength: 60 });
    fc.assert(
      fc.property(arrivals, fc.nat(), (gaps, at) => {
        let lane: PublishedLane | undefined;
        let nowMs = 0;
        const publishedAtMs = gaps.map((gap) => (nowMs += gap));
        publishedAtMs.forEach((time, index) => (lane = publishedTo(lane, { epoch: 1, seq: index + 1 }, time)));
        const place = at % (gaps.length - 1);
        const acceptedAtMs = publishedAtMs[place]!;
        const { oldestAgeMs } = behind(lane!, settledAt(1, place + 1, acceptedAtMs), nowMs);
        expect(oldestAgeMs).toBeGreaterThanOrEqual(nowMs - publishedAtMs[place + 1]!);
        expect(oldestAgeMs).toBeLessThanOrEqual(nowMs - acceptedAtMs);
        expect(lane!.times.length).toBeLessThanOrEqual(8);
      }),
    );
  });

  it('is without what was past the retention of the stream when more was published', () => {
    const lane = publishedTo(laneOf([5]), { epoch: 1, seq: 7 }, 500_000, 100_000);
    expect(behind(lane, undefined, 500_250)).toEqual({ events: 2, oldestAgeMs: 250 });
    expect(behind(lane, settledAt(1, 6, 5000), 500_250).events).toBe(1);
    const next = publishedTo(lane, { epoch: 2, seq: 1 }, 500_500, 100_000);
    expect(behind(next, settledAt(1, 2, 1000), 500_750)).toEqual({ events: 3, oldestAgeMs: 750 });
  });

  it('is young where the lane was idle before it', () => {
    const lane = publishedTo(laneOf([5]), { epoch: 1, seq: 6 }, 500_000);
    expect(behind(lane, settledAt(1, 5, 5000), 500_250)).toEqual({ events: 1, oldestAgeMs: 250 });
  });
});

describe('of two accounts', () => {
  it('the later counts, whichever comes first', () => {
    for (const [earlier, later] of [
      [settledAt(1, 3), settledAt(1, 4)],
      [settledAt(1, 9), settledAt(2, 1)],
    ] as const) {
      expect(laterOf(earlier, later)).toBe(later);
      expect(laterOf(later, earlier)).toBe(later);
    }
  });

  it('what was published before, or in an earlier epoch, changes nothing', () => {
    const lane = laneOf([2, 3]);
    for (const [epoch, seq] of [[1, 9], [2, 3], [2, 1]] as const) expect(publishedTo(lane, { epoch, seq }, 9e9)).toBe(lane); // prettier-ignore
  });
});
