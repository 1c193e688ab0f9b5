import { describe, expect, it } from '@jest/globals';
import { defectOrders } from '../features/bearing.ts';
import { bearingSchema, machineSchema } from './plant.ts';

const BEARING = { id: 'de', elements: 9, elementDiameterMm: 7.94, pitchDiameterMm: 39.04 };
const bearings = (count: number) =>
  Array.from({ length: count }, (_unused, index) => ({ ...BEARING, id: `b${index}` }));

describe('a bearing', () => {
  it.each([
    ['no elements', { elements: 0 }, 'elements'],
    ['fewer elements than nothing', { elements: -9 }, 'elements'],
    ['too few to be a bearing', { elements: 2 }, 'elements'],
    ['more elements than any has', { elements: 201 }, 'elements'],
    ['a part of an element', { elements: 8.5 }, 'elements'],
    ['elements of no size', { elementDiameterMm: 0 }, 'elementDiameterMm'],
    ['elements as wide as their circle', { elementDiameterMm: 39.04 }, 'elementDiameterMm'],
    ['elements wider than their circle', { elementDiameterMm: 40 }, 'elementDiameterMm'],
    ['no pitch circle', { pitchDiameterMm: -1 }, 'pitchDiameterMm'],
    ['a contact angle of 90 degrees', { contactAngleDeg: 90 }, 'contactAngleDeg'],
    ['a contact angle below 0', { contactAngleDeg: -1 }, 'contactAngleDeg'],
  ])('with %s is refused, and the field is named', (_what, wrong, field) => {
    const { error } = bearingSchema.safeParse({ ...BEARING, ...wrong });
    expect(error?.issues.map(({ path }) => path.join('.'))).toContain(field);
    expect(() => defectOrders({ ...BEARING, ...wrong })).toThrow(RangeError);
  });

  it.each([
    ['the fewest elements', { elements: 3 }],
    ['the most', { elements: 200 }],
    ['nearly axial contact', { contactAngleDeg: 89.9 }],
  ])('with %s is taken, and has defect frequencies', (_what, more) => {
    const orders = defectOrders(bearingSchema.parse({ ...BEARING, ...more }));
    expect(Object.values(orders).every((order) => order > 0 && Number.isFinite(order))).toBe(true);
  });
});

describe('a machine', () => {
  it('has at most as many bearings as its spectrum tells apart', () => {
    const machine = { id: 'mill', class: 'gearbox' };
    expect(machineSchema.parse({ ...machine, bearings: bearings(16) }).bearings).toHaveLength(16);
    const { error } = machineSchema.safeParse({ ...machine, bearings: bearings(17) });
    expect(error?.issues.map(({ path }) => path)).toEqual([['bearings']]);
  });

  it('has no nominal speed that nothing turns at', () => {
    const { error } = machineSchema.safeParse({ id: 'mill', class: 'motor', nominalRpm: 1.1e6 });
    expect(error?.issues.map(({ path }) => path)).toEqual([['nominalRpm']]);
  });
});
