/**
 * A complex discrete Fourier transform of one length, X[k] = sum x[n] exp(-2 pi i k n / N), in place and unscaled.
 *
 * Mixed radix (5, 3, 4, 2) after Stockham: every stage writes its results in order, so no bit reversal is needed. Values are
 * interleaved (re, im): measured a quarter faster here than two arrays, whose equal strides fall into the same cache sets.
 */
export class ComplexFft {
  readonly size: number;
  readonly #stages: readonly Stage[];
  readonly #scratch: Float64Array;

  /** @throws RangeError when `size` is not a {@link isSmooth} number. */
  constructor(size: number) {
    if (!isSmooth(size)) throw new RangeError(`a transform's length must be a product of 2, 3 and 5, got ${size}`);
    this.size = size;
    this.#stages = planStages(size);
    this.#scratch = new Float64Array(2 * size);
  }

  /** Transforms `2 * size` interleaved values in place. */
  forward(values: Float64Array): void {
    let from = values;
    let to = this.#scratch;
    for (const stage of this.#stages) {
      BUTTERFLIES[stage.radix](stage, from, to);
      [from, to] = [to, from];
    }
    if (from !== values) values.set(from);
  }
}

/**
 * The transform of a real record of even length, by a complex one of half the length: the packed spectrum is taken apart by its
 * symmetry.
 */
export class RealFft {
  readonly size: number;
  readonly #half: ComplexFft;
  readonly #twiddles: Float64Array;

  /** @throws RangeError when `size` is odd or has a prime factor above 5. */
  constructor(size: number) {
    if (size % 2 !== 0) throw new RangeError(`a real transform's length must be even, got ${size}`);
    this.size = size;
    this.#half = new ComplexFft(size / 2);
    this.#twiddles = unitRoots(size, Math.floor(size / 4) + 1);
  }

  /**
   * Transforms in place: takes `size` real values at the start of `values` (length `size + 2`), leaves `size / 2 + 1` interleaved
   * complex values, unscaled.
   */
  forward(values: Float64Array): void {
    const { size } = this;
    this.#half.forward(values.subarray(0, size));
    const dcRe = values[0]!;
    const dcIm = values[1]!;
    values[0] = dcRe + dcIm;
    values[1] = 0;
    values[size] = dcRe - dcIm;
    values[size + 1] = 0;
    const roots = this.#twiddles;
    for (let low = 2, high = size - 2; low <= high; low += 2, high -= 2) {
      const evenRe = 0.5 * (values[low]! + values[high]!);
      const evenIm = 0.5 * (values[low + 1]! - values[high + 1]!);
      const oddRe = 0.5 * (values[low + 1]! + values[high + 1]!);
      const oddIm = 0.5 * (values[high]! - values[low]!);
      const wr = roots[low]!;
      const wi = roots[low + 1]!;
      const turnedRe = oddRe * wr - oddIm * wi;
      const turnedIm = oddRe * wi + oddIm * wr;
      values[low] = evenRe + turnedRe;
      values[low + 1] = evenIm + turnedIm;
      values[high] = evenRe - turnedRe;
      values[high + 1] = turnedIm - evenIm;
    }
  }
}

/** True for the lengths that {@link ComplexFft} takes: 1 and products of 2, 3 and 5. */
export function isSmooth(length: number): boolean {
  if (!Number.isInteger(length) || length < 1) return false;
  let rest = length;
  for (const prime of [2, 3, 5]) while (rest % prime === 0) rest /= prime;
  return rest === 1;
}

/** The smallest even product of 2, 3 and 5 that is at least `length`; these are dense: from 1000 on the padding is below 7 %. */
export function nextEvenSmooth(length: number): number {
  let best = Infinity;
  for (let five = 2; five < best; five *= 5) {
    for (let three = five; three < best; three *= 3) {
      let candidate = three;
      while (candidate < length) candidate *= 2;
      if (candidate < best) best = candidate;
    }
  }
  return best;
}

type Radix = 2 | 3 | 4 | 5;

interface Stage {
  readonly radix: Radix;
  /** Number of butterflies that share a twiddle, times two: the distance of neighbouring outputs. */
  readonly stride: number;
  /** Distance of a butterfly's inputs. */
  readonly span: number;
  /** exp(-2 pi i p k / n) for k = 1..radix-1, row by row of p. */
  readonly twiddles: Float64Array;
}

function planStages(size: number): Stage[] {
  const stages: Stage[] = [];
  let length = size;
  let stride = 1;
  while (length > 1) {
    const radix: Radix = length % 5 === 0 ? 5 : length % 3 === 0 ? 3 : length % 4 === 0 ? 4 : 2;
    const groups = length / radix;
    const twiddles = new Float64Array(2 * groups * (radix - 1));
    const roots = unitRoots(length, length);
    for (let p = 0, t = 0; p < groups; p++) {
      for (let k = 1; k < radix; k++, t += 2) {
        twiddles[t] = roots[2 * p * k]!;
        twiddles[t + 1] = roots[2 * p * k + 1]!;
      }
    }
    stages.push({ radix, stride: 2 * stride, span: 2 * groups * stride, twiddles });
    length = groups;
    stride *= radix;
  }
  return stages;
}

/** exp(-2 pi i k / n) for k = 0..count-1, interleaved. */
function unitRoots(n: number, count: number): Float64Array {
  const roots = new Float64Array(2 * count);
  for (let k = 0; k < count; k++) {
    roots[2 * k] = Math.cos((2 * Math.PI * k) / n);
    roots[2 * k + 1] = -Math.sin((2 * Math.PI * k) / n);
  }
  return roots;
}

type Butterfly = (stage: Stage, x: Float64Array, y: Float64Array) => void;

const BUTTERFLIES: Readonly<Record<Radix, Butterfly>> = { 2: radix2, 3: radix3, 4: radix4, 5: radix5 };

// Radix 2 comes last by the order of the factors, where the only twiddle is 1.
function radix2(stage: Stage, x: Float64Array, y: Float64Array): void {
  const { stride } = stage;
  for (let i = 0; i < stride; i += 2) {
    const ar = x[i]!;
    const ai = x[i + 1]!;
    const br = x[i + stride]!;
    const bi = x[i + stride + 1]!;
    y[i] = ar + br;
    y[i + 1] = ai + bi;
    y[i + stride] = ar - br;
    y[i + stride + 1] = ai - bi;
  }
}

function radix4(stage: Stage, x: Float64Array, y: Float64Array): void {
  const { stride, span, twiddles } = stage;
  if (span === stride) {
    lastRadix4(stride, x, y);
    return;
  }
  for (let start = 0, t = 0; start < span; start += stride, t += 6) {
    const w1r = twiddles[t]!;
    const w1i = twiddles[t + 1]!;
    const w2r = twiddles[t + 2]!;
    const w2i = twiddles[t + 3]!;
    const w3r = twiddles[t + 4]!;
    const w3i = twiddles[t + 5]!;
    const end = start + stride;
    for (let i = start, o = 4 * start; i < end; i += 2, o += 2) {
      const i1 = i + span;
      const i2 = i1 + span;
      const i3 = i2 + span;
      const ar = x[i]!;
      const ai = x[i + 1]!;
      const br = x[i1]!;
      const bi = x[i1 + 1]!;
      const cr = x[i2]!;
      const ci = x[i2 + 1]!;
      const dr = x[i3]!;
      const di = x[i3 + 1]!;
      const sumACr = ar + cr;
      const sumACi = ai + ci;
      const difACr = ar - cr;
      const difACi = ai - ci;
      const sumBDr = br + dr;
      const sumBDi = bi + di;
      const difBDr = br - dr;
      const difBDi = bi - di;
      const o1 = o + stride;
      const o2 = o1 + stride;
      const o3 = o2 + stride;
      y[o] = sumACr + sumBDr;
      y[o + 1] = sumACi + sumBDi;
      const r1 = difACr + difBDi;
      const s1 = difACi - difBDr;
      y[o1] = r1 * w1r - s1 * w1i;
      y[o1 + 1] = r1 * w1i + s1 * w1r;
      const r2 = sumACr - sumBDr;
      const s2 = sumACi - sumBDi;
      y[o2] = r2 * w2r - s2 * w2i;
      y[o2 + 1] = r2 * w2i + s2 * w2r;
      const r3 = difACr - difBDi;
      const s3 = difACi + difBDr;
      y[o3] = r3 * w3r - s3 * w3i;
      y[o3 + 1] = r3 * w3i + s3 * w3r;
    }
  }
}

// All twiddles are 1 in the last stage: worth a sixth of a transform.
function lastRadix4(stride: number, x: Float64Array, y: Float64Array): void {
  for (let i = 0; i < stride; i += 2) {
    const i1 = i + stride;
    const i2 = i1 + stride;
    const i3 = i2 + stride;
    const ar = x[i]!;
    const ai = x[i + 1]!;
    const br = x[i1]!;
    const bi = x[i1 + 1]!;
    const cr = x[i2]!;
    const ci = x[i2 + 1]!;
    const dr = x[i3]!;
    const di = x[i3 + 1]!;
    y[i] = ar + cr + (br + dr);
    y[i + 1] = ai + ci + (bi + di);
    y[i1] = ar - cr + (bi - di);
    y[i1 + 1] = ai - ci - (br - dr);
    y[i2] = ar + cr - (br + dr);
    y[i2 + 1] = ai + ci - (bi + di);
    y[i3] = ar - cr - (bi - di);
    y[i3 + 1] = ai - ci + (br - dr);
  }
}

const SIN_60 = Math.sqrt(3) / 2;

function radix3(stage: Stage, x: Float64Array, y: Float64Array): void {
  const { stride, span, twiddles } = stage;
  for (let start = 0, t = 0; start < span; start += stride, t += 4) {
    const end = start + stride;
    for (let i = start, o = 3 * start; i < end; i += 2, o += 2) {
      const i1 = i + span;
      const i2 = i1 + span;
      const sumR = x[i1]! + x[i2]!;
      const sumI = x[i1 + 1]! + x[i2 + 1]!;
      const difR = SIN_60 * (x[i1]! - x[i2]!);
      const difI = SIN_60 * (x[i1 + 1]! - x[i2 + 1]!);
      const midR = x[i]! - 0.5 * sumR;
      const midI = x[i + 1]! - 0.5 * sumI;
      y[o] = x[i]! + sumR;
      y[o + 1] = x[i + 1]! + sumI;
      turned(y, o + stride, midR + difI, midI - difR, twiddles, t);
      turned(y, o + 2 * stride, midR - difI, midI + difR, twiddles, t + 2);
    }
  }
}

const COS_72 = Math.cos((2 * Math.PI) / 5);
const SIN_72 = Math.sin((2 * Math.PI) / 5);
const COS_144 = Math.cos((4 * Math.PI) / 5);
const SIN_144 = Math.sin((4 * Math.PI) / 5);

function radix5(stage: Stage, x: Float64Array, y: Float64Array): void {
  const { stride, span, twiddles } = stage;
  for (let start = 0, t = 0; start < span; start += stride, t += 8) {
    const end = start + stride;
    for (let i = start, o = 5 * start; i < end; i += 2, o += 2) {
      const i1 = i + span;
      const i2 = i1 + span;
      const i3 = i2 + span;
      const i4 = i3 + span;
      const ar = x[i]!;
      const ai = x[i + 1]!;
      const sum1R = x[i1]! + x[i4]!;
      const sum1I = x[i1 + 1]! + x[i4 + 1]!;
      const dif1R = x[i1]! - x[i4]!;
      const dif1I = x[i1 + 1]! - x[i4 + 1]!;
      const sum2R = x[i2]! + x[i3]!;
      const sum2I = x[i2 + 1]! + x[i3 + 1]!;
      const dif2R = x[i2]! - x[i3]!;
      const dif2I = x[i2 + 1]! - x[i3 + 1]!;
      const mid1R = ar + COS_72 * sum1R + COS_144 * sum2R;
      const mid1I = ai + COS_72 * sum1I + COS_144 * sum2I;
      const mid2R = ar + COS_144 * sum1R + COS_72 * sum2R;
      const mid2I = ai + COS_144 * sum1I + COS_72 * sum2I;
      const rot1R = SIN_72 * dif1R + SIN_144 * dif2R;
      const rot1I = SIN_72 * dif1I + SIN_144 * dif2I;
      const rot2R = SIN_144 * dif1R - SIN_72 * dif2R;
      const rot2I = SIN_144 * dif1I - SIN_72 * dif2I;
      y[o] = ar + sum1R + sum2R;
      y[o + 1] = ai + sum1I + sum2I;
      turned(y, o + stride, mid1R + rot1I, mid1I - rot1R, twiddles, t);
      turned(y, o + 2 * stride, mid2R + rot2I, mid2I - rot2R, twiddles, t + 2);
      turned(y, o + 3 * stride, mid2R - rot2I, mid2I + rot2R, twiddles, t + 4);
      turned(y, o + 4 * stride, mid1R - rot1I, mid1I + rot1R, twiddles, t + 6);
    }
  }
}

function turned(y: Float64Array, at: number, re: number, im: number, twiddles: Float64Array, t: number): void {
  const wr = twiddles[t]!;
  const wi = twiddles[t + 1]!;
  y[at] = re * wr - im * wi;
  y[at + 1] = re * wi + im * wr;
}
