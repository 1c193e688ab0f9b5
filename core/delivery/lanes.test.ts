import { describe, expect, it } from '@jest/globals';
import type { MachineKey } from '../domain/ids.ts';
import { laneOf } from './lanes.ts';

describe('lanes', () => {
  it('take machines about evenly, and each machine always the same', () => {
    const keys = Array.from({ length: 1600 }, (_, index) => `north/akron/press-${index}` as MachineKey);
    const machines = Map.groupBy(keys, (key) => laneOf(key, 16));
    expect(machines.size).toBe(16);
    for (const own of machines.values()) expect(own.length).toBeGreaterThan(60);
    // A machine that went to another lane after an update would be in two shards or partitions: this is what it was in the first release.
    expect([laneOf(keys[0]!, 16), laneOf(keys[1]!, 16), laneOf(keys[2]!, 499)]).toEqual([5, 2, 12]);
  });
});
