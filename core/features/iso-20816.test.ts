import { describe, expect, it } from '@jest/globals';
import { isoGroup, isoZone, isoZoneBoundaries, isoZoneLetter, type VelocityEvidence } from './iso-20816.ts';
import { computeWaveformFeatures, type FeatureMachine } from './waveform-features.ts';

const MOTOR: FeatureMachine = { powerKw: 75, nominalRpm: 1480, support: 'rigid', bearings: [] };
const EVIDENCE: VelocityEvidence = { rpm: 1480, bandHz: [10, 1000], velocityRmsMmPerS: 2, obstacle: undefined };

function tone(amplitude: number, frequencyHz: number, sampleRateHz = 4096, seconds = 1): Float64Array {
  const at = (i: number) => amplitude * Math.sin((2 * Math.PI * frequencyHz * i) / sampleRateHz + 0.3);
  return Float64Array.from({ length: Math.round(sampleRateHz * seconds) }, (_, i) => at(i));
}

describe('zones of ISO 20816-3', () => {
  it.each([
    [1, 'rigid', 2.3, 4.5, 7.1],
    [1, 'flexible', 3.5, 7.1, 11],
    [2, 'rigid', 1.4, 2.8, 4.5],
    [2, 'flexible', 2.3, 4.5, 7.1],
  ] as const)(
    'of group %i on %s support change at %f, %f and %f mm/s, each of which belongs below',
    (group, support, ab, bc, cd) => {
      const boundaries = isoZoneBoundaries(group, support);
      const letters = [0, ab, ab + 0.01, bc, bc + 0.01, cd, cd + 0.01].map((v) => isoZoneLetter(v, boundaries));
      expect(letters.join('')).toBe('AABBCCD');
    },
  );

  it.each([
    [{ powerKw: 300.1 }, 1],
    [{ powerKw: 300 }, 2],
    [{ powerKw: 15.1 }, 2],
    [{ powerKw: 15 }, undefined],
    [{ shaftHeightMm: 315 }, 1],
    [{ shaftHeightMm: 314 }, 2],
    [{ shaftHeightMm: 160 }, 2],
    [{ shaftHeightMm: 159 }, undefined],
    [{ powerKw: 75, shaftHeightMm: 315 }, 1],
    [{}, undefined],
  ])('put a machine of %p into group %p', (machine, group) => {
    expect(isoGroup(machine)).toBe(group);
  });

  it('come with the table, group, support and band they assume', () => {
    expect(isoZone(MOTOR, EVIDENCE)).toEqual({
      verdict: 'B',
      velocityRmsMmPerS: 2,
      group: 2,
      support: 'rigid',
      boundaries: { abMmPerS: 1.4, bcMmPerS: 2.8, cdMmPerS: 4.5 },
      bandHz: [10, 1000],
      basis: expect.stringMatching(/ISO 10816-3:2009.*group 2, rigid support.*10-1000 Hz.*lower zone/) as unknown,
    });
  });

  it.each([
    ['a stopped machine', { operatingState: 'stopped' }, {}, 'not_running'],
    ['a machine in maintenance', { operatingState: 'maintenance' }, {}, 'not_running'],
    ['15 kW', { powerKw: 15 }, {}, 'power_out_of_scope'],
    ['15 kW, however high its shaft', { powerKw: 15, shaftHeightMm: 315 }, {}, 'power_out_of_scope'],
    ['neither power nor shaft height', { powerKw: undefined }, {}, 'unknown_power'],
    ['a shaft too low for a group', { powerKw: undefined, shaftHeightMm: 100 }, {}, 'unknown_group'],
    ['no speed', {}, { rpm: undefined }, 'unknown_speed'],
    ['119 r/min', {}, { rpm: 119 }, 'speed_out_of_scope'],
    ['30,001 r/min', {}, { rpm: 30_001 }, 'speed_out_of_scope'],
    ['no support', { support: undefined }, {}, 'unknown_support'],
  ] as const)('are not given for %s, and the reason is', (_, machine, evidence, code) => {
    const zone = isoZone({ ...MOTOR, ...machine }, { ...EVIDENCE, ...evidence });
    expect(zone).toEqual({ verdict: 'none', codes: [code], reason: expect.any(String) as unknown });
  });
});

describe('the velocity RMS of a waveform', () => {
  const features = (samples: Float64Array, unit: string, sampleRateHz = 4096, rpm = 1480) =>
    computeWaveformFeatures({ samples, sampleRateHz, unit, rpm }, { machine: MOTOR });

  // a / (2 pi f sqrt 2), in mm/s.
  it.each([
    ['m/s2', 1, 1000],
    ['mm/s2', 1000, 1000],
    ['g', 1, 9806.65],
    ['[g]', 1, 9806.65],
    ['m/s²', 1, 1000],
    ['m/s^2', 1, 1000],
    ['m_g', 1000, 9806.65],
    ['[in_i]/s2', 1, 25.4],
  ])('of a tone in %s is its amplitude over its angular frequency', (unit, amplitude, inMillimetres) => {
    const expected = inMillimetres / (2 * Math.PI * 80 * Math.SQRT2);
    expect(Math.abs(features(tone(amplitude, 80), unit).values['velocity_rms_mm_s']! / expected - 1)).toBeLessThan(
      1e-4,
    );
    // Between two lines the Hann taper keeps the energy, all but what leaks.
    const between = inMillimetres / (2 * Math.PI * 80.5 * Math.SQRT2);
    expect(Math.abs(features(tone(amplitude, 80.5), unit).values['velocity_rms_mm_s']! / between - 1)).toBeLessThan(
      2e-3,
    );
  });

  it.each([
    ['mm/s', 3],
    ['m/s', 0.003],
    ['µm/s', 3000],
    ['ips', 3 / 25.4],
  ])('of a tone in %s is its RMS', (unit, amplitude) => {
    expect(features(tone(amplitude, 100), unit).values['velocity_rms_mm_s']).toBeCloseTo(3 / Math.SQRT2, 6);
  });

  it.each([
    ['below 10 Hz', 5],
    ['above 1000 Hz', 1500],
    ['a constant offset', 0],
  ])('takes no part of %s', (_, frequencyHz) => {
    const samples = frequencyHz === 0 ? tone(1, 80).map(() => 7) : tone(1, frequencyHz);
    expect(features(samples, 'mm/s').values['velocity_rms_mm_s']).toBeLessThan(1e-6);
  });

  it('begins at 2 Hz below 600 r/min, where 2 s are needed', () => {
    const slow = features(tone(2, 5, 4096, 2), 'mm/s', 4096, 599);
    expect(slow.values['velocity_rms_mm_s']).toBeCloseTo(Math.SQRT2, 6);
    expect(slow.provenance.velocityBandHz).toEqual([2, 1000]);
    const short = features(tone(2, 5, 4096, 1.9), 'mm/s', 4096, 599);
    expect(short.isoZone).toMatchObject({ verdict: 'none', codes: ['record_too_short'] });
    expect(features(tone(2, 5, 4096, 1.9), 'mm/s', 4096, 600).provenance.velocityBandHz).toEqual([10, 1000]);
  });

  it.each([
    ['a record of 0.1 s', tone(1, 80, 25600, 0.1), 25600, 'g', 'record_too_short'],
    ['1999 samples/s', tone(1, 80, 1999, 1), 1999, 'g', 'sample_rate_too_low'],
    ['an unknown unit', tone(1, 80), 4096, 'V', 'unknown_unit'],
    ['a displacement', tone(1, 80), 4096, 'µm', 'unknown_unit'],
  ])('is absent for %s, and so is the zone', (_, samples, sampleRateHz, unit, code) => {
    const { values, isoZone: zone } = features(samples, unit, sampleRateHz);
    expect(zone).toMatchObject({ verdict: 'none', codes: [code] });
    expect(values).not.toHaveProperty('velocity_rms_mm_s');
  });

  it('gives a zone for a motor of known group, support and speed', () => {
    expect(features(tone(3, 100), 'mm/s').isoZone).toMatchObject({ verdict: 'B', group: 2 });
  });
});
