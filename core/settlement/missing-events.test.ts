import { describe, expect, it } from '@jest/globals';
import { missingBefore } from './missing-events.ts';

describe('events that are missing before one', () => {
  it.each([
    { what: 'the next of its epoch', seq: 8, settled: 7, earlier: true, missing: 0 },
    { what: 'one after a gap', seq: 11, settled: 7, earlier: false, missing: 3 },
    { what: 'the last settled, delivered again', seq: 7, settled: 7, earlier: true, missing: 0 },
    { what: 'one settled long ago, delivered again', seq: 2, settled: 7, earlier: true, missing: 0 },
    { what: 'the first of a publisher', seq: 1, settled: undefined, earlier: false, missing: 0 },
    { what: 'the first of a new epoch', seq: 1, settled: undefined, earlier: true, missing: 0 },
    { what: 'a new epoch that does not begin at its beginning', seq: 3, settled: undefined, earlier: true, missing: 2 },
    {
      what: 'a publisher that published before the group was there',
      seq: 9,
      settled: undefined,
      earlier: false,
      missing: 0,
    },
  ])('$what: $missing', ({ seq, settled, earlier, missing }) => {
    expect(missingBefore(seq, { seq: settled, earlierEpoch: () => earlier })).toBe(missing);
  });
});
