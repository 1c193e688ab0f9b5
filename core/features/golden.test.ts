import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import {
  amplitudeSpectrum,
  computeWaveformFeatures,
  envelopeSpectrum,
  type WaveformInput,
} from './waveform-features.ts';
import type { BearingGeometry } from './bearing.ts';

// Reference values of NumPy and SciPy, by test/golden/regenerate_features.py.
const FOLDER = join(import.meta.dirname, '..', '..', 'test', 'golden', 'features');
const cases = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.json'))
  .map((file) => [file.replace('.json', ''), JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as Golden] as const);

describe.each(cases)('golden values of %s', (_, golden) => {
  const waveform = decode(golden.waveform);
  const machine = { bearings: [golden.bearing] };
  const suffix = { g: 'g', 'm/s2': 'm_s2', 'mm/s': 'mm_s' }[golden.waveform.unit];
  const inBand = { envelopeBandHz: golden.envelope.bandHz };
  const { values, provenance } = computeWaveformFeatures(waveform, { machine, parameters: inBand });

  it('time statistics agree with SciPy', () => {
    for (const [name, expected] of Object.entries(golden.time)) {
      const dimensioned = ['mean', 'rms', 'peak', 'peak_to_peak'].includes(name);
      expectRelative(values[dimensioned ? `${name}_${suffix}` : name], expected, 1e-10);
    }
  });

  it('band levels agree with the periodogram', () => {
    for (const [low, expected] of Object.entries(golden.bandRmsFromHz)) {
      const name = Object.keys(values).find((key) => key.startsWith(`band_${low}_`));
      expectRelative(values[name ?? ''], expected, 1e-9);
    }
    const bands = Object.keys(values).filter((name) => name.startsWith('band_'));
    expect(bands).toHaveLength(Object.keys(golden.bandRmsFromHz).length);
  });

  it('velocity RMS agrees with integration of the periodogram', () => {
    if (golden.velocityRmsMmPerS === null) expect(values).not.toHaveProperty('velocity_rms_mm_s');
    else expectRelative(values['velocity_rms_mm_s'], golden.velocityRmsMmPerS, 1e-9);
  });

  it.each(['hann', 'flat-top'] as const)('the %s amplitude spectrum agrees with Welch', (taper) => {
    const { segmentSamples, overlap, every, stepHz, hann, flatTop } = golden.amplitude;
    const parameters = { taper, segmentSamples, segmentOverlap: overlap };
    const { amplitudes, frequencyStepHz } = amplitudeSpectrum(waveform, { machine, parameters });
    expectRelative(frequencyStepHz, stepHz, 1e-12);
    const expected = taper === 'hann' ? hann : flatTop;
    // Less than a millionth of the largest line: there both sides are left with their rounding.
    const floor = 1e-6 * Math.max(...expected);
    for (const [i, amplitude] of expected.entries()) {
      expect(Math.abs(amplitudes[i * every]! - amplitude)).toBeLessThan(1e-9 * amplitude + 1e-3 * floor);
    }
  });

  it('the transform length and the spectral kurtosis of the band agree', () => {
    expect(provenance.zeroPaddedTo).toBe(golden.zeroPaddedTo);
    expectRelative(values['env_band_kurtosis'], golden.envelope.spectralKurtosis, 1e-8);
  });

  it("the envelope agrees with SciPy's Hilbert transform at the full rate", () => {
    // Ours is taken at four times the band's width: what |z| holds above twice that width is lost, about a thousandth here.
    expectRelative(values[`env_mean_${suffix}`], golden.envelope.mean, 2e-3);
    expectRelative(values[`env_rms_${suffix}`], golden.envelope.rms, 5e-3);
    const { amplitudes, frequencyStepHz } = envelopeSpectrum(waveform, { machine, parameters: inBand });
    expectRelative(frequencyStepHz, golden.envelope.stepHz, 1e-12);
    for (const [line, amplitude] of golden.envelope.strongest) expectRelative(amplitudes[line], amplitude, 2e-2);
  });

  const families = Object.entries(golden.envelope.defects);
  const marks = envelopeSpectrum(waveform, { machine, parameters: inBand }).marks;

  for (const [kind, family] of families) {
    it(`the amplitudes at ${kind} and its sidebands agree with the main lobes of SciPy’s periodogram`, () => {
      const found = marks.filter((mark) => mark.kind === kind);
      const lines = found.map(({ harmonic, sideband }) => [harmonic, sideband]);
      expect(lines).toEqual((family?.lines ?? []).map(([harmonic, sideband]) => [harmonic, sideband]));
      expectOptional(values[`env_${kind}_${suffix}`], family?.amplitude, 1e-2);
      expectOptional(values[`env_${kind}_sideband_${suffix}`], family?.sidebandAmplitude ?? undefined, 1e-2);
      const strongest = Math.max(...(family?.lines ?? []).map(([, , , amplitude]) => amplitude));
      for (const [i, [, , hz, amplitude]] of (family?.lines ?? []).entries()) {
        expectRelative(found[i]?.foundHz, hz, 1e-9);
        expect(Math.abs(found[i]!.foundAmplitude - amplitude)).toBeLessThan(1e-2 * strongest);
      }
    });
  }
});

interface Golden {
  readonly waveform: {
    readonly codes: string;
    readonly scale: number;
    readonly sampleRateHz: number;
    readonly unit: 'g' | 'm/s2' | 'mm/s';
    readonly rpm: number;
  };
  readonly bearing: BearingGeometry;
  readonly zeroPaddedTo: number;
  readonly time: Readonly<Record<string, number>>;
  readonly bandRmsFromHz: Readonly<Record<string, number>>;
  readonly velocityRmsMmPerS: number | null;
  readonly amplitude: {
    readonly segmentSamples: number;
    readonly overlap: number;
    readonly stepHz: number;
    readonly every: number;
    readonly hann: readonly number[];
    readonly flatTop: readonly number[];
  };
  readonly envelope: {
    readonly bandHz: readonly [number, number];
    readonly spectralKurtosis: number;
    readonly mean: number;
    readonly rms: number;
    readonly stepHz: number;
    readonly strongest: readonly (readonly [number, number])[];
    /** By kind; null: the record is too short to tell its lines apart. */
    readonly defects: Readonly<Record<string, DefectFamily | null>>;
  };
}

interface DefectFamily {
  readonly amplitude: number;
  readonly sidebandAmplitude: number | null;
  readonly lines: readonly (readonly [harmonic: number, sideband: number, hz: number, amplitude: number])[];
}

function decode({ codes, scale, sampleRateHz, unit, rpm }: Golden['waveform']): WaveformInput {
  const bytes = Buffer.from(codes, 'base64');
  const samples = Float64Array.from({ length: bytes.length / 2 }, (_, i) => scale * bytes.readInt16LE(2 * i));
  return { samples, sampleRateHz, unit, rpm };
}

function expectRelative(actual: number | undefined, expected: number, tolerance: number): void {
  expect(Math.abs((actual ?? NaN) - expected)).toBeLessThanOrEqual(tolerance * Math.abs(expected));
}

function expectOptional(actual: number | undefined, expected: number | undefined, tolerance: number): void {
  if (expected === undefined) expect(actual).toBeUndefined();
  else expectRelative(actual, expected, tolerance);
}
