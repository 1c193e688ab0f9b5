import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createRandom } from '#services/edge-simulator/signal/random.ts';
import { ComplexFft, isSmooth, nextEvenSmooth, RealFft } from './fft.ts';

/** The definition, term by term. */
function slowTransform(values: Float64Array): Float64Array {
  const n = values.length / 2;
  const result = new Float64Array(2 * n);
  for (let k = 0; k < n; k++) {
    for (let i = 0; i < n; i++) {
      const angle = (-2 * Math.PI * ((i * k) % n)) / n;
      result[2 * k]! += values[2 * i]! * Math.cos(angle) - values[2 * i + 1]! * Math.sin(angle);
      result[2 * k + 1]! += values[2 * i]! * Math.sin(angle) + values[2 * i + 1]! * Math.cos(angle);
    }
  }
  return result;
}

function noise(length: number, seed = 1): Float64Array {
  const random = createRandom(String(seed));
  return Float64Array.from({ length }, () => 2 * random.uniform() - 1);
}

const largestDifference = (a: Float64Array, b: Float64Array) =>
  Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));

describe('the complex transform', () => {
  it.each([1, 2, 3, 4, 5, 6, 8, 9, 10, 15, 16, 25, 27, 30, 32, 48, 60, 64, 75, 100, 125, 128, 180, 240, 243, 625])(
    'equals the definition at length %i',
    (size) => {
      const values = noise(2 * size);
      const expected = slowTransform(values);
      new ComplexFft(size).forward(values);
      expect(largestDifference(values, expected)).toBeLessThan(1e-11 * size);
    },
  );

  it.each([0, -4, 7, 2.5, 22, NaN, Infinity])('refuses length %p', (size) => {
    expect(() => new ComplexFft(size)).toThrow(RangeError);
  });
});

describe('the real transform', () => {
  it.each([2, 4, 6, 10, 12, 18, 50, 64, 90, 128, 250, 256, 486, 1000])(
    'is the first half of the complex one at length %i',
    (size) => {
      const samples = noise(size);
      const complex = new Float64Array(2 * size);
      samples.forEach((value, i) => (complex[2 * i] = value));
      new ComplexFft(size).forward(complex);
      const values = new Float64Array(size + 2);
      values.set(samples);
      new RealFft(size).forward(values);
      expect(largestDifference(values, complex.subarray(0, size + 2))).toBeLessThan(1e-11 * size);
    },
  );

  it.each([2560, 4096, 12000, 25600])('keeps the energy (Parseval) at length %i', (size) => {
    const samples = noise(size, size);
    const values = new Float64Array(size + 2);
    values.set(samples);
    new RealFft(size).forward(values);
    const energy = samples.reduce((sum, x) => sum + x * x, 0);
    let spectral = 0;
    for (let k = 0; k <= size / 2; k++) {
      const mirrored = k === 0 || k === size / 2 ? 1 : 2;
      spectral += mirrored * (values[2 * k]! ** 2 + values[2 * k + 1]! ** 2);
    }
    expect(Math.abs(spectral / size / energy - 1)).toBeLessThan(1e-13);
  });

  it.each([3, 14, 15])('refuses length %i', (size) => {
    expect(() => new RealFft(size)).toThrow(RangeError);
  });
});

describe('the next fast length', () => {
  it('is even, a product of 2, 3 and 5, the smallest such, and less than 12 % longer from 64 on, 7 % from 1000 on', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20_000 }), (length) => {
        const next = nextEvenSmooth(length);
        expect(next % 2 === 0 && isSmooth(next) && next >= length).toBe(true);
        for (let between = length; between < next; between++)
          expect(between % 2 === 0 && isSmooth(between)).toBe(false);
        if (length >= 64) expect(next / length).toBeLessThan(length < 1000 ? 1.12 : 1.07);
      }),
    );
  });

  it.each([
    [2560, 2560],
    [4096, 4096],
    [12000, 12000],
    [25600, 25600],
    [2999, 3000],
    [8_388_608, 8_388_608],
  ])('of %i is %i', (length, next) => {
    expect(nextEvenSmooth(length)).toBe(next);
  });
});
