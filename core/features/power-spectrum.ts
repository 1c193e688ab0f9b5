import { nextEvenSmooth } from './fft.ts';
import { buffer, realFft, taperOf, type TaperKind } from './transform-cache.ts';

/** A one-sided power spectrum of a record, averaged over its segments; line k is at `k * stepHz`. */
export interface PowerSpectrum {
  /** What each line adds to the record's mean square: the sum over all lines is the mean square (Parseval, taper corrected). */
  readonly meanSquares: Float64Array;
  readonly stepHz: number;
  /** Distance at which two tones begin to be told apart: sample rate over segment length, without zero padding. */
  readonly resolutionHz: number;
  /** Half the width of a tone's main lobe, in lines. */
  readonly lobeLines: number;
  /** A tone of amplitude a at a line reads a^2 = amplitudeFactor * meanSquares there (half of it at DC and at half the sample rate). */
  readonly amplitudeFactor: number;
  /** The line at half the sample rate; beyond the end when the upper lines were left out. */
  readonly nyquistLine: number;
}

export interface PowerSpectrumOptions {
  readonly sampleRateHz: number;
  readonly taper: TaperKind;
  readonly segmentSamples: number;
  readonly overlap: number;
  /** Length of the transform; the next fast length from `segmentSamples` when absent. */
  readonly transformSize?: number;
}

/** Power spectrum of a record whose mean has been taken off. Segments that would reach past the end are left out, as Welch does. */
export function powerSpectrum(centred: Float64Array, options: PowerSpectrumOptions): PowerSpectrum {
  const { sampleRateHz, segmentSamples, overlap } = options;
  const size = options.transformSize ?? nextEvenSmooth(segmentSamples);
  const taper = taperOf(options.taper, segmentSamples);
  const plan = realFft(size);
  const work = buffer('segment', size + 2);
  const meanSquares = new Float64Array(size / 2 + 1);
  const hop = Math.max(1, Math.round(segmentSamples * (1 - overlap)));
  const segments = 1 + Math.floor((centred.length - segmentSamples) / hop);
  for (let segment = 0; segment < segments; segment++) {
    const start = segment * hop;
    const { weights } = taper;
    for (let i = 0; i < segmentSamples; i++) work[i] = centred[start + i]! * weights[i]!;
    work.fill(0, segmentSamples);
    plan.forward(work);
    addPower(work, meanSquares, 2 / (size * taper.sumOfSquares * segments));
  }
  // The first and the last line have no mirror image at a negative frequency.
  meanSquares[0]! /= 2;
  meanSquares[size / 2]! /= 2;
  return {
    meanSquares,
    stepHz: sampleRateHz / size,
    resolutionHz: sampleRateHz / segmentSamples,
    lobeLines: Math.ceil((taper.lobeLines * size) / segmentSamples),
    amplitudeFactor: (2 * size * taper.sumOfSquares) / (taper.sum * taper.sum),
    nyquistLine: size / 2,
  };
}

/** Peak amplitude of a tone at each line. */
export function lineAmplitudes(spectrum: PowerSpectrum): Float64Array {
  const { meanSquares, amplitudeFactor, nyquistLine } = spectrum;
  return meanSquares.map((meanSquare, k) => {
    const mirrored = k > 0 && k < nyquistLine;
    return Math.sqrt(meanSquare * (mirrored ? amplitudeFactor : amplitudeFactor / 2));
  });
}

/** Mean square of the lines from `lowHz` to below `highHz` (with the end when `includeHigh`). */
export function bandMeanSquare(spectrum: PowerSpectrum, lowHz: number, highHz: number, includeHigh = false): number {
  const { meanSquares, stepHz } = spectrum;
  const first = firstLineFrom(lowHz, stepHz);
  const end = Math.min(
    includeHigh ? lastLineUpTo(highHz, stepHz) + 1 : firstLineFrom(highHz, stepHz),
    meanSquares.length,
  );
  let sum = 0;
  for (let k = first; k < end; k++) sum += meanSquares[k]!;
  return sum;
}

// A line that falls on a band's edge must not change sides by a rounding error of its frequency.
const LINE_ROUNDING = 1e-9;

export function firstLineFrom(frequencyHz: number, stepHz: number): number {
  return Math.max(0, Math.ceil(frequencyHz / stepHz - LINE_ROUNDING));
}

export function lastLineUpTo(frequencyHz: number, stepHz: number): number {
  return Math.floor(frequencyHz / stepHz + LINE_ROUNDING);
}

/** A tone as it was found in a spectrum. */
export interface Tone {
  readonly frequencyHz: number;
  /** From the energy of the whole main lobe, so it does not depend on where between two lines the tone lies. */
  readonly amplitude: number;
}

/** The strongest line within `halfWidthHz` of a frequency (at least the nearest line), with the energy of its main lobe. */
export function strongestTone(spectrum: PowerSpectrum, frequencyHz: number, halfWidthHz: number): Tone {
  const { meanSquares, stepHz, lobeLines } = spectrum;
  const last = meanSquares.length - 1;
  const nearest = Math.min(last, Math.round(frequencyHz / stepHz));
  const from = Math.min(nearest, firstLineFrom(frequencyHz - halfWidthHz, stepHz));
  const to = Math.min(last, Math.max(nearest, lastLineUpTo(frequencyHz + halfWidthHz, stepHz)));
  let peak = from;
  for (let k = from + 1; k <= to; k++) if (meanSquares[k]! > meanSquares[peak]!) peak = k;
  let energy = 0;
  for (let k = Math.max(0, peak - lobeLines); k <= Math.min(last, peak + lobeLines); k++) energy += meanSquares[k]!;
  return { frequencyHz: peak * stepHz, amplitude: Math.sqrt(2 * energy) };
}

function addPower(transform: Float64Array, into: Float64Array, factor: number): void {
  for (let k = 0, i = 0; k < into.length; k++, i += 2) {
    const re = transform[i]!;
    const im = transform[i + 1]!;
    into[k]! += factor * (re * re + im * im);
  }
}
