import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  assess,
  decide,
  DEFAULT_INDICATOR_PARAMETERS,
  INITIAL_DECISION,
  INITIAL_INDICATOR,
  indicatorFeatures,
  logVector,
  score,
  scoreVector,
  trainBaseline,
  type Assessment,
  type BaselineModel,
  type FeatureValues,
  type IndicatorState,
} from './health-indicator.ts';

const BANDS = [
  'band_500_1000_hz_rms_g',
  'band_1000_2500_hz_rms_g',
  'band_2500_5000_hz_rms_g',
  'band_5000_10000_hz_rms_g',
];

/** Levels that repeat within a few percent: a small deterministic scatter. */
function healthy(index: number, level = 0.1): Record<string, number> {
  const scatter = (band: number) => 1 + 0.05 * Math.sin(12.9898 * (index + 1) * (band + 1));
  return { rms_g: level, ...Object.fromEntries(BANDS.map((name, band) => [name, level * (band + 1) * scatter(band)])) };
}

const life = (count: number, level?: number) => Array.from({ length: count }, (_, i) => healthy(i, level));

function watch(sets: readonly FeatureValues[], from: IndicatorState = INITIAL_INDICATOR) {
  let state = from;
  const assessments: Assessment[] = [];
  for (const values of sets) {
    const next = assess(state, values);
    state = next.state;
    assessments.push(next.assessment);
  }
  return { state, assessments };
}

const transitions = (assessments: readonly Assessment[]) =>
  assessments.map((a) => (a.phase === 'watching' ? a.transition : null)).filter((transition) => transition !== null);

describe('the features of the indicator', () => {
  it('are the band levels within 500 Hz to 10 kHz, whatever their unit', () => {
    const names = [
      'rms_g',
      'band_10_100_hz_rms_g',
      'band_100_500_hz_rms_g',
      'band_500_1000_hz_rms_m_s2',
      'band_1000_2500_hz_rms_g',
      'band_1000_hz_up_rms_g',
      'band_5000_10000_hz_rms_g',
      'band_10000_20000_hz_rms_g',
      'band_10000_hz_up_rms_g',
      'env_rms_g',
    ];
    expect(indicatorFeatures(Object.fromEntries(names.map((name) => [name, 1])))).toEqual([
      'band_500_1000_hz_rms_m_s2',
      'band_1000_2500_hz_rms_g',
      'band_1000_hz_up_rms_g',
      'band_5000_10000_hz_rms_g',
    ]);
  });

  it.each([
    ['is missing', {}],
    ['is zero, as of a dead sensor', { a: 0 }],
    ['is not finite', { a: Infinity }],
  ])('give no vector when one %s', (_, values) => {
    expect(logVector(['a'], values)).toBeUndefined();
  });
});

describe('the baseline', () => {
  it('is the median and the repeatability of the logarithms, with a floor on the deviation', () => {
    const model = trainBaseline(life(100));
    expect(model).toMatchObject({ features: BANDS, trainedOn: 100 });
    expect(model.mean[0]).toBeCloseTo(Math.log(0.1), 1);
    expect(model.scale).toEqual(BANDS.map(() => Math.log(2) / 3));
  });

  it('has a larger deviation where levels repeat badly, but not where they drift', () => {
    const scattered = Array.from({ length: 100 }, (_, i) => healthy(i, i % 2 === 0 ? 0.1 : 0.3));
    const drifting = Array.from({ length: 100 }, (_, i) => healthy(i, 0.3 - 0.002 * i));
    expect(trainBaseline(scattered).scale[0]).toBeGreaterThan(1);
    expect(trainBaseline(drifting).scale[0]).toBeCloseTo(Math.log(2) / 3, 10);
  });

  it('is hardly moved by single shocks while learning', () => {
    const shocked = life(100).map((values, i) => (i % 10 === 0 ? healthy(i, 5) : values));
    const [clean, dirty] = [trainBaseline(life(100)), trainBaseline(shocked)];
    for (const [i, mean] of clean.mean.entries()) expect(Math.abs(dirty.mean[i]! - mean)).toBeLessThan(0.05);
  });

  it.each([
    ['no feature it can use', [{ rms_g: 1 }, { rms_g: 1 }, { rms_g: 1 }], {}],
    ['fewer than three usable sets', [healthy(0), healthy(1), { rms_g: 1 }], {}],
    ['a threshold of zero', life(10), { threshold: 0 }],
    ['a ratio of one', life(10), { significantRatio: 1 }],
  ])('refuses %s', (_, sets: FeatureValues[], wrong) => {
    expect(() => trainBaseline(sets, { ...DEFAULT_INDICATOR_PARAMETERS, ...wrong })).toThrow(RangeError);
  });
});

describe('the score', () => {
  const model = trainBaseline(life(100));
  const median = Object.fromEntries(model.features.map((name, i) => [name, Math.exp(model.mean[i]!)]));

  it('is zero at the baseline, and the threshold when every band has doubled', () => {
    expect(score(model, median)?.score).toBeCloseTo(0, 10);
    const doubled = Object.fromEntries(Object.entries(median).map(([name, level]) => [name, 2 * level]));
    expect(score(model, doubled)?.score).toBeCloseTo(DEFAULT_INDICATOR_PARAMETERS.threshold, 10);
  });

  it('names what rose furthest first, with its ratio to the baseline', () => {
    const values = { ...median, [BANDS[2]!]: 8 * median[BANDS[2]!]!, [BANDS[0]!]: median[BANDS[0]!]! / 4 };
    const { score: value, contributions } = score(model, values)!;
    expect(contributions[0]).toMatchObject({ feature: BANDS[2] });
    expect(contributions[0]?.ratio).toBeCloseTo(8, 10);
    expect(contributions.at(-1)?.feature).toBe(BANDS[0]);
    expect(contributions.at(-1)?.z).toBeLessThan(0);
    // The band that fell takes nothing away from the one that rose.
    expect(value).toBeCloseTo((3 * DEFAULT_INDICATOR_PARAMETERS.threshold) / BANDS.length, 10);
  });

  it('is the same for a machine and unit of any scale, and grows with every level', () => {
    const level = fc.double({ min: 1e-6, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(fc.array(level, { minLength: 4, maxLength: 4 }), level, fc.nat(3), (levels, factor, risen) => {
        const scaledSets = life(20).map((values) => scaled(values, factor));
        const values = Object.fromEntries(BANDS.map((name, i) => [name, levels[i]!]));
        const [ours, theirs] = [trainBaseline(life(20)), trainBaseline(scaledSets)];
        const base = score(ours, values)!.score;
        expect(score(theirs, scaled(values, factor))!.score).toBeCloseTo(base, 6);
        expect(score(ours, { ...values, [BANDS[risen]!]: 2 * levels[risen]! })!.score).toBeGreaterThanOrEqual(base);
      }),
    );
  });

  it('is mean(max((ln x - mean) / scale, 0)), and survives JSON', () => {
    const copy = JSON.parse(JSON.stringify(model)) as BaselineModel;
    const vector = logVector(model.features, healthy(3, 0.17))!;
    const z = vector.map((x, i) => Math.max((x - model.mean[i]!) / model.scale[i]!, 0));
    expect(scoreVector(copy, vector).score).toBeCloseTo(z.reduce((a, b) => a + b) / z.length, 12);
  });
});

describe('the decision', () => {
  const after = (scores: readonly number[]) => {
    let state = INITIAL_DECISION;
    return scores.map((value) => {
      const decision = decide(state, value, DEFAULT_INDICATOR_PARAMETERS);
      state = decision.state;
      return decision.transition;
    });
  };

  it('raises an alert when a majority of the latest five scores is high', () => {
    expect(after([0, 0, 0, 4, 4, 4])).toEqual([null, null, null, null, null, 'raised']);
  });

  it('raises none for single shocks, however high', () => {
    expect(after([0, 99, 0, 0, 99, 0, 0, 99, 0, 0]).filter(Boolean)).toEqual([]);
  });

  it('raises none before it has five scores', () => {
    expect(after([9, 9, 9, 9])).toEqual([null, null, null, null]);
  });

  it('ends an alert only below 80 % of the threshold', () => {
    expect(after([4, 4, 4, 4, 4, 2.5, 2.5, 2.5, 2.5, 2.5]).filter(Boolean)).toEqual(['raised']);
    expect(after([4, 4, 4, 4, 4, 2.3, 2.3, 2.3, 2.3, 2.3]).filter(Boolean)).toEqual(['raised', 'cleared']);
  });

  it('alternates between raising and clearing, and remembers no more than five scores', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 10, noNaN: true }), { maxLength: 200 }), (scores) => {
        let state = INITIAL_DECISION;
        for (const value of scores) {
          const { state: next, transition } = decide(state, value, DEFAULT_INDICATOR_PARAMETERS);
          if (transition !== null) expect(transition).toBe(state.alerting ? 'cleared' : 'raised');
          expect(next.recent.length).toBeLessThanOrEqual(5);
          state = next;
        }
      }),
    );
  });
});

describe('a machine that is watched', () => {
  it('learns from its first hundred sets, then stays quiet while healthy', () => {
    const { assessments } = watch(life(400));
    expect(assessments[0]).toEqual({ phase: 'learning', learnt: 1, needed: 100 });
    expect(assessments[99]).toEqual({ phase: 'learning', learnt: 100, needed: 100 });
    expect(assessments[100]?.phase).toBe('watching');
    expect(transitions(assessments)).toEqual([]);
  });

  it('raises one alert when its levels grow slowly to four times, and says what grew', () => {
    const growing = Array.from({ length: 300 }, (_, i) => healthy(i, 0.1 * 4 ** (i / 300)));
    const { assessments } = watch([...life(100), ...growing]);
    expect(transitions(assessments)).toEqual(['raised']);
    const last = assessments.at(-1);
    expect(last).toMatchObject({ phase: 'watching', alerting: true });
    expect(last?.phase === 'watching' && last.contributions[0]!.ratio).toBeGreaterThan(3);
  });

  it('gives no verdict on a set it cannot compare, and does not count it', () => {
    const { state } = watch(life(100));
    const next = assess(state, { ...healthy(0), [BANDS[1]!]: 0 });
    expect(next.assessment.phase).toBe('not_comparable');
    expect(next.assessment).toHaveProperty('reason', expect.stringContaining(BANDS[1]!));
    expect(next.state).toBe(state);
    expect(assess(INITIAL_INDICATOR, { rms_g: 1 }).assessment).toMatchObject({ phase: 'not_comparable' });
  });

  it('goes on from a state that went through JSON as if it had never stopped', () => {
    const whole = [...life(150), ...life(50, 0.5)];
    const straight = watch(whole).assessments;
    for (const cut of [0, 40, 100, 152, 170]) {
      const { state } = watch(whole.slice(0, cut));
      const restored = JSON.parse(JSON.stringify(state)) as IndicatorState;
      expect(watch(whole.slice(cut), restored).assessments).toEqual(straight.slice(cut));
    }
  });
});

function scaled(values: FeatureValues, factor: number): Record<string, number> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value * factor]));
}
