import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { dutyAt } from './duty.ts';
import type { DutyCycle } from './duty.ts';
import { approach, motorCurrentA, settledTemperatureCel } from './inertia.ts';
import { lifeAt, severityCurve } from './life.ts';
import type { LifeCycle } from './life.ts';
import { pressAt, pressCycleS } from './press.ts';
import type { PressModel } from './press.ts';
import { createRandom } from './random.ts';

describe('random numbers', () => {
  it('repeat for a seed and differ between neighbouring seeds', () => {
    const draw = (seed: string): number[] => {
      const random = createRandom(seed);
      return Array.from({ length: 8 }, () => random.uniform());
    };
    expect(draw('42/pump-1')).toEqual(draw('42/pump-1'));
    expect(draw('42/pump-1')).not.toEqual(draw('42/pump-2'));
  });

  it('are uniform and normal to within the error of a large sample', () => {
    const random = createRandom('moments');
    const count = 200_000;
    const moments = [0, 0, 0, 0];
    for (let i = 0; i < count; i++) {
      const uniform = random.uniform();
      const normal = random.gaussian();
      moments[0]! += uniform / count;
      moments[1]! += normal / count;
      moments[2]! += normal ** 2 / count;
      moments[3]! += normal ** 4 / count;
    }
    expect(moments[0]).toBeCloseTo(0.5, 2);
    expect(moments[1]).toBeCloseTo(0, 2);
    expect(moments[2]).toBeCloseTo(1, 1);
    expect(moments[3]).toBeCloseTo(3, 0);
  });
});

describe('a life', () => {
  const cycle: LifeCycle = { healthyHours: 8, growthHours: 14, failedHours: 100, repairHours: 8 };

  it.each([
    { hours: 0, phase: 'healthy' },
    { hours: 7.9, phase: 'healthy' },
    { hours: 8.1, phase: 'degrading' },
    { hours: 22, phase: 'failed' },
    { hours: 121.9, phase: 'failed' },
    { hours: 122, phase: 'repair' },
    { hours: 130, phase: 'healthy' },
  ])('is $phase after $hours h', ({ hours, phase }) => {
    expect(lifeAt(cycle, hours).phase).toBe(phase);
  });

  it('never heals by itself while the fault grows', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 122, noNaN: true }),
        fc.double({ min: 0, max: 122, noNaN: true }),
        (a, b) => {
          const [earlier, later] = a < b ? [a, b] : [b, a];
          if (later >= 122) return true;
          return lifeAt(cycle, earlier).severity <= lifeAt(cycle, later).severity;
        },
      ),
    );
  });

  it('runs its severity from 0 to 1, late rather than early', () => {
    expect(severityCurve(0)).toBe(0);
    expect(severityCurve(1)).toBe(1);
    expect(severityCurve(0.5)).toBeLessThan(0.25);
  });
});

describe('heat', () => {
  it('goes 63 % of the way in one time constant, whatever the steps', () => {
    expect(approach(20, 60, 600, 600)).toBeCloseTo(20 + 40 * (1 - Math.exp(-1)), 9);
    let stepped = 20;
    for (let s = 0; s < 600; s++) stepped = approach(stepped, 60, 1, 600);
    expect(stepped).toBeCloseTo(approach(20, 60, 600, 600), 9);
  });

  it('settles at ambient when the machine stands, and higher with load and with a damaged bearing', () => {
    const model = { ambientCel: 22, loadRiseK: 30, speedRiseK: 8, frictionRiseK: 25, timeConstantS: 600 };
    const settled = (load: number, speedFraction: number, bearingSeverity: number): number =>
      settledTemperatureCel(model, { load, speedFraction, bearingSeverity });
    expect(settled(0, 0, 1)).toBe(22);
    expect(settled(0.5, 1, 0)).toBeLessThan(settled(1, 1, 0));
    expect(settled(1, 1, 1)).toBe(85);
  });

  it('comes with a current that is rated at full load and does not vanish at none', () => {
    expect(motorCurrentA(68, 1)).toBeCloseTo(68, 9);
    expect(motorCurrentA(68, 0)).toBeCloseTo(0.35 * 68, 9);
  });
});

describe('a duty cycle', () => {
  const duty: DutyCycle = {
    runS: 600,
    stopS: 60,
    startUpS: 6,
    coastDownS: 20,
    meanLoad: 0.7,
    loadSwing: 0.15,
    loadPeriodS: 300,
    slip: 0.02,
  };

  it.each([
    { atS: 0, is: 'running', speed: 1 },
    { atS: 599, is: 'running', speed: 1 },
    { atS: 610, is: 'coasting', speed: 0.5 },
    { atS: 640, is: 'standing', speed: 0 },
    { atS: 663, is: 'starting', speed: 0.5 },
    { atS: 700, is: 'running', speed: 1 },
  ])('is $is at $atS s', ({ atS, speed }) => {
    expect(Math.abs(dutyAt(duty, atS).speedFraction - speed)).toBeLessThan(0.03);
  });

  it('never rests when it has no stops', () => {
    for (let s = 0; s < 5000; s += 7) expect(dutyAt({ ...duty, stopS: 0 }, s).speedFraction).toBeGreaterThan(0.95);
  });
});

describe('a moulding press', () => {
  const press: PressModel = {
    closeS: 4,
    injectS: 6,
    cureS: 30,
    openS: 5,
    clampForceKn: 2500,
    injectionPressureBar: 160,
    holdPressureBar: 60,
    mouldSetpointCel: 175,
    mouldDropK: 9,
    heatingTimeConstantS: 12,
  };

  it.each([
    { atS: 1, phase: 'close', cycles: 0 },
    { atS: 9, phase: 'inject', cycles: 0 },
    { atS: 30, phase: 'cure', cycles: 0 },
    { atS: 42, phase: 'open', cycles: 0 },
    { atS: 46, phase: 'close', cycles: 1 },
  ])('is in phase $phase at $atS s after $cycles cycles', ({ atS, phase, cycles }) => {
    expect(pressAt(press, atS)).toMatchObject({ phase, cycles });
  });

  it('injects under its highest pressure and with the mould locked', () => {
    const injecting = pressAt(press, 9.9);
    expect(injecting.pressureBar).toBeGreaterThan(0.95 * press.injectionPressureBar);
    expect(injecting.clampForceKn).toBe(press.clampForceKn);
    expect(pressAt(press, 44.9).clampForceKn).toBeLessThan(0.01 * press.clampForceKn);
  });

  it('cools when it opens and recovers while it cures, without a jump at any seam', () => {
    expect(pressAt(press, 39.9).mouldTemperatureCel).toBeGreaterThan(174);
    expect(pressAt(press, 44.99).mouldTemperatureCel).toBeLessThan(167);
    const cycleS = pressCycleS(press);
    for (let s = 0.01; s < 3 * cycleS; s += 0.01) {
      const step = pressAt(press, s).mouldTemperatureCel - pressAt(press, s - 0.01).mouldTemperatureCel;
      expect(Math.abs(step)).toBeLessThan(0.05);
    }
  });
});
