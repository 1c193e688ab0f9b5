import { describe, expect, it } from '@jest/globals';
import { HeldClock } from '#test/support/held-clock.ts';
import { RefreshingCache } from './refreshing-cache.ts';

function countingCache(maxEntries = 10) {
  const clock = new HeldClock(0);
  const loads: string[] = [];
  const load = async (key: string) => {
    loads.push(key);
    return key === 'absent' ? undefined : `${key}${loads.length}`;
  };
  return { clock, loads, cache: new RefreshingCache(load, clock, { maxAgeMs: 1000, maxEntries }) };
}

describe('refreshing cache', () => {
  it('asks once while the answer is young, also where the answer is that there is nothing', async () => {
    const { cache, loads, clock } = countingCache();
    for (let i = 0; i < 3; i++) {
      expect(await cache.get('a')).toBe('a1');
      expect(await cache.get('absent')).toBeUndefined();
    }
    expect(loads).toEqual(['a', 'absent']);
    clock.advance(1000);
    expect(await cache.get('a')).toBe('a3');
  });

  it('forgets all at a change', async () => {
    const { cache } = countingCache();
    await cache.get('a');
    cache.clear();
    expect(await cache.get('a')).toBe('a2');
  });

  it('does not keep an answer that was under way when the change came', async () => {
    const answer = Promise.withResolvers<string>();
    let loads = 0;
    const load = () => (++loads === 1 ? answer.promise : Promise.resolve('new'));
    const cache = new RefreshingCache(load, new HeldClock(0), { maxAgeMs: 1000, maxEntries: 10 });
    const early = cache.get('a');
    cache.clear();
    answer.resolve('old');
    await early;
    expect(await cache.get('a')).toBe('new');
  });

  it('stays within its bound: what was loaded longest ago goes', async () => {
    const { cache, loads } = countingCache(2);
    for (const key of ['a', 'b', 'c', 'b', 'c', 'a']) await cache.get(key);
    expect(loads).toEqual(['a', 'b', 'c', 'a']);
  });

  it('keeps no failure', async () => {
    let loads = 0;
    const load = () => (++loads === 1 ? Promise.reject(new Error('away')) : Promise.resolve('there'));
    const cache = new RefreshingCache(load, new HeldClock(0), { maxAgeMs: 1000, maxEntries: 10 });
    await expect(cache.get('a')).rejects.toThrow('away');
    expect(await cache.get('a')).toBe('there');
  });
});
