import { describe, expect, it } from '@jest/globals';
import { operatingStateOf, speedOf } from './operating-state.ts';
import type { Machine } from './plant.ts';

const told = (metric: string, runningAbove: number, reading: { value: number; unit?: string }, unit?: string) => {
  const metrics = unit === undefined ? [] : [{ name: metric, unit }];
  const machine = { operatingState: { from: 'threshold' as const, metric, runningAbove }, metrics };
  return operatingStateOf(machine, () => ({ unit: undefined, ...reading }));
};

describe('the operating state by a threshold', () => {
  it.each([
    ['a plain speed is in r/min', 'rpm', 1000, { value: 1500 }, undefined, 'running'],
    ['a plain speed is in r/min', 'rpm', 1000, { value: 25 }, undefined, 'stopped'],
    ['a speed in Hz is converted', 'rpm', 1000, { value: 25, unit: 'Hz' }, undefined, 'running'],
    ['a speed in rad/s is converted', 'rpm', 1000, { value: 157, unit: 'rad/s' }, undefined, 'running'],
    ['a speed in Hz that is lower', 'rpm', 1000, { value: 16, unit: 'Hz' }, undefined, 'stopped'],
    ['the limit is in the catalogue’s unit', 'rpm', 20, { value: 1500, unit: 'r/min' }, 'Hz', 'running'],
    ['and a plain reading too', 'rpm', 20, { value: 25 }, 'Hz', 'running'],
    ['a speed in reverse', 'rpm', 1000, { value: -25, unit: 'Hz' }, undefined, 'running'],
    ['a current in mA is converted', 'current', 2, { value: 1500, unit: 'mA' }, undefined, 'stopped'],
    ['a current in A', 'current', 2, { value: 3, unit: 'A' }, undefined, 'running'],
    ['another metric that no catalogue declares is as it is', 'load', 2, { value: 3, unit: '%' }, undefined, 'running'],
  ])('%s: %s above %p, %p, declared in %p: %s', (_what, metric, above, reading, unit, state) => {
    expect(told(metric, above, reading, unit)).toEqual({ state });
  });

  it.each([
    ['rpm', { value: 25, unit: 'rev' }, 'the reading rpm = 25 rev is left out: rev does not convert to /min'],
    ['current', { value: 25, unit: 'V' }, 'the reading current = 25 V is left out: V does not convert to A'],
  ])('is not known by a %s of %p, and it says why', (metric, reading, problem) => {
    expect(told(metric, 1, reading)).toEqual({ state: undefined, problem });
  });

  it('of a tag is the number itself, whatever its unit', () => {
    const operatingState = { from: 'tag' as const, metric: 'mode', running: 2, maintenance: 3 };
    const state = (value: number) =>
      operatingStateOf({ operatingState, metrics: [] }, () => ({ value, unit: '1' })).state;
    expect([1, 2, 3].map(state)).toEqual(['stopped', 'running', 'maintenance']);
  });
});

describe('the speed', () => {
  const declared: Machine['metrics'] = [{ name: 'rpm', unit: 'Hz' }];

  it.each([
    [{ value: 25, unit: 'Hz' }, [], 1500],
    [{ value: 1500, unit: 'r/min' }, [], 1500],
    [{ value: 1500, unit: '/min' }, declared, 1500],
    [{ value: 50 * Math.PI, unit: 'rad/s' }, [], 1500],
    [{ value: 1500, unit: undefined }, [], 1500],
    [{ value: -25, unit: undefined }, declared, -1500],
  ])('of %p, declared %j, is %p r/min', (reading, metrics, expected) => {
    expect(speedOf(reading, metrics)).toBeCloseTo(expected, 9);
  });

  it('is not known in a unit that does not convert, and it says why', () => {
    const problem = 'the reading rpm = 25 furlong is left out: furlong does not convert to /min';
    expect(speedOf({ value: 25, unit: 'furlong' }, [])).toBe(problem);
  });
});
