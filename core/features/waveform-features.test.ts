import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createRandom } from '#services/edge-simulator/signal/random.ts';
import { powerSpectrum } from './power-spectrum.ts';
import { MAX_SAMPLES } from './waveform.ts';
import {
  amplitudeSpectrum,
  computeWaveformFeatures,
  envelopeSpectrum,
  type FeatureContext,
  type FeatureParameters,
} from './waveform-features.ts';

// Jest runs tests in a context whose globals are looked up slowly: a matter of seconds for the signals below.
const { sin, cos, exp, ceil, min, PI } = Math;
const RATE = 25600;
const RPM = 1797;
const BEARING_6205 = { elements: 9, elementDiameterMm: 7.94, pitchDiameterMm: 39.04 };
const ORDERS = { bpfo: 3.5848, bpfi: 5.4152 };
const BARE: FeatureContext = { machine: { bearings: [] } };
const WITH_BEARING: FeatureContext = { machine: { bearings: [BEARING_6205] } };

const withParameters = (parameters: Partial<FeatureParameters>): FeatureContext => ({ ...BARE, parameters });

function noise(length: number, seed = 7): Float64Array {
  const random = createRandom(String(seed));
  return Float64Array.from({ length }, () => random.gaussian());
}

/** Impacts at a defect order ringing a resonance, in noise; on the inner race they come and go with the shaft. */
function faulty(order: number, { length = 25600, resonanceHz = 3400, modulated = false, slip = 0 } = {}): Float64Array {
  const samples = noise(length).map((x) => 0.1 * x);
  const periodSeconds = 60 / (order * (1 + slip) * RPM);
  for (let at = 0.0007; at < length / RATE; at += periodSeconds) {
    const load = modulated ? 1 + 0.9 * cos((2 * PI * RPM * at) / 60) : 1;
    for (let i = ceil(at * RATE); i < min(length, (at + 0.01) * RATE); i++) {
      const since = i / RATE - at;
      samples[i]! += 0.6 * load * exp(-900 * since) * sin(2 * PI * resonanceHz * since);
    }
  }
  return samples;
}

const valuesOf = (samples: Float64Array | Float32Array, context = BARE, unit = 'g') =>
  computeWaveformFeatures({ samples, sampleRateHz: RATE, unit, rpm: RPM }, context).values;

describe('waveform features', () => {
  it('carry their unit at the end of their names', () => {
    const names = Object.keys(valuesOf(noise(25600), WITH_BEARING, 'm/s2'));
    expect(names).toEqual(
      expect.arrayContaining([
        'rms_m_s2',
        'peak_to_peak_m_s2',
        'kurtosis',
        'velocity_rms_mm_s',
        'band_500_1000_hz_rms_m_s2',
        'band_10000_hz_up_rms_m_s2',
        'shaft_1x_m_s2',
        'env_rms_m_s2',
        'env_bpfo_ratio',
        'env_bpfi_sideband_m_s2',
        'env_2xbsf_m_s2',
        'env_ftf_m_s2',
      ]),
    );
  });

  it.each([
    ['%', 'rms_unit'],
    ['V/[g]', 'rms_V_g'],
    ['', 'rms_unit'],
    ['m/s²', 'rms_m_s2'],
    ['µm', 'rms_um'],
  ])('of a signal in the unit %p are named after it: %s', (unit, name) => {
    expect(valuesOf(noise(64), BARE, unit)).toHaveProperty([name]);
  });

  it('are all finite for a record that does not move, and its ratios absent', () => {
    for (const level of [0, 5, -1e-300]) {
      const values = valuesOf(new Float64Array(4096).fill(level), WITH_BEARING);
      expect(Object.entries(values).filter(([, value]) => !Number.isFinite(value))).toEqual([]);
      expect(values['rms_g']).toBeCloseTo(0, 12);
      expect(values).not.toHaveProperty('kurtosis');
    }
  });

  it('do not claim what the record cannot resolve', () => {
    // 0.1 s: lines 10 Hz apart, the shaft turns at 30 Hz and the cage at 12 Hz.
    const values = valuesOf(noise(2560), WITH_BEARING);
    for (const name of ['shaft_1x_g', 'env_ftf_g', 'env_bpfi_sideband_g', 'velocity_rms_mm_s']) {
      expect(values).not.toHaveProperty(name);
    }
    expect(values).toHaveProperty('env_bpfo_g');
  });

  it('of a 32-bit and of a 64-bit record of the same numbers are the same', () => {
    const single = Float32Array.from(noise(3000));
    expect(valuesOf(single, WITH_BEARING)).toEqual(valuesOf(Float64Array.from(single), WITH_BEARING));
  });

  it('leave the samples alone and do not depend on what was computed before', () => {
    const samples = faulty(ORDERS.bpfo, { length: 4096 });
    const copy = samples.slice();
    const first = valuesOf(samples, WITH_BEARING);
    valuesOf(noise(4096), WITH_BEARING);
    valuesOf(noise(5000), WITH_BEARING);
    expect(valuesOf(samples, WITH_BEARING)).toEqual(first);
    expect(samples).toEqual(copy);
  });

  it('say how they came to be', () => {
    const { provenance } = computeWaveformFeatures(
      { samples: noise(2999), sampleRateHz: RATE, unit: 'g' },
      { machine: { bearings: [], nominalRpm: 1480 }, parameters: { slipTolerance: 0.05 } },
    );
    expect(provenance).toMatchObject({
      softwareVersion: expect.stringMatching(/^tribo-features\/\d+\.\d+\.\d+$/) as unknown,
      parameters: { slipTolerance: 0.05, taper: 'hann', segmentSamples: 'record' },
      samples: 2999,
      zeroPaddedTo: 3000,
      rpm: 1480,
      rpmSource: 'machine',
      envelopeBandSource: 'spectral-kurtosis',
      velocityBandHz: [10, 1000],
      amplitudeStepHz: RATE / 3000,
    });
  });

  it.each([
    ['15 samples', { samples: new Float64Array(15) }, {}],
    ['more samples than fit', { samples: new Float32Array(MAX_SAMPLES + 1) }, {}],
    ['a NaN', { samples: noise(64).fill(NaN, 5, 6) }, {}],
    ['an infinity', { samples: noise(64).fill(Infinity, 5, 6) }, {}],
    ['numbers too large to square', { samples: noise(64).fill(1e200, 5, 6) }, {}],
    ['a sample rate of zero', { sampleRateHz: 0 }, {}],
    ['no sample rate', { sampleRateHz: NaN }, {}],
    ['a negative speed', { rpm: -1 }, {}],
    ['a slip tolerance of one', {}, { slipTolerance: 1 }],
    ['an overlap of one', {}, { segmentOverlap: 1 }],
    ['band edges that fall', {}, { bandEdgesHz: [100, 10] }],
    ['seven levels of bands', {}, { envelopeBandLevels: 7 }],
    ['half a harmonic too many', {}, { defectHarmonics: 0 }],
  ])('are refused for %s', (_, waveform, parameters) => {
    const good = { samples: noise(64), sampleRateHz: RATE, unit: 'g', rpm: RPM };
    expect(() => computeWaveformFeatures({ ...good, ...waveform }, withParameters(parameters))).toThrow(RangeError);
  });

  it('are refused for more bearings than a machine may have', () => {
    const bearings = Array.from({ length: 17 }, () => BEARING_6205);
    expect(() => valuesOf(noise(64), { machine: { bearings } })).toThrow('at most 16 bearings');
  });
});

describe('bearing defects', () => {
  const contrast = (samples: Float64Array) => {
    const values = valuesOf(samples, WITH_BEARING);
    return {
      bpfo: values['env_bpfo_ratio']!,
      bpfi: values['env_bpfi_ratio']!,
      ball: values['env_2xbsf_ratio']!,
      values,
    };
  };

  it('stand out at their own frequency: outer race', () => {
    const { bpfo, bpfi, ball } = contrast(faulty(ORDERS.bpfo));
    expect(bpfo).toBeGreaterThan(15);
    expect(bpfo).toBeGreaterThan(2 * Math.max(bpfi, ball));
  });

  it('stand out at their own frequency: inner race, with its sidebands', () => {
    const { bpfo, bpfi, ball, values } = contrast(faulty(ORDERS.bpfi, { modulated: true }));
    expect(bpfi).toBeGreaterThan(15);
    expect(bpfi).toBeGreaterThan(2 * Math.max(bpfo, ball));
    expect(values['env_bpfi_sideband_g']).toBeGreaterThan(0.5 * values['env_bpfi_g']!);
  });

  it.each([-0.025, -0.01, 0.01, 0.025])('are found in spite of a slip of %f', (slip) => {
    expect(contrast(faulty(ORDERS.bpfo, { slip })).bpfo).toBeGreaterThan(15);
  });

  it('are not found beyond the tolerance', () => {
    expect(contrast(faulty(ORDERS.bpfo, { slip: 0.06 })).bpfo).toBeLessThan(8);
  });

  it('are not found in noise', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { bpfo, bpfi, ball } = contrast(noise(25600, seed));
      expect(Math.max(bpfo, bpfi, ball)).toBeLessThan(6);
    }
  });

  it.each([2100, 3400, 5200, 9000])(
    'are demodulated in a band around the resonance they ring, %i Hz',
    (resonanceHz) => {
      const waveform = { samples: faulty(ORDERS.bpfo, { resonanceHz }), sampleRateHz: RATE, unit: 'g', rpm: RPM };
      const [low, high] = computeWaveformFeatures(waveform, WITH_BEARING).provenance.envelopeBandHz!;
      expect(low).toBeLessThan(resonanceHz + 300);
      expect(high).toBeGreaterThan(resonanceHz - 300);
      expect(high - low).toBeLessThanOrEqual(RATE / 4);
    },
  );

  it('of several bearings are given for each, and for the worst of them', () => {
    const other = { id: 'free-end', elements: 13, elementDiameterMm: 3.5, pitchDiameterMm: 25.6 };
    const values = valuesOf(faulty(ORDERS.bpfo), {
      machine: { bearings: [{ ...BEARING_6205, id: 'drive-end' }, other] },
    });
    expect(values['env_drive-end_bpfo_ratio']).toBeGreaterThan(values['env_free-end_bpfo_ratio']!);
    expect(values['env_bpfo_ratio']).toBe(values['env_drive-end_bpfo_ratio']);
    expect(values['env_bpfo_g']).toBe(values['env_drive-end_bpfo_g']);
  });
});

describe('spectra', () => {
  it('mark the shaft and the defects of the bearing, where kinematics puts them and where they were found', () => {
    const waveform = {
      samples: faulty(ORDERS.bpfi, { modulated: true, slip: 0.01 }),
      sampleRateHz: RATE,
      unit: 'g',
      rpm: RPM,
    };
    const { marks, frequencyStepHz, amplitudes, kind } = envelopeSpectrum(waveform, WITH_BEARING);
    expect(kind).toBe('envelope');
    const inner = marks.find(({ label }) => label === 'BPFI 1x')!;
    expect(inner).toMatchObject({ kind: 'bpfi', bearing: 'b1', harmonic: 1, sideband: 0 });
    expect(inner.frequencyHz).toBeCloseTo((ORDERS.bpfi * RPM) / 60, 1);
    expect(Math.abs(inner.foundHz - inner.frequencyHz * 1.01)).toBeLessThan(2 * frequencyStepHz);
    expect(inner.foundAmplitude).toBeGreaterThan(10 * amplitudes[40]!);
    const labels = marks.map(({ label }) => label);
    for (const label of ['shaft 1x', 'BPFO 1x', '2xBSF 2x', 'FTF 1x', 'BPFI 1x -1', 'BPFI 2x +2'])
      expect(labels).toContain(label);
    for (const { frequencyHz, foundHz, toleranceHz } of marks) {
      expect(Math.abs(foundHz - frequencyHz)).toBeLessThanOrEqual(toleranceHz + 3 * frequencyStepHz);
    }
  });

  it('have no marks without a speed, and no lines for a record too short for an envelope', () => {
    expect(amplitudeSpectrum({ samples: noise(4096), sampleRateHz: RATE, unit: 'g' }, WITH_BEARING).marks).toEqual([]);
    const short = envelopeSpectrum({ samples: noise(64), sampleRateHz: RATE, unit: 'g', rpm: RPM }, WITH_BEARING);
    expect(short).toMatchObject({ marks: [], frequencyStepHz: 0, provenance: { envelopeBandSource: 'none' } });
    expect(short.amplitudes).toHaveLength(0);
  });

  it.each([
    ['the speed is not known', WITH_BEARING, undefined, 4096, ['shaft', 'bearing'], /speed is not known/],
    ['the machine stands still', WITH_BEARING, 0, 4096, ['shaft', 'bearing'], /speed is 0 r\/min/],
    ['no bearing is described', BARE, RPM, 25600, ['bearing'], /no bearing .* is described/],
    ['the record is too short for slow lines', WITH_BEARING, RPM, 4096, ['bearing'], /FTF of b1.* too low/],
    ['they lie above the spectrum', WITH_BEARING, 900_000, 4096, ['shaft', 'bearing'], /BPFI of b1.* above the end/],
  ] as const)('say why there is no mark where %s', (_why, context, rpm, length, kinds, reason) => {
    const { marks, unmarked } = amplitudeSpectrum(
      { samples: noise(length), sampleRateHz: RATE, unit: 'g', rpm },
      context,
    );
    expect(new Set(unmarked.map(({ kind }) => kind))).toEqual(new Set(kinds));
    const said = unmarked.map((each) => each.reason).join('; ');
    expect(said).toMatch(reason);
    for (const { label } of marks.filter(({ kind }) => kind !== 'shaft'))
      expect(said).not.toContain(label.split(' ')[0]);
  });

  it('say nothing where all is marked, and why an envelope is missing', () => {
    const waveform = { samples: noise(25_600), sampleRateHz: RATE, unit: 'g', rpm: RPM };
    expect(amplitudeSpectrum(waveform, WITH_BEARING).unmarked).toEqual([]);
    expect(envelopeSpectrum({ ...waveform, samples: noise(64) }, WITH_BEARING).unmarked).toEqual([
      { kind: 'bearing', reason: 'the record is too short for an envelope, or does not move' },
    ]);
  });

  it('of a tone peak at its line with its amplitude, under every taper', () => {
    const tapers = fc.constantFrom('hann', 'flat-top', 'rectangular');
    const lengths = fc.constantFrom(256, 1000, 2560, 4096);
    const amplitude = fc.double({ min: 1e-3, max: 1e3, noNaN: true });
    const phase = fc.double({ min: 0, max: 2 * PI, noNaN: true });
    fc.assert(
      fc.property(
        tapers,
        lengths,
        amplitude,
        phase,
        fc.double({ min: 0.05, max: 0.95, noNaN: true }),
        (taper, n, a, phi, at) => {
          const line = Math.round((at * n) / 2);
          const samples = Float64Array.from({ length: n }, (_, i) => a * sin((2 * PI * line * i) / n + phi));
          const { amplitudes, frequencyStepHz } = amplitudeSpectrum(
            { samples, sampleRateHz: RATE, unit: 'g' },
            withParameters({ taper }),
          );
          expect(frequencyStepHz).toBe(RATE / n);
          expect(amplitudes).toHaveLength(n / 2 + 1);
          expect(amplitudes.indexOf(Math.max(...amplitudes))).toBe(line);
          expect(Math.abs(amplitudes[line]! / a - 1)).toBeLessThan(1e-6);
        },
      ),
    );
  });

  it('of a tone between two lines read its amplitude within 1 % by the flat-top taper and by its main lobe', () => {
    fc.assert(
      fc.property(fc.double({ min: 20, max: 60, noNaN: true }), (frequencyHz) => {
        const samples = Float64Array.from({ length: 25600 }, (_, i) => 2.5 * sin((2 * PI * frequencyHz * i) / RATE));
        const waveform = { samples, sampleRateHz: RATE, unit: 'g', rpm: 60 * frequencyHz };
        const { amplitudes } = amplitudeSpectrum(waveform, withParameters({ taper: 'flat-top' }));
        expect(Math.abs(Math.max(...amplitudes) / 2.5 - 1)).toBeLessThan(0.01);
        expect(Math.abs(computeWaveformFeatures(waveform, BARE).values['shaft_1x_g']! / 2.5 - 1)).toBeLessThan(0.01);
      }),
    );
  });
});

describe('for any record', () => {
  const records = fc
    .record({
      length: fc.integer({ min: 600, max: 3000 }),
      seed: fc.integer({ min: 1, max: 1e6 }),
      drift: fc.integer({ min: -3, max: 3 }),
    })
    .map(({ length, seed, drift }) => noise(length, seed).map((x, i) => x ** 3 + drift * (i / length)));
  const close = (actual: number, expected: number, tolerance: number) =>
    expect(Math.abs(actual - expected)).toBeLessThanOrEqual(tolerance * (Math.abs(expected) + 1e-12));

  it('the lines of the spectrum add up to the mean square (Parseval), with the taper taken out', () => {
    fc.assert(
      fc.property(records, fc.constantFrom('hann', 'flat-top', 'rectangular'), (samples, taper) => {
        const mean = samples.reduce((a, b) => a + b) / samples.length;
        const centred = samples.map((x) => x - mean);
        const { meanSquares } = powerSpectrum(centred, {
          sampleRateHz: RATE,
          taper,
          segmentSamples: samples.length,
          overlap: 0,
        });
        const weights = {
          rectangular: [1],
          hann: [0.5, -0.5],
          'flat-top': [0.21557895, -0.41663158, 0.277263158, -0.083578947, 0.006947368],
        }[taper];
        let weighted = 0;
        let total = 0;
        for (const [i, x] of centred.entries()) {
          const weight = weights.reduce((sum, c, k) => sum + c * cos((2 * PI * k * i) / samples.length), 0);
          weighted += (weight * x) ** 2;
          total += weight ** 2;
        }
        close(
          meanSquares.reduce((a, b) => a + b),
          weighted / total,
          1e-10,
        );
      }),
      { numRuns: 30 },
    );
  });

  it('scaling scales what has a unit and leaves ratios and the chosen band alone', () => {
    fc.assert(
      fc.property(records, fc.double({ min: 1e-4, max: 1e4, noNaN: true }), (samples, factor) => {
        const waveform = { samples, sampleRateHz: RATE, unit: 'g', rpm: RPM };
        const base = computeWaveformFeatures(waveform, WITH_BEARING);
        const scaled = computeWaveformFeatures({ ...waveform, samples: samples.map((x) => factor * x) }, WITH_BEARING);
        expect(scaled.provenance.envelopeBandHz).toEqual(base.provenance.envelopeBandHz);
        for (const [name, value] of Object.entries(base.values)) {
          const expected = name.endsWith('_g') ? factor * value : value;
          expect(Math.abs(scaled.values[name]! - expected)).toBeLessThanOrEqual(
            1e-6 * Math.abs(expected) + 1e-9 * (name.endsWith('_g') ? factor : 1),
          );
        }
      }),
      { numRuns: 50 },
    );
  });

  it('adding a constant changes nothing but the mean', () => {
    fc.assert(
      fc.property(records, fc.integer({ min: -100, max: 100 }), (samples, offset) => {
        const base = valuesOf(samples, WITH_BEARING);
        const moved = valuesOf(
          samples.map((x) => x + offset),
          WITH_BEARING,
        );
        close(moved['mean_g']!, base['mean_g']! + offset, 1e-9);
        for (const [name, value] of Object.entries(base)) {
          if (name !== 'mean_g')
            expect(Math.abs(moved[name]! - value)).toBeLessThanOrEqual(1e-6 * Math.abs(value) + 1e-8);
        }
      }),
      { numRuns: 50 },
    );
  });

  const shift = (samples: Float64Array, by: number) => samples.map((_, i) => samples[(i + by) % samples.length]!);
  const same = (moved: Readonly<Record<string, number>>, base: Readonly<Record<string, number>>, names: string[]) => {
    for (const name of names) {
      const value = base[name]!;
      expect({ name, moved: Math.abs(moved[name]! - value) <= 1e-7 * Math.abs(value) + 1e-9 }).toEqual({
        name,
        moved: true,
      });
    }
  };

  // A shift turns the phases of a record's lines and leaves their magnitudes: exact where there is no taper and no padding, whatever the record.
  it.each([
    ['any length', fc.constantFrom(640, 1000, 2560), 50, ['kurtosis', 'band_500_1000_hz_rms_g']],
    [
      'one that tells velocity and harmonics',
      fc.constant(25600),
      10,
      ['velocity_rms_mm_s', 'shaft_1x_g', 'shaft_5x_g'],
    ],
  ])(
    'a circular shift in time changes, under the rectangular taper, nothing but the envelope: %s',
    (_what, lengths, numRuns, has) => {
      fc.assert(
        fc.property(lengths, fc.integer({ min: 1, max: 1e6 }), fc.nat(25599), (length, seed, by) => {
          const samples = noise(length, seed).map((x) => x ** 3);
          const context = { machine: WITH_BEARING.machine, parameters: { taper: 'rectangular' as const } };
          const [base, moved] = [valuesOf(samples, context), valuesOf(shift(samples, by), context)];
          for (const name of has) expect(base).toHaveProperty([name]);
          same(
            moved,
            base,
            Object.keys(base).filter((name) => !name.startsWith('env_')),
          );
        }),
        { numRuns },
      );
    },
  );

  // The envelope of the whole band has the record's own rate, and its kurtosis half of that: a shift by an even number of samples is one of theirs.
  it('a circular shift in time by whole samples of the envelope changes neither its mean, its RMS nor its kurtosis', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(640, 1000, 2560),
        fc.integer({ min: 1, max: 1e6 }),
        fc.nat(1279),
        (length, seed, by) => {
          const samples = noise(length, seed).map((x) => x ** 3);
          const context = { machine: WITH_BEARING.machine, parameters: { envelopeBandHz: [0, RATE / 2] as const } };
          const [base, moved] = [valuesOf(samples, context), valuesOf(shift(samples, 2 * by), context)];
          same(moved, base, ['env_mean_g', 'env_rms_g', 'env_band_kurtosis']);
        },
      ),
      { numRuns: 50 },
    );
  });

  // |z|^2 of a band has no lines beyond the band's width, and is sampled at least at that: its mean is exact between samples as well.
  it('any circular shift in time leaves the mean square of a band’s envelope as it is', () => {
    const bands = fc.constantFrom([2000, 8000] as const, [3000, 9000] as const, [500, 12000] as const);
    const square = ({ env_mean_g: mean, env_rms_g: rms }: Readonly<Record<string, number>>) => mean! ** 2 + rms! ** 2;
    fc.assert(
      fc.property(bands, fc.integer({ min: 1, max: 1e6 }), fc.nat(2559), (envelopeBandHz, seed, by) => {
        const samples = noise(2560, seed).map((x) => x ** 3);
        const context = { machine: WITH_BEARING.machine, parameters: { envelopeBandHz } };
        close(square(valuesOf(shift(samples, by), context)), square(valuesOf(samples, context)), 1e-9);
      }),
      { numRuns: 50 },
    );
  });

  // A Hann taper spreads each line to its neighbours alone: lines that are further apart do not meet, and their phases do not matter. An envelope
  // 1 + sum m cos of depth below 1 is the modulation itself, without lines beyond it; its fourth power stays below the rate of the kurtosis.
  it('any circular shift in time changes, under the default taper, neither velocity, harmonics, bands nor envelope of lines that are apart', () => {
    const phases = fc.array(fc.double({ min: 0, max: 2 * PI, noNaN: true }), { minLength: 9, maxLength: 9 });
    const amplitudes = fc.array(fc.double({ min: 0.05, max: 0.2, noNaN: true }), { minLength: 9, maxLength: 9 });
    const context = { machine: WITH_BEARING.machine, parameters: { envelopeBandHz: [3000, 5000] as const } };
    const valuesAt = (samples: Float64Array) =>
      computeWaveformFeatures({ samples, sampleRateHz: RATE, unit: 'g', rpm: 1800 }, context).values;
    fc.assert(
      fc.property(phases, amplitudes, fc.nat(25599), (phase, amplitude, by) => {
        const samples = Float64Array.from({ length: 25600 }, (_, i) => {
          const turn = (2 * PI * i) / 25600;
          let shaft = 0;
          for (let k = 1; k <= 5; k++) shaft += amplitude[k - 1]! * sin(30 * k * turn + phase[k - 1]!);
          let modulation = 1;
          // 108 Hz is the outer race's frequency of a 6205 at 30 revolutions a second, but for its slip.
          for (let k = 1; k <= 4; k++) modulation += amplitude[k + 4]! * sin(108 * k * turn + phase[k + 4]!);
          return shaft + modulation * sin(4000 * turn);
        });
        const [base, moved] = [valuesAt(samples), valuesAt(shift(samples, by))];
        expect(base['env_mean_g']).toBeCloseTo(1, 6);
        // Other defects have nothing here but rounding errors, and neither has the background of a ratio.
        const names = Object.keys(base).filter((name) => !/^env_(bpfi|2xbsf|ftf)|_ratio$/.test(name));
        expect(names).toEqual(
          expect.arrayContaining([
            'velocity_rms_mm_s',
            'shaft_5x_g',
            'band_10_100_hz_rms_g',
            'env_rms_g',
            'env_bpfo_g',
          ]),
        );
        same(moved, base, names);
      }),
      { numRuns: 15 },
    );
  });
});
