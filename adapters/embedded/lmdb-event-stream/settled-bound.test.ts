import { describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { HeldClock } from '#test/support/held-clock.ts';
import type { GroupFiles } from './group-files.ts';
import { SettledBound } from './settled-bound.ts';

/** What happens between two looks. */
type Step =
  | { readonly what: 'publish'; readonly events: number }
  | { readonly what: 'declare' }
  | { readonly what: 'settle'; readonly group: number; readonly share: number }
  | { readonly what: 'wait'; readonly ms: number };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ what: fc.constant('publish' as const), events: fc.nat(10) }),
    fc.record({ what: fc.constant('declare' as const) }),
    fc.record({
      what: fc.constant('settle' as const),
      group: fc.nat(5),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    fc.record({ what: fc.constant('wait' as const), ms: fc.nat(60) }),
  ),
  { maxLength: 60 },
);

describe('what retention may let go of', () => {
  it('never reaches what a group has not settled, however old the answer is, and gets there in time', () => {
    fc.assert(
      fc.property(steps, (given) => {
        const clock = new HeldClock(0);
        const checkpoints: number[] = [];
        let nextPosition = 0;
        const head = () => ({ commit: 1, firstPosition: 0, nextPosition, bytes: 0 });
        const bound = boundOf(checkpoints, clock);
        for (const step of given) {
          if (step.what === 'publish') nextPosition += step.events;
          else if (step.what === 'declare') checkpoints.push(nextPosition);
          else if (step.what === 'wait') clock.advance(step.ms);
          else if (checkpoints.length > 0) {
            const group = step.group % checkpoints.length;
            checkpoints[group]! += Math.floor((nextPosition - checkpoints[group]!) * step.share);
          }
          expect(bound.below(head(), false)).toBeLessThanOrEqual(Math.min(nextPosition, ...checkpoints));
        }
        clock.advance(50);
        expect(bound.below(head(), false)).toBe(Math.min(nextPosition, ...checkpoints));
      }),
    );
  });

  it('looks at once where refusing to publish depends on it', () => {
    const checkpoints = [3];
    const bound = boundOf(checkpoints, new HeldClock(0));
    const head = { commit: 1, firstPosition: 0, nextPosition: 10, bytes: 0 };
    expect(bound.below(head, false)).toBe(3);
    checkpoints[0] = 8;
    expect([bound.below(head, false), bound.below(head, true)]).toEqual([3, 8]);
  });

  it('stays where it was, and says so, when the groups cannot be read', () => {
    const onFailure = jest.fn();
    let isReadable = true;
    const groups = {
      readLowestCheckpoint: () => {
        if (isReadable) return 5;
        throw new Error('EIO');
      },
    } as unknown as GroupFiles;
    const bound = new SettledBound(groups, new HeldClock(0), onFailure);
    const head = { commit: 1, firstPosition: 0, nextPosition: 10, bytes: 0 };
    expect(bound.below(head, true)).toBe(5);
    isReadable = false;
    expect(bound.below({ ...head, nextPosition: 20 }, true)).toBe(5);
    expect(onFailure).toHaveBeenCalledTimes(1);
  });
});

function boundOf(checkpoints: readonly number[], clock: HeldClock): SettledBound {
  const groups = {
    readLowestCheckpoint: () => (checkpoints.length === 0 ? undefined : Math.min(...checkpoints)),
  } as unknown as GroupFiles;
  return new SettledBound(groups, clock, (error) => {
    throw error as Error;
  });
}
