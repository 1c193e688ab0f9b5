import { describe, expect, it } from '@jest/globals';
import type { StampedEvent } from '#core/domain/event.ts';
import { TailCache } from './tail-cache.ts';

const block = (firstPosition: number, count: number) => ({
  firstPosition,
  events: Array.from({ length: count }, () => ({}) as StampedEvent),
});

describe('tail cache', () => {
  it('finds the block that contains a position, and none for a gap', () => {
    const cache = new TailCache(1000);
    const blocks = [block(0, 10), block(10, 5), block(40, 1)];
    for (const each of blocks) cache.add(each, 10);
    expect(cache.find(0)).toMatchObject({ firstPosition: 0 });
    expect(cache.find(9)).toMatchObject({ firstPosition: 0 });
    expect(cache.find(14)).toMatchObject({ firstPosition: 10 });
    expect(cache.find(40)).toMatchObject({ firstPosition: 40 });
    for (const gap of [15, 39, 41]) expect(cache.find(gap)).toBeUndefined();
  });

  it('forgets the oldest beyond its bound', () => {
    const cache = new TailCache(100);
    for (let index = 0; index < 50; index++) cache.add(block(index, 1), 30);
    expect(cache.bytes).toBeLessThanOrEqual(100);
    expect(cache.find(46)).toBeUndefined();
    expect(cache.find(47)).toBeDefined();
  });

  it('forgets what every consumer has read', () => {
    const cache = new TailCache(1000);
    for (let index = 0; index < 5; index++) cache.add(block(index * 10, 10), 30);
    cache.dropBefore(25);
    expect(cache.find(15)).toBeUndefined();
    expect(cache.find(25)).toBeDefined();
    expect(cache.bytes).toBe(90);
  });
});
