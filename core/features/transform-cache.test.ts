import { describe, expect, it } from '@jest/globals';
import { buffer, cachedValueCount, MAX_CACHED_VALUES, realFft, taperOf } from './transform-cache.ts';

describe('the cache of transforms', () => {
  it('hands out the same plan, taper and buffer again', () => {
    expect(realFft(4096)).toBe(realFft(4096));
    expect(taperOf('hann', 500)).toBe(taperOf('hann', 500));
    expect(buffer('a', 64)).toBe(buffer('a', 64));
    expect(buffer('a', 64)).not.toBe(buffer('b', 64));
  });

  it('stays within its bound whatever lengths come, and keeps what was used last', () => {
    for (let length = 100_000; length < 500_000; length += 10_000) buffer('varied', length);
    expect(cachedValueCount()).toBeLessThanOrEqual(MAX_CACHED_VALUES);
    const kept = buffer('varied', 490_000);
    expect(buffer('varied', 490_000)).toBe(kept);
  });

  it('does not keep what is larger than all of it', () => {
    const before = cachedValueCount();
    expect(buffer('huge', MAX_CACHED_VALUES + 1)).toHaveLength(MAX_CACHED_VALUES + 1);
    expect(cachedValueCount()).toBe(before);
  });
});
