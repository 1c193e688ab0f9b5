import { describe, expect, it } from '@jest/globals';
import { TOTAL_BUDGET_MINUTES, verdict, WALL_MINUTES } from '../../.ci/time.ts';

describe('a tier of CI', () => {
  it.each<[string, number, number, number, ReturnType<typeof verdict>]>([
    ['on a calm machine', 40, 40, 15, 'begin'],
    ['that just ends in time at the pace so far', 60, 30, 13, 'begin'],
    ['for which the host took too much', 60, 30, 14, 'not run'],
    ['that would make the run too long on any machine', 70, 70, 6, 'too long'],
    ['that would, also where the host took much besides', 84, 70, 6, 'too long'],
    ['of no time at all, at the end', WALL_MINUTES, TOTAL_BUDGET_MINUTES, 0, 'begin'],
  ])('%s: %d minutes, %d of them its own, and %d to come', (_what, wallMinutes, ownMinutes, usual, expected) => {
    expect(verdict({ wallMinutes, ownMinutes }, usual)).toBe(expected);
  });
});
