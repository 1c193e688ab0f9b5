import { describe, expect, it } from '@jest/globals';
import { hashKeyOf } from './lanes.ts';

describe('lanes', () => {
  it.each([1, 16, 499])(
    'of %i are as far apart in the hash keys as can be, each in the middle of its part',
    (lanes) => {
      const step = 2n ** 128n / BigInt(lanes);
      for (let lane = 0; lane < lanes; lane++) {
        const offset = BigInt(hashKeyOf(lane, lanes)) - step * BigInt(lane);
        expect(offset > step / 4n && offset < step).toBe(true);
      }
    },
  );
});
