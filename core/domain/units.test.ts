import { describe, expect, it } from '@jest/globals';
import { convertUnit, isUnitText, sameUnit, unitProblem } from './units.ts';

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
    [157.07963267948966, 'rad/s', '/min', 1500],
    [1500, 'r/min', 'Hz', 25],
    [2, 'm/s²', 'mm/s2', 2000],
    [5, 'µm', 'mm', 0.005],
    [5, 'μm/s', 'um/s', 5],
    [1, '[g]', 'm/s²', 9.80665],
    [25, '°C', 'K', 298.15],
    [3.6, 'm³/h', 'L/s', 1],
    [1, '[lb_av]/s/[psi]', '[lb_av]/s/[psi]', 1],
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

  it.each(['mm/s', '[degF]', '{rev}/min', '%', 'm/s2', 'µm', '°C', 'm/s²'])('accepts the text %s', (text) => {
    expect(isUnitText(text)).toBe(true);
  });

  it.each(['', 'a"b', 'a\\b', 'mm s', 'grün', 'x'.repeat(33), 5, null])('refuses the text %p', (text) => {
    expect(isUnitText(text)).toBe(false);
  });

  it.each(['mm/s', 'µm/s', '°C', 'rpm', '{pieces}', 'kg/m3', 'mV/g', '[lb_av]/s/[psi]', '/h', '1'])(
    'knows %s',
    (unit) => {
      expect(unitProblem(unit)).toBeUndefined();
    },
  );

  it.each([
    ['MM/S', 'mm/s'],
    ['mm/sec', 'mm/s'],
    ['m/s/s', undefined],
    ['C', 'Cel'],
    ['Grad', 'rad'],
    ['bars', 'bar'],
    ['degrees', 'deg'],
    ['furlong', 'known are Cel, mm/s, m/s2, bar, A...'],
    ['{}', 'known are'],
    ['', 'known are'],
    ['constructor', 'known are'],
  ])('of %p it says what may be meant: %p', (unit, meant) => {
    if (meant === undefined) expect(unitProblem(unit)).toBeUndefined();
    else expect(unitProblem(unit)).toContain(meant);
  });
});
