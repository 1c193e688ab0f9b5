import { describe, expect, it } from '@jest/globals';
import { convertUnit, isUnitText, sameUnit } from './units.ts';

describe('unit conversion', () => {
  it.each([
    [212, '[degF]', 'Cel', 100],
    [32, 'degF', 'Cel', 0],
    [-40, 'Cel', '[degF]', -40],
    [300, 'K', 'Cel', 26.85],
    [0.0023, 'm/s', 'mm/s', 2.3],
    [1, 'in/s', 'mm/s', 25.4],
    [1, 'g', 'm/s2', 9.80665],
    [1, 'bar', 'kPa', 100],
    [14.503773773020923, 'psi', 'bar', 1],
    [1500, 'rpm', 'Hz', 25],
    [25, 'Hz', '/min', 1500],
    [50, '%', '1', 0.5],
    [7, 'rpm', '/min', 7],
    [7, '{rpm}', '/min', 7],
    [212, 'Fahrenheit', 'Celsius', 100],
    [5, 'Amp', 'mA', 5000],
    [1, 'ips', 'mm/s', 25.4],
    [1500, 'RPM', 'hertz', 25],
    [7, '{pieces}', '{pieces}', 7],
  ])('%p %s is %s %p', (value, from, to, expected) => {
    expect(convertUnit(value, from, to)).toBeCloseTo(expected, 9);
  });

  it.each([
    ['another quantity', 'Cel', 'mm/s'],
    ['an unknown unit', 'furlong', 'mm'],
    ['an unknown target', 'mm', '{pieces}'],
    ['degrees from coulombs', 'C', 'Cel'],
    ['degrees from farads', 'F', '[degF]'],
    ['a prototype key', 'constructor', 'mm'],
  ])('knows no way to %s', (_reason, from, to) => {
    expect(convertUnit(1, from, to)).toBeUndefined();
  });

  it('treats spellings of one unit as the same', () => {
    expect([sameUnit('degC', 'Cel'), sameUnit('rpm', '/min'), sameUnit('mm/s', 'mm/s'), sameUnit('K', 'Cel')]).toEqual([
      true,
      true,
      true,
      false,
    ]);
  });

  it.each(['mm/s', '[degF]', '{rev}/min', '%', 'm/s2'])('accepts the text %s', (text) => {
    expect(isUnitText(text)).toBe(true);
  });

  it.each(['', 'a"b', 'a\\b', 'mm s', 'µm', 'x'.repeat(33), 5, null])('refuses the text %p', (text) => {
    expect(isUnitText(text)).toBe(false);
  });
});
