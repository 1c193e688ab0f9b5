import { describe, expect, it } from '@jest/globals';
import { DEFAULT_INDICATOR_PARAMETERS } from '#core/inference/health-indicator.ts';
import { DATASETS_FOLDER, judgeLife, pronostiaBearings, pronostiaFeatures } from './pronostia.ts';

// Evaluation data is not shipped with the product. Where it is absent, that is what the one test below says.
const bearings = pronostiaBearings();

if (bearings === undefined) {
  describe('PRONOSTIA', () => {
    it(`is absent from ${DATASETS_FOLDER} (set TRIBO_DATASETS): nothing measured`, () => {
      process.stderr.write(`PRONOSTIA is absent from ${DATASETS_FOLDER}: no detection was measured\n`);
      expect(bearings).toBeUndefined();
    });
  });
} else {
  describe('the health indicator on PRONOSTIA, with one set of parameters', () => {
    it.each(bearings.map((bearing) => [bearing.name, bearing] as const))(
      'alerts before the end of life of %s, and not in its first half',
      (_, bearing) => {
        const life = Array.from({ length: bearing.snapshots }, (_, i) => pronostiaFeatures(bearing, i).values);
        const verdict = judgeLife(life, bearing.intervalSeconds, DEFAULT_INDICATOR_PARAMETERS);
        expect(verdict.leadSeconds).toBeGreaterThanOrEqual(60);
        expect(verdict.falseAlarms).toBe(0);
      },
    );

    it.each(bearings.map((bearing) => [bearing.name, bearing] as const))(
      'ISO 20816-3 gives no verdict on %s: a rig of 250 W, and records of 0.1 s',
      (_, bearing) => {
        const { isoZone, values } = pronostiaFeatures(bearing, 0);
        expect(isoZone).toMatchObject({
          verdict: 'none',
          codes: ['power_out_of_scope', 'unknown_support', 'record_too_short'],
        });
        expect(isoZone).toHaveProperty(
          'reason',
          expect.stringContaining('lasts 0.1 s; resolving 10 Hz takes at least 0.4 s'),
        );
        expect(values).not.toHaveProperty('velocity_rms_mm_s');
      },
    );
  });
}
