import { describe, expect, it } from '@jest/globals';
import type { PowerSpectrum } from './power-spectrum.ts';
import { measureDefect, type Defect } from './spectral-lines.ts';
import { DEFAULT_FEATURE_PARAMETERS } from './waveform.ts';

const DEFECT: Defect = { kind: 'bpfo', bearing: 'de', frequencyHz: 150, modulationHz: undefined };
const LONG_S = 60;
const PEAK = 1e4;

/** A long record's spectrum: a level floor, and narrow lines at the harmonics of the slipped defect. */
function spectrumOf(ratio: number): PowerSpectrum {
  const stepHz = 1 / LONG_S;
  const meanSquares = new Float64Array(1000 * LONG_S).fill(1);
  for (let harmonic = 1; harmonic <= 4; harmonic++) {
    meanSquares[Math.round((harmonic * DEFECT.frequencyHz * ratio) / stepHz)] = PEAK;
  }
  const nyquistLine = meanSquares.length - 1;
  return { meanSquares, stepHz, resolutionHz: stepHz, lobeLines: 1, amplitudeFactor: 1, nyquistLine };
}

describe('the lines of a defect', () => {
  it.each([-0.0281, -0.011777, 0.00318, 0.0118, 0.02947])(
    'are all found in a record of 60 s, in spite of a slip of %f',
    (slip) => {
      const found = measureDefect(spectrumOf(1 + slip), DEFECT, DEFAULT_FEATURE_PARAMETERS)?.harmonics ?? [];
      expect(found.map(({ harmonic }) => harmonic)).toEqual([1, 2, 3, 4]);
      for (const { frequencyHz, expectedHz, amplitude } of found) {
        expect(Math.abs(frequencyHz - expectedHz * (1 + slip))).toBeLessThanOrEqual(1 / LONG_S);
        expect(amplitude).toBeGreaterThanOrEqual(Math.sqrt(PEAK));
      }
    },
  );
});
