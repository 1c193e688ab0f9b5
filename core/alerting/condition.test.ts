import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ACTIVATED, Condition, RETURNED, type ConditionTuning } from './condition.ts';

interface Case {
  readonly tuning?: Partial<ConditionTuning>;
  readonly deadband?: number;
  /** `[time, value]`; the limit is 10. */
  readonly readings: readonly (readonly [number, number])[];
}

function decide({ tuning = {}, deadband = 0, readings }: Case): string[] {
  const condition = new Condition({ direction: 1, onDelayMs: 0, offDelayMs: 0, ...tuning });
  condition.setLimit(10, deadband);
  return readings.flatMap(([ts, value]) => {
    const decision = condition.step(ts, value);
    if (decision === ACTIVATED) return [`on@${ts} since ${condition.sinceMs}`];
    return decision === RETURNED ? [`off@${ts}`] : [];
  });
}

describe('condition', () => {
  it.each<[string, Case, string[]]>([
    ['is quiet below the limit', { readings: [[1, 9.99]] }, []],
    ['is quiet at the limit', { readings: [[1, 10]] }, []],
    ['comes above the limit', { readings: [[1, 10.01]] }, ['on@1 since 1']],
    [
      'comes once',
      {
        readings: [
          [1, 11],
          [2, 12],
        ],
      },
      ['on@1 since 1'],
    ],
    [
      'returns at the limit',
      {
        readings: [
          [1, 11],
          [2, 10],
        ],
      },
      ['on@1 since 1', 'off@2'],
    ],
    [
      'comes again',
      {
        readings: [
          [1, 11],
          [2, 9],
          [3, 11],
        ],
      },
      ['on@1 since 1', 'off@2', 'on@3 since 3'],
    ],
    [
      'stays within the deadband',
      {
        deadband: 2,
        readings: [
          [1, 11],
          [2, 8.01],
          [3, 10.5],
        ],
      },
      ['on@1 since 1'],
    ],
    [
      'returns at the end of the deadband',
      {
        deadband: 2,
        readings: [
          [1, 11],
          [2, 8],
        ],
      },
      ['on@1 since 1', 'off@2'],
    ],
    [
      'waits for the on-delay',
      {
        tuning: { onDelayMs: 5 },
        readings: [
          [1, 11],
          [5, 11],
        ],
      },
      [],
    ],
    [
      'comes after the on-delay, saying since when',
      {
        tuning: { onDelayMs: 5 },
        readings: [
          [1, 11],
          [6, 11],
        ],
      },
      ['on@6 since 1'],
    ],
    [
      'starts the on-delay anew after a value inside',
      {
        tuning: { onDelayMs: 5 },
        readings: [
          [1, 11],
          [3, 9],
          [4, 11],
          [8, 11],
        ],
      },
      [],
    ],
    [
      'waits for the off-delay',
      {
        tuning: { offDelayMs: 5 },
        readings: [
          [1, 11],
          [2, 9],
          [6, 9],
        ],
      },
      ['on@1 since 1'],
    ],
    [
      'returns after the off-delay',
      {
        tuning: { offDelayMs: 5 },
        readings: [
          [1, 11],
          [2, 9],
          [7, 9],
        ],
      },
      ['on@1 since 1', 'off@7'],
    ],
    [
      'starts the off-delay anew after a value beyond',
      {
        tuning: { offDelayMs: 5 },
        readings: [
          [1, 11],
          [2, 9],
          [3, 11],
          [7, 9],
          [9, 9],
        ],
      },
      ['on@1 since 1'],
    ],
    [
      'judges below the limit',
      {
        tuning: { direction: -1 },
        readings: [
          [1, 10],
          [2, 9.9],
          [3, 10],
        ],
      },
      ['on@2 since 2', 'off@3'],
    ],
    [
      'takes the deadband above a lower limit',
      {
        tuning: { direction: -1 },
        deadband: 1,
        readings: [
          [1, 9],
          [2, 10.9],
          [3, 11],
        ],
      },
      ['on@1 since 1', 'off@3'],
    ],
    [
      'ignores what is older than its last decision',
      {
        readings: [
          [5, 11],
          [3, 9],
        ],
      },
      ['on@5 since 5'],
    ],
    [
      'never decides twice at one time',
      {
        readings: [
          [5, 11],
          [5, 9],
          [6, 9],
          [6, 11],
        ],
      },
      ['on@5 since 5', 'off@6'],
    ],
    [
      'ignores what is older than the beginning of a delay',
      {
        tuning: { onDelayMs: 5 },
        readings: [
          [5, 11],
          [3, 9],
          [10, 11],
        ],
      },
      ['on@10 since 5'],
    ],
  ])('%s', (_what, specification, decisions) => {
    expect(decide(specification)).toEqual(decisions);
  });

  it('does not tell of an end when it was not active', () => {
    const condition = new Condition({ direction: 1, onDelayMs: 5, offDelayMs: 0 });
    condition.setLimit(10, 0);
    condition.step(1, 11);
    expect(condition.end(2)).toBe(false);
    expect(condition.step(6, 11)).not.toBe(ACTIVATED);
  });

  it('decides the same after being saved and restored anywhere, alternating and at strictly rising times', () => {
    const reading = fc.tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 20 }));
    const tuning = fc.record({
      direction: fc.constantFrom<1 | -1>(1, -1),
      onDelayMs: fc.integer({ min: 0, max: 5 }),
      offDelayMs: fc.integer({ min: 0, max: 5 }),
    });
    fc.assert(
      fc.property(fc.array(reading, { maxLength: 60 }), tuning, fc.nat(4), (readings, settings, deadband) => {
        const whole = new Condition(settings);
        whole.setLimit(10, deadband);
        let resumed = new Condition(settings);
        const decisions: [number, number][] = [];
        for (const [ts, value] of readings) {
          const state = resumed.state();
          resumed = new Condition(settings);
          if (state) resumed.restore(JSON.parse(JSON.stringify(state)) as typeof state);
          resumed.setLimit(10, deadband);
          const decision = whole.step(ts, value);
          expect(resumed.step(ts, value)).toBe(decision);
          if (decision !== 0) decisions.push([ts, decision]);
        }
        decisions.forEach(([ts, decision], i) => {
          expect(decision).toBe(i % 2 === 0 ? ACTIVATED : RETURNED);
          if (i > 0) expect(ts).toBeGreaterThan(decisions[i - 1]![0]);
        });
      }),
    );
  });
});
