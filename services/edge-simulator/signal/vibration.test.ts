import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { defectFrequenciesHz } from '#core/features/bearing.ts';
import type { FaultKind, FaultSeverities } from './faults.ts';
import { createRandom } from './random.ts';
import { expectedVelocityRmsMmPerS, synthesiseVibration } from './vibration.ts';
import type { VibrationModel } from './vibration-model.ts';
import { amplitudes, envelope, kurtosis, peakHz, rms, velocityRms } from './spectrum-probe.ts';

const RATE = 25_600;
const POINTS = 32_768;
const RPM = 1780;

const model: VibrationModel = {
  nominalRpm: 1800,
  shaftHarmonicsMmPerS: [0.8, 0.3, 0.1],
  noiseG: 0.05,
  resonances: [
    { frequencyHz: 3600, dampingRatio: 0.04, gain: 0.8 },
    { frequencyHz: 7200, dampingRatio: 0.03, gain: 0.4 },
  ],
  bearing: { elements: 9, elementDiameterMm: 7.94, pitchDiameterMm: 39.04 },
  impactG: 6,
  blades: { count: 6, velocityMmPerS: 0.3 },
};

function record(
  faults: FaultSeverities,
  seed = 'test',
  changes: Partial<VibrationModel> = {},
  points = POINTS,
): Float64Array {
  return synthesiseVibration(
    { ...model, ...changes },
    { rpm: RPM, load: 0.8, faults },
    { sampleRateHz: RATE, points },
    createRandom(seed),
  );
}

const defects = defectFrequenciesHz(model.bearing, RPM);
const shaftHz = RPM / 60;

describe('a bearing defect', () => {
  it.each<{ fault: FaultKind; name: string; lineHz: number }>([
    { fault: 'bearing-outer', name: 'BPFO', lineHz: defects.bpfo },
    { fault: 'bearing-inner', name: 'BPFI', lineHz: defects.bpfi },
    { fault: 'bearing-ball', name: '2 x BSF', lineHz: 2 * defects.bsf },
    { fault: 'bearing-cage', name: 'FTF', lineHz: defects.ftf },
  ])(
    '$fault makes the strongest line of the envelope spectrum at $name or one of its harmonics',
    ({ fault, lineHz }) => {
      // Modulation lines (1x, FTF) lie below the defect's own lines; a cage's own line is low itself.
      const from = fault === 'bearing-cage' ? 5 : 0.7 * lineHz;
      const found = peakHz(amplitudes(envelope(record({ [fault]: 1 }), RATE, [2000, 9000])), RATE, [from, 5 * lineHz]);
      const harmonic = Math.round(found / lineHz);
      expect(harmonic).toBeGreaterThan(0);
      expect(Math.abs(found / (harmonic * lineHz) - 1)).toBeLessThan(0.02);
    },
  );

  it('on the inner race has sidebands at the shaft speed, on the outer race none', () => {
    const sidebandShare = (fault: FaultKind, lineHz: number): number => {
      const spectrum = amplitudes(envelope(record({ [fault]: 1 }), RATE, [2000, 9000]));
      const at = (hz: number): number => lineAmplitude(spectrum, hz);
      return (at(lineHz - shaftHz) + at(lineHz + shaftHz)) / (2 * at(lineHz));
    };
    expect(sidebandShare('bearing-inner', defects.bpfi)).toBeGreaterThan(0.3);
    expect(sidebandShare('bearing-outer', defects.bpfo)).toBeLessThan(0.2);
  });

  it('on a ball is modulated at the cage speed', () => {
    const spectrum = amplitudes(envelope(record({ 'bearing-ball': 1 }), RATE, [2000, 9000]));
    const background = lineAmplitude(spectrum, 2.5 * defects.ftf);
    expect(lineAmplitude(spectrum, defects.ftf)).toBeGreaterThan(3 * background);
  });

  it('is absent from the envelope spectrum of a healthy machine', () => {
    const spectrum = amplitudes(envelope(record({}), RATE, [2000, 9000]));
    const faulty = amplitudes(envelope(record({ 'bearing-outer': 0.5 }), RATE, [2000, 9000]));
    expect(lineAmplitude(faulty, defects.bpfo)).toBeGreaterThan(10 * lineAmplitude(spectrum, defects.bpfo));
  });
});

describe('a fault of the shaft', () => {
  it.each<{ fault: FaultKind; orders: number[] }>([
    { fault: 'imbalance', orders: [1] },
    { fault: 'misalignment', orders: [2] },
    { fault: 'looseness', orders: [0.5, 1, 1.5, 2, 3, 4, 5] },
  ])('$fault raises the orders $orders of the shaft', ({ fault, orders }) => {
    const healthy = amplitudes(record({}));
    const faulty = amplitudes(record({ [fault]: 1 }));
    for (const order of orders) {
      expect(lineAmplitude(faulty, order * shaftHz)).toBeGreaterThan(2.5 * lineAmplitude(healthy, order * shaftHz));
    }
  });

  it('has misalignment stronger at 2x than at 1x in velocity', () => {
    const spectrum = amplitudes(record({ misalignment: 1 }));
    expect(lineAmplitude(spectrum, 2 * shaftHz) / 2).toBeGreaterThan(lineAmplitude(spectrum, shaftHz));
  });
});

describe('a gear', () => {
  const gear = { pinionTeeth: 23, wheelTeeth: 57, meshG: [0.4, 0.2], pinionModulation: 0.4, wheelModulation: 0.2 };

  it('has lines at its mesh frequency and harmonics, with sidebands at both shafts', () => {
    const spectrum = amplitudes(record({}, 'gear', { gear }));
    const meshHz = 23 * shaftHz;
    const carrier = lineAmplitude(spectrum, meshHz);
    expect(lineAmplitude(spectrum, 2 * meshHz) / carrier).toBeCloseTo(0.5, 1);
    expect(lineAmplitude(spectrum, meshHz + shaftHz) / carrier).toBeCloseTo(0.2, 1);
    expect(lineAmplitude(spectrum, meshHz - meshHz / 57) / carrier).toBeCloseTo(0.1, 1);
  });
});

describe('severity', () => {
  const steps = [0, 0.25, 0.5, 0.75, 1];
  const mean = (measure: (samples: Float64Array) => number, faults: FaultSeverities): number =>
    [1, 2, 3, 4].reduce((sum, seed) => sum + measure(record(faults, `severity ${seed}`, {}, 8192)), 0) / 4;

  it.each<FaultKind>([
    'imbalance',
    'misalignment',
    'looseness',
    'bearing-outer',
    'bearing-inner',
    'bearing-ball',
    'bearing-cage',
    'cavitation',
  ])('of %s raises the RMS at every step', (fault) => {
    const values = steps.map((severity) => mean(rms, { [fault]: severity }));
    expect(values).toEqual(values.toSorted((a, b) => a - b));
    expect(values.at(-1)).toBeGreaterThan(1.1 * values[0]!);
  });

  it.each<FaultKind>(['bearing-outer', 'bearing-inner', 'bearing-ball'])(
    'of %s raises the kurtosis at every step',
    (fault) => {
      const values = steps.map((severity) => mean(kurtosis, { [fault]: severity }));
      expect(values).toEqual(values.toSorted((a, b) => a - b));
      expect(values.at(-1)).toBeGreaterThan(5);
    },
  );

  it('leaves the kurtosis of a healthy machine near 3 or below, as of noise and tones', () => {
    expect(mean(kurtosis, {})).toBeLessThan(3.3);
  });
});

describe('the expected velocity RMS', () => {
  it.each<FaultSeverities>([
    {},
    { imbalance: 0.7 },
    { misalignment: 1 },
    { looseness: 1 },
    { 'bearing-outer': 1 },
    { cavitation: 1 },
  ])('agrees within 12 %% with what the waveform of %j holds between 10 and 1000 Hz', (faults) => {
    const measured =
      [1, 2, 3].reduce((sum, seed) => sum + velocityRms(record(faults, `velocity ${seed}`), RATE), 0) / 3;
    const expected = expectedVelocityRmsMmPerS(model, { rpm: RPM, load: 0.8, faults }, RATE);
    expect(Math.abs(measured / expected - 1)).toBeLessThan(0.12);
  });
});

describe('determinism', () => {
  it('gives the same bytes for the same seed and others for another', () => {
    const bytes = (seed: string): Buffer => Buffer.from(record({ 'bearing-inner': 0.6, cavitation: 0.3 }, seed).buffer);
    expect(bytes('a').equals(bytes('a'))).toBe(true);
    expect(bytes('a').equals(bytes('b'))).toBe(false);
  });

  it('stays finite for any operating point', () => {
    fc.assert(
      fc.property(
        fc.record({
          rpm: fc.double({ min: 0, max: 20_000, noNaN: true }),
          load: fc.double({ min: 0, max: 1.5, noNaN: true }),
          fault: fc.constantFrom<FaultKind>('bearing-outer', 'bearing-ball', 'cavitation', 'looseness'),
          severity: fc.double({ min: -1, max: 2, noNaN: true }),
        }),
        ({ rpm, load, fault, severity }) => {
          const samples = synthesiseVibration(
            model,
            { rpm, load, faults: { [fault]: severity } },
            { sampleRateHz: RATE, points: 512 },
            createRandom('any'),
          );
          return samples.every(Number.isFinite);
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe('a standing machine', () => {
  it('has neither tones nor impacts, and far less noise than a running one', () => {
    const standing = synthesiseVibration(
      model,
      { rpm: 0, load: 0, faults: { 'bearing-outer': 1, imbalance: 1 } },
      { sampleRateHz: RATE, points: POINTS },
      createRandom('stop'),
    );
    expect(rms(standing)).toBeLessThan(0.1 * rms(record({})));
    expect(kurtosis(standing)).toBeLessThan(3.3);
  });
});

function lineAmplitude(spectrum: Float64Array, hz: number): number {
  const centre = Math.round((hz * POINTS) / RATE);
  const width = Math.max(2, Math.round(0.008 * centre));
  return Math.max(...spectrum.subarray(Math.max(1, centre - width), centre + width + 1));
}
