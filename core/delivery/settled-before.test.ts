import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Progress } from '../ports/event-stream.ts';
import { SettledBefore } from './settled-before.ts';

// Few names and numbers, also such as run into each other, so that an event often is of a publisher and epoch that was settled.
const SOURCES = ['edge', 'edge/1', '1', '1 edge'];
const event = fc.record({
  source: fc.constantFrom(...SOURCES),
  epoch: fc.integer({ min: 1, max: 11 }),
  seq: fc.integer({ min: 1, max: 5 }),
});
const ofOneEpoch = ({ source, epoch }: Progress) => JSON.stringify([source, epoch]);
const progress = fc.uniqueArray(event, { selector: ofOneEpoch, maxLength: 20 });

describe('what a caller has settled before', () => {
  it('is what is at or below the progress of its publisher and epoch, in whatever order it comes', () => {
    fc.assert(
      fc.property(progress, fc.array(event, { maxLength: 40 }), (settled, events) => {
        const before = new SettledBefore(settled);
        for (const each of events) {
          const own = settled.find((row) => ofOneEpoch(row) === ofOneEpoch(each));
          expect(before.covers(each)).toBe(own !== undefined && each.seq <= own.seq);
        }
      }),
    );
  });

  it('is nothing where the caller keeps no account', () => {
    expect(new SettledBefore().covers({ source: 'edge', epoch: 1, seq: 1 })).toBe(false);
  });
});
