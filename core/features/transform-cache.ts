import { ComplexFft, RealFft } from './fft.ts';

/** Tapers of a record before its transform, in the periodic form (the one whose next sample would be the first again). */
export type TaperKind = 'hann' | 'flat-top' | 'rectangular';

export interface Taper {
  readonly weights: Float64Array;
  readonly sum: number;
  readonly sumOfSquares: number;
  /** Half the width of a tone's main lobe, in lines of an unpadded spectrum. */
  readonly lobeLines: number;
}

/**
 * Plans, tapers and buffers that are kept between calls, so that a stream of equally long records allocates next to nothing. The least
 * recently used go first once the cache holds {@link MAX_CACHED_VALUES} numbers. A buffer's content is only good until the next
 * request for the same purpose and length: callers are synchronous and do not hold on to it.
 */
const cache = new Map<string, { readonly value: unknown; readonly weight: number }>();
let cachedValues = 0;

/** 4 M numbers, 32 MiB. Something larger is made for the one call and not kept. */
export const MAX_CACHED_VALUES = 4_194_304;

export function realFft(size: number): RealFft {
  return cached(`real:${size}`, 5 * size, () => new RealFft(size));
}

export function complexFft(size: number): ComplexFft {
  return cached(`complex:${size}`, 6 * size, () => new ComplexFft(size));
}

export function taperOf(kind: TaperKind, length: number): Taper {
  return cached(`taper:${kind}:${length}`, length, () => makeTaper(kind, length));
}

/** A buffer of at least `length` numbers of any content; `purpose` tells apart buffers that are in use at the same time. */
export function buffer(purpose: string, length: number): Float64Array {
  return cached(`buffer:${purpose}:${length}`, length, () => new Float64Array(length));
}

/** Numbers held at present; for tests and metrics. */
export function cachedValueCount(): number {
  return cachedValues;
}

function cached<T>(key: string, weight: number, make: () => T): T {
  const hit = cache.get(key);
  if (hit) {
    cache.delete(key);
    cache.set(key, hit);
    return hit.value as T;
  }
  const value = make();
  if (weight > MAX_CACHED_VALUES) return value;
  cache.set(key, { value, weight });
  cachedValues += weight;
  for (const [oldest, entry] of cache) {
    if (cachedValues <= MAX_CACHED_VALUES) break;
    cache.delete(oldest);
    cachedValues -= entry.weight;
  }
  return value;
}

const COSINE_TERMS: Readonly<Record<TaperKind, readonly number[]>> = {
  rectangular: [1],
  hann: [0.5, -0.5],
  'flat-top': [0.21557895, -0.41663158, 0.277263158, -0.083578947, 0.006947368],
};

function makeTaper(kind: TaperKind, length: number): Taper {
  const terms = COSINE_TERMS[kind];
  const weights = new Float64Array(length);
  let sum = 0;
  let sumOfSquares = 0;
  for (let n = 0; n < length; n++) {
    let weight = 0;
    for (const [order, term] of terms.entries()) weight += term * Math.cos((2 * Math.PI * order * n) / length);
    weights[n] = weight;
    sum += weight;
    sumOfSquares += weight * weight;
  }
  return { weights, sum, sumOfSquares, lobeLines: terms.length };
}
