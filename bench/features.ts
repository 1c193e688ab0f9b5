import { createRequire } from 'node:module';
import { RealFft } from '#core/features/fft.ts';
import { computeWaveformFeatures, type FeatureContext } from '#core/features/waveform-features.ts';
import { RollingWindows } from '#core/features/windows.ts';
import { createRandom } from '#services/edge-simulator/signal/random.ts';

export interface FeaturesBenchOptions {
  /** Timings of each thing; the median counts. */
  readonly rounds?: number;
  readonly lengths?: readonly number[];
}

/** Medians, in microseconds. */
export interface WaveformTiming {
  readonly points: number;
  readonly fullSetUs: number;
  /** Our transform of exactly this length: the one that the features use. */
  readonly bareFftUs: number;
  /** fft.js on the next power of two, for comparison: at 4096 points the same work. */
  readonly fftJsUs: number;
  readonly fftJsPoints: number;
  /** Full set over the bare transform; where fft.js does the same length faster, over that. */
  readonly ratio: number;
  /** The same of the shortest times instead of the medians: what other load on the machine hardly touches. */
  readonly undisturbedRatio: number;
  readonly features: number;
}

export interface FeaturesBenchResult {
  readonly waveforms: readonly WaveformTiming[];
  readonly windows: {
    readonly machines: number;
    readonly metrics: number;
    /** Hopping windows, 60 s every 10 s, each series at 1 Hz. */
    readonly nsPerReading: number;
    readonly results: number;
  };
}

/** Times the full feature set against a bare transform of the same record, taken in turns, and the update of rolling windows. */
export async function runFeaturesBench(options: FeaturesBenchOptions = {}): Promise<FeaturesBenchResult> {
  const { rounds = 300, lengths = [4096, 25_600] } = options;
  return { waveforms: lengths.map((points) => timeWaveform(points, rounds)), windows: timeWindows() };
}

const MACHINE: FeatureContext = {
  machine: {
    powerKw: 75,
    nominalRpm: 1797,
    support: 'rigid',
    bearings: [{ designation: '6205', elements: 9, elementDiameterMm: 7.94, pitchDiameterMm: 39.04 }],
  },
};
const SAMPLE_RATE_HZ = 25_600;

function timeWaveform(points: number, rounds: number): WaveformTiming {
  const samples = bearingSignal(points);
  const waveform = { samples, sampleRateHz: SAMPLE_RATE_HZ, unit: 'g', rpm: 1797 };
  const plan = new RealFft(points);
  const values = new Float64Array(points + 2);
  const reference = fftJs(2 ** Math.ceil(Math.log2(points)));
  const referenceInput = new Float64Array(reference.size);
  referenceInput.set(samples);
  const timings = { full: new Float64Array(rounds), bare: new Float64Array(rounds), fftJs: new Float64Array(rounds) };
  let features = 0;
  // The first rounds, in which the compiler is still at work, are not counted.
  for (let round = -Math.min(100, rounds); round < rounds; round++) {
    const full = elapsedUs(() => {
      features = Object.keys(computeWaveformFeatures(waveform, MACHINE).values).length;
    });
    values.set(samples);
    const bare = elapsedUs(() => plan.forward(values));
    const compared = elapsedUs(() => reference.transform(referenceInput));
    if (round < 0) continue;
    timings.full[round] = full;
    timings.bare[round] = bare;
    timings.fftJs[round] = compared;
  }
  const samePoints = reference.size === points;
  const ratioOf = (typical: (times: Float64Array) => number): number =>
    typical(timings.full) / Math.min(typical(timings.bare), samePoints ? typical(timings.fftJs) : Infinity);
  return {
    points,
    fullSetUs: median(timings.full),
    bareFftUs: median(timings.bare),
    fftJsUs: median(timings.fftJs),
    fftJsPoints: reference.size,
    ratio: ratioOf(median),
    undisturbedRatio: ratioOf((times) => Math.min(...times)),
    features,
  };
}

function timeWindows(): FeaturesBenchResult['windows'] {
  const machines = Array.from({ length: 200 }, (_, i) => `machine-${i}`);
  const metrics = Array.from({ length: 10 }, (_, i) => `metric-${i}`);
  let results = 0;
  const windows = new RollingWindows(
    { sizeMs: 60_000, hopMs: 10_000, watermarkDelayMs: 2000, allowedLatenessMs: 60_000, maxSeries: 2000 },
    () => {
      results++;
    },
  );
  let second = 0;
  const run = (seconds: number): void => {
    for (const until = second + seconds; second < until; second++) {
      const timestampMs = 1_700_000_000_000 + 1000 * second;
      for (const [m, machine] of machines.entries()) {
        for (const [k, metric] of metrics.entries()) windows.update(machine, metric, timestampMs, second + m * k);
      }
    }
  };
  run(30);
  const seconds = 120;
  const us = elapsedUs(() => run(seconds));
  const nsPerReading = (1000 * us) / (seconds * machines.length * metrics.length);
  return { machines: machines.length, metrics: metrics.length, nsPerReading, results };
}

/** Impacts of an outer race defect in noise, deterministic. */
function bearingSignal(points: number): Float64Array {
  const random = createRandom('bearing');
  const defectHz = (3.585 * 1797) / 60;
  return Float64Array.from({ length: points }, (_, i) => {
    const t = i / SAMPLE_RATE_HZ;
    const since = ((t * defectHz) % 1) / defectHz;
    const shaft = 0.1 * Math.sin((2 * Math.PI * 1797 * t) / 60);
    return shaft + 0.15 * random.gaussian() + 0.5 * Math.exp(-800 * since) * Math.sin(21_363 * since);
  });
}

interface FftJs {
  createComplexArray(): number[];
  realTransform(out: number[], data: Float64Array): void;
}

function fftJs(size: number): { readonly size: number; transform: (input: Float64Array) => void } {
  // The package has no types.
  const Fft = createRequire(import.meta.url)('fft.js') as new (size: number) => FftJs;
  const fft = new Fft(size);
  const out = fft.createComplexArray();
  return { size, transform: (input) => fft.realTransform(out, input) };
}

function elapsedUs(work: () => void): number {
  const begin = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - begin) / 1000;
}

function median(values: Float64Array): number {
  return values.toSorted()[values.length >> 1]!;
}

/** The result as text. */
export function featuresBenchTable({ waveforms, windows }: FeaturesBenchResult): string {
  const rows = waveforms.map(
    ({ points, features, fullSetUs, bareFftUs, fftJsUs, fftJsPoints, ratio, undisturbedRatio }) =>
      [
        `${points} points`.padStart(14),
        `${features} features`.padStart(12),
        `${fullSetUs.toFixed(0)} us`.padStart(9),
        `bare FFT ${bareFftUs.toFixed(1)} us`.padStart(18),
        `fft.js at ${fftJsPoints} ${fftJsUs.toFixed(1)} us`.padStart(26),
        `ratio ${ratio.toFixed(1)}`.padStart(11),
        `undisturbed ${undisturbedRatio.toFixed(1)}`.padStart(17),
      ].join('  '),
  );
  const { machines, metrics, nsPerReading } = windows;
  return [
    ...rows,
    `rolling windows, ${machines} machines x ${metrics} metrics: ${nsPerReading.toFixed(0)} ns a reading`,
  ].join('\n');
}

if (import.meta.main) {
  const result = await runFeaturesBench();
  process.stdout.write(`${JSON.stringify(result)}\n${featuresBenchTable(result)}\n`);
}
