import { nextEvenSmooth } from './fft.ts';
import { powerSpectrum, type PowerSpectrum } from './power-spectrum.ts';
import { buffer, complexFft, realFft } from './transform-cache.ts';

/** The unwindowed transform of a record; its bands are the record's own, so their envelopes are those of the record. */
export interface RecordTransform {
  /** `size / 2 + 1` interleaved complex values, unscaled; good until the next record is transformed. */
  readonly values: Float64Array;
  readonly size: number;
  readonly samples: number;
  readonly sampleRateHz: number;
}

/** Transforms a record whose mean has been taken off, zero padded to the next fast length. */
export function transformRecord(centred: Float64Array, sampleRateHz: number): RecordTransform {
  const samples = centred.length;
  const size = nextEvenSmooth(samples);
  const values = buffer('record', size + 2);
  values.set(centred);
  values.fill(0, samples);
  realFft(size).forward(values);
  return { values, size, samples, sampleRateHz };
}

/** A band of a {@link RecordTransform}, in its lines: `first` and the `lines` from there. */
export interface Band {
  readonly first: number;
  readonly lines: number;
  /** Spectral kurtosis of the band's complex envelope, E|z|^4 / E|z|^2 ^2 - 2: 0 for Gaussian noise, -1 for a tone, large for impacts. */
  readonly kurtosis: number;
}

/** Fewest samples a band's envelope may have: below this the kurtosis is mostly chance (its deviation is about 2 / sqrt(samples)). */
const MIN_BAND_SAMPLES = 128;

/**
 * The band with the largest spectral kurtosis: the one in which impacts stand out most from what else vibrates there (after Antoni's
 * fast kurtogram: J. Antoni, "Fast computation of the kurtogram for the detection of transient faults", MSSP 21, 2007). The
 * candidates are the whole spectrum and its halves, thirds, quarters, sixths... down to `levels` halvings. Each is cut out of the
 * record's transform and brought back to time at its own bandwidth, so a level costs about one transform however many bands it has.
 *
 * @param minWidthHz No narrower band is tried: an envelope holds no frequency above its band's width.
 * @returns `undefined` when the record is too short, or does not move.
 */
export function mostImpulsiveBand(record: RecordTransform, levels: number, minWidthHz: number): Band | undefined {
  const lines = record.size / 2;
  const lineHz = record.sampleRateHz / record.size;
  let best: Band | undefined;
  for (const count of bandCounts(levels)) {
    const width = Math.floor(lines / count);
    if (count > 1 && width * lineHz < minWidthHz) continue;
    if (width * (record.samples / record.size) < MIN_BAND_SAMPLES) continue;
    for (let index = 0; index < count; index++) {
      const first = index * width;
      const kurtosis = bandKurtosis(record, first, width);
      if (kurtosis !== undefined && !(best && best.kurtosis >= kurtosis)) best = { first, lines: width, kurtosis };
    }
  }
  return best;
}

/** A band given in hertz; `undefined` when it holds too few lines or does not move. */
export function fixedBand(record: RecordTransform, lowHz: number, highHz: number): Band | undefined {
  const lineHz = record.sampleRateHz / record.size;
  const first = Math.max(0, Math.round(lowHz / lineHz));
  const lines = Math.min(record.size / 2, Math.round(highHz / lineHz)) - first;
  if (lines * (record.samples / record.size) < MIN_BAND_SAMPLES) return undefined;
  const kurtosis = bandKurtosis(record, first, lines);
  return kurtosis === undefined ? undefined : { first, lines, kurtosis };
}

/** The envelope of a band, demodulated. */
export interface Envelope {
  readonly mean: number;
  /** RMS about the mean. */
  readonly rms: number;
  /** Of the envelope less its mean, with a Hann taper; holds lines up to the band's width. */
  readonly spectrum: PowerSpectrum;
}

/** The envelope's rate, in its band's width: twice would hold |z|^2 whole, but |z| reaches higher; at four times its aliases are small. */
const ENVELOPE_OVERSAMPLING = 4;

/** Envelope |z| of the analytic signal of a band, and its spectrum. */
export function bandEnvelope(record: RecordTransform, band: Band): Envelope {
  const size = Math.min(record.size, nextEvenSmooth(ENVELOPE_OVERSAMPLING * band.lines));
  const analytic = analyticBand(record, band.first, band.lines, size);
  const samples = Math.floor((size * record.samples) / record.size);
  const envelope = buffer('envelope', size).subarray(0, samples);
  const scale = 2 / record.size;
  let sum = 0;
  for (let n = 0; n < samples; n++) {
    const magnitude = scale * Math.sqrt(analytic[2 * n]! ** 2 + analytic[2 * n + 1]! ** 2);
    envelope[n] = magnitude;
    sum += magnitude;
  }
  const mean = sum / samples;
  let sumOfSquares = 0;
  for (let n = 0; n < samples; n++) {
    const deviation = envelope[n]! - mean;
    envelope[n] = deviation;
    sumOfSquares += deviation * deviation;
  }
  const whole = powerSpectrum(envelope, {
    sampleRateHz: (record.sampleRateHz * size) / record.size,
    taper: 'hann',
    segmentSamples: samples,
    overlap: 0,
    transformSize: size,
  });
  const spectrum = { ...whole, meanSquares: whole.meanSquares.subarray(0, Math.min(band.lines, size / 2)) };
  return { mean, rms: Math.sqrt(sumOfSquares / samples), spectrum };
}

function* bandCounts(levels: number): Generator<number> {
  yield 1;
  for (let level = 1; level <= levels; level++) {
    yield 2 ** level;
    yield 3 * 2 ** (level - 1);
  }
}

function bandKurtosis(record: RecordTransform, first: number, lines: number): number | undefined {
  const size = nextEvenSmooth(lines);
  const analytic = analyticBand(record, first, lines, size);
  const samples = Math.floor((size * record.samples) / record.size);
  let sum2 = 0;
  let sum4 = 0;
  for (let n = 0; n < samples; n++) {
    const power = analytic[2 * n]! ** 2 + analytic[2 * n + 1]! ** 2;
    sum2 += power;
    sum4 += power * power;
  }
  const kurtosis = (sum4 * samples) / (sum2 * sum2) - 2;
  return Number.isFinite(kurtosis) ? kurtosis : undefined;
}

/**
 * The analytic signal of a band at `size` points over the (padded) record, moved down to zero frequency and unscaled. Only its
 * magnitude is meant: the conjugate of the inverse transform is the transform of the conjugate, and that is what this returns.
 */
function analyticBand(record: RecordTransform, first: number, lines: number, size: number): Float64Array {
  const analytic = buffer('analytic', 2 * size);
  const { values } = record;
  for (let k = 0, i = 2 * first; k < 2 * lines; k += 2, i += 2) {
    analytic[k] = values[i]!;
    analytic[k + 1] = -values[i + 1]!;
  }
  analytic.fill(0, 2 * lines);
  complexFft(size).forward(analytic);
  return analytic;
}
