import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { defectFrequenciesHz, defectOrders } from './bearing.ts';

const BEARING_6205 = { designation: '6205', elements: 9, elementDiameterMm: 7.94, pitchDiameterMm: 39.04 };

describe('defect frequencies of a bearing', () => {
  it('agree with the published vector of a 6205', () => {
    const { bpfo, bpfi, bsf, ftf } = defectOrders(BEARING_6205);
    expect(bpfo).toBeCloseTo(3.585, 3);
    expect(bpfi).toBeCloseTo(5.415, 3);
    expect(2 * bsf).toBeCloseTo(4.713, 2);
    expect(ftf).toBeCloseTo(0.398, 3);
  });

  it('are multiples of the shaft speed', () => {
    const frequencies = defectFrequenciesHz(BEARING_6205, 1797);
    const orders = defectOrders(BEARING_6205);
    for (const kind of ['bpfo', 'bpfi', 'bsf', 'ftf'] as const) {
      expect(frequencies[kind]).toBeCloseTo((orders[kind] * 1797) / 60, 9);
    }
  });

  it('keep their kinematics: BPFO + BPFI = n, BPFO = n FTF, whatever the geometry', () => {
    const geometry = fc.record({
      elements: fc.integer({ min: 3, max: 200 }),
      elementDiameterMm: fc.double({ min: 0.5, max: 50, noNaN: true }),
      gap: fc.double({ min: 0.5, max: 500, noNaN: true }),
      contactAngleDeg: fc.double({ min: 0, max: 80, noNaN: true }),
    });
    fc.assert(
      fc.property(geometry, ({ gap, ...of }) => {
        const orders = defectOrders({ ...of, pitchDiameterMm: of.elementDiameterMm + gap });
        expect(orders.bpfo + orders.bpfi).toBeCloseTo(of.elements, 9);
        expect(orders.bpfo).toBeCloseTo(of.elements * orders.ftf, 9);
        expect(orders.bpfo).toBeLessThan(orders.bpfi);
      }),
    );
  });

  it.each([
    ['two elements', { elements: 2 }],
    ['a part of an element', { elements: 8.5 }],
    ['no element diameter', { elementDiameterMm: 0 }],
    ['elements wider than their circle', { elementDiameterMm: 40 }],
    ['an endless pitch diameter', { pitchDiameterMm: Infinity }],
    ['a contact angle of 90 degrees', { contactAngleDeg: 90 }],
    ['no number', { contactAngleDeg: NaN }],
  ])('are refused for %s', (_, wrong) => {
    expect(() => defectOrders({ ...BEARING_6205, ...wrong })).toThrow(RangeError);
  });
});
