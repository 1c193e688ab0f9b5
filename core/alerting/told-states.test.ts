import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { READING_MAX_DISTANCE_MS } from '../features/operating-points.ts';
import { RUNNING, stateBit } from './machine-judges.ts';
import { ToldStates } from './told-states.ts';

const STOPPED = stateBit('stopped');

function told(...tellings: readonly (readonly [ts: number, state: number])[]): ToldStates {
  const states = new ToldStates();
  for (const [ts, state] of tellings) states.tell(ts, state);
  return states;
}

describe('what a machine was told to be', () => {
  it.each<[string, number, number, number]>([
    ['nothing before the first telling', 0, 1000, 0],
    ['the state told until another was', 1000, 2000, RUNNING],
    ['each state in a time', 1500, 2001, RUNNING | STOPPED],
    ['the newest state', 2000, 9000, STOPPED],
    ['the newest state as long as it speaks', 3000 + READING_MAX_DISTANCE_MS, Infinity, STOPPED],
    ['nothing after that', 3001 + READING_MAX_DISTANCE_MS, Infinity, 0],
  ])('is %s', (_what, fromMs, untilMs, expected) => {
    expect(told([1000, RUNNING], [2000, STOPPED], [3000, STOPPED]).during(fromMs, untilMs)).toBe(expected);
  });

  it('is not known in a long pause', () => {
    const states = told([0, RUNNING], [3 * READING_MAX_DISTANCE_MS, RUNNING]);
    expect(states.during(2 * READING_MAX_DISTANCE_MS, 2 * READING_MAX_DISTANCE_MS + 1)).toBe(0);
  });

  it('is kept in bounded space, the newest of it', () => {
    const states = told(...Array.from({ length: 10_000 }, (_unused, i) => [i, i % 2 ? RUNNING : STOPPED] as const));
    expect(states.state()).toHaveLength(64);
    expect([states.during(9999, 10_000), states.during(0, 1)]).toEqual([RUNNING, 0]);
  });

  it('is kept in bounded space where each late telling divides what was told before', () => {
    const states = new ToldStates();
    for (let i = 0; i < 1000; i++) {
      states.tell(10 * i, RUNNING);
      states.tell(10 * i - 5, STOPPED);
    }
    expect(states.state().length).toBeLessThanOrEqual(64);
  });

  it('is not known in a long pause before what was told earlier', () => {
    const states = told([3 * READING_MAX_DISTANCE_MS, RUNNING], [0, RUNNING]);
    expect(states.during(2 * READING_MAX_DISTANCE_MS, 2 * READING_MAX_DISTANCE_MS + 1)).toBe(0);
  });

  it('is at the time of each telling what that said, in whatever order they came, and over a restart', () => {
    const truth = fc.array(fc.constantFrom(RUNNING, STOPPED, stateBit('maintenance')), { minLength: 1, maxLength: 25 });
    fc.assert(
      fc.property(truth, fc.infiniteStream(fc.nat()), fc.nat(25), (all, ranks, cut) => {
        const order = all.map((state, i) => ({ ts: 1000 * i, state, rank: ranks.next().value as number }));
        let states = new ToldStates();
        for (const [i, { ts, state }] of order.toSorted((a, b) => a.rank - b.rank).entries()) {
          if (i === cut) {
            const saved = JSON.parse(JSON.stringify(states.state())) as ReturnType<ToldStates['state']>;
            states = new ToldStates();
            states.restore(saved);
          }
          states.tell(ts, state);
        }
        for (const { ts, state } of order) expect(states.during(ts, ts + 1)).toBe(state);
        const union = all.reduce((bits, state) => bits | state, 0);
        expect(states.during(0, Infinity)).toBe(union);
        expect(states.newestMs).toBe(1000 * (all.length - 1));
      }),
    );
  });
});
