import { describe, expect, it } from '@jest/globals';
import { DEFAULT_INDICATOR_PARAMETERS } from '#core/inference/health-indicator.ts';
import { DATASETS_FOLDER, judgeLife, pronostiaBearings, pronostiaFeatures } from '#test/datasets/pronostia.ts';
import { runPronostia } from './pronostia.ts';

// The shortest life: that all six are detected is the indicator's own test; here is that the services say the same as it.
const NAMES = ['Bearing3_1'];
const bearings = pronostiaBearings()?.filter(({ name }) => NAMES.includes(name));

describe('PRONOSTIA through feature-service and ml-service', () => {
  if (bearings === undefined) {
    it(`is absent from ${DATASETS_FOLDER} (set TRIBO_DATASETS): nothing measured`, () => {
      process.stderr.write(`PRONOSTIA is absent from ${DATASETS_FOLDER}: the services were not compared\n`);
      expect(bearings).toBeUndefined();
    });
    return;
  }

  it('gives the alarms and lead times that the indicator gives by itself', async () => {
    const { verdicts } = await runPronostia(NAMES);
    const expected = bearings.map((bearing) => {
      const life = Array.from({ length: bearing.snapshots }, (_, i) => pronostiaFeatures(bearing, i).values);
      return judgeLife(life, bearing.intervalSeconds, DEFAULT_INDICATOR_PARAMETERS);
    });
    expect(verdicts).toEqual(
      expected.map(({ highestInFirstHalf: _, ...verdict }, i) => ({ bearing: bearings[i]!.name, ...verdict })),
    );
  }, 120_000);
});
