import { describe, expect, it } from '@jest/globals';
import type { MachineKey } from '#core/domain/ids.ts';
import { hashKeyOf, laneOf } from './lanes.ts';

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

  it('take machines about evenly, and each machine always the same', () => {
    const keys = Array.from({ length: 1600 }, (_, index) => `north/akron/press-${index}` as MachineKey);
    const machines = Map.groupBy(keys, (key) => laneOf(key, 16));
    expect(machines.size).toBe(16);
    for (const own of machines.values()) expect(own.length).toBeGreaterThan(60);
    // A machine that went to another lane after an update would be in two shards: this is what it was in the first release.
    expect([laneOf(keys[0]!, 16), laneOf(keys[1]!, 16), laneOf(keys[2]!, 499)]).toEqual([5, 2, 12]);
  });
});
