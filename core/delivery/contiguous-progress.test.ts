import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ContiguousProgress } from './contiguous-progress.ts';

const ranges = fc.array(
  fc
    .tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 8 }))
    .map(([from, length]) => [from, from + length] as const),
  { maxLength: 60 },
);

describe('contiguous progress', () => {
  it('stands at the lowest position that is not settled, in whatever order ranges are settled', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 20 }), ranges, (first, settled) => {
        const progress = new ContiguousProgress(first);
        const done = new Set<number>();
        let before = first;
        for (const [from, to] of settled) {
          progress.settle(from, to);
          for (let position = from; position < to; position++) done.add(position);
          let expected = first;
          while (done.has(expected)) expected++;
          expect(progress.checkpoint).toBe(expected);
          expect(progress.checkpoint).toBeGreaterThanOrEqual(before);
          before = progress.checkpoint;
        }
      }),
    );
  });

  it('keeps one island a gap, and none once all is settled', () => {
    const progress = new ContiguousProgress(0);
    for (let position = 1; position < 100; position += 2) progress.settle(position);
    expect(progress.islands).toBe(50);
    for (let position = 98; position >= 0; position -= 2) progress.settle(position);
    expect(progress.islands).toBe(0);
    expect(progress.checkpoint).toBe(100);
  });
});
