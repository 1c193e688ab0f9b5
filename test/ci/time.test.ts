import { describe, expect, it } from '@jest/globals';
import { judge, TOTAL_BUDGET_MINUTES, verdict, WALL_MINUTES, type Sum } from '../../.ci/time.ts';

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

describe('what some tiers of CI took together', () => {
  const ALL = { what: 'all tiers', budget: 75, notRun: [] };
  const STACKS = { what: 'tiers of the stacks', aim: 12, budget: 15, notRun: [] };

  it.each<[string, Sum, string]>([
    ['is told', { ...ALL, minutes: 60.04 }, 'all tiers: 60.0 min of at most 75'],
    ['is told at its bound', { ...ALL, minutes: 75 }, 'all tiers: 75.0 min of at most 75'],
    ['is told within its aim', { ...STACKS, minutes: 11.5 }, 'tiers of the stacks: 11.5 min of 12, and at most 15'],
    ['is told above its aim', { ...STACKS, minutes: 14.9 }, 'tiers of the stacks: 14.9 min of 12, and at most 15'],
    [
      'says what is not in it',
      { ...STACKS, minutes: 5, notRun: ['stacks of AWS at moto'] },
      'tiers of the stacks: 5.0 min of 12, and at most 15, without stacks of AWS at moto: NOT RUN',
    ],
  ])('%s, and is no failure', (_what, sum, line) => {
    expect(judge(sum)).toEqual({ line });
  });

  it.each<[Sum, string]>([
    [{ ...ALL, minutes: 75.1 }, 'all tiers took more than 75 minutes'],
    [{ ...STACKS, minutes: 15.1 }, 'tiers of the stacks took more than 15 minutes'],
  ])('is a failure above its budget: %j', (sum, failure) => {
    expect(judge(sum).failure).toBe(failure);
  });
});
