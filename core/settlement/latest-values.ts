import type { Quality } from '../domain/reading.ts';

const GROWTH = 2;
const FIRST_CAPACITY = 4_096;

/** What is stored as `quality`; a derived value is told apart, because its revision is no conflict between devices. */
export const QUALITY_CODES: Readonly<Record<Quality, number>> = { good: 0, uncertain: 1, bad: 2 };
export const DERIVED = 8;
const QUALITIES: readonly Quality[] = ['good', 'uncertain', 'bad'];

/** The quality that a code stands for. */
export function qualityOf(code: number): Quality {
  return QUALITIES[code % DERIVED]!;
}

/** The newest value of every series, by series id, in flat arrays: 25 bytes a series. */
export class LatestValues {
  #ts = new Float64Array(FIRST_CAPACITY).fill(-Infinity);
  #value = new Float64Array(FIRST_CAPACITY);
  #quality = new Uint8Array(FIRST_CAPACITY);
  /** Newest time seen, of rows that may not have been committed: too high only causes a needless repair of a rollup. */
  #seenTs = new Float64Array(FIRST_CAPACITY).fill(-Infinity);

  /** Makes place for the ids below `seriesCount`. */
  reserve(seriesCount: number): void {
    if (seriesCount <= this.#ts.length) return;
    const capacity = Math.max(seriesCount, this.#ts.length * GROWTH);
    this.#ts = grown(this.#ts, new Float64Array(capacity).fill(-Infinity));
    this.#seenTs = grown(this.#seenTs, new Float64Array(capacity).fill(-Infinity));
    this.#value = grown(this.#value, new Float64Array(capacity));
    this.#quality = grown(this.#quality, new Uint8Array(capacity));
  }

  /** Notes a row; true where the series may already hold a value of that time, because it is not the newest of its series. */
  revisits(series: number, ts: number): boolean {
    if (ts <= this.#seenTs[series]!) return true;
    this.#seenTs[series] = ts;
    return false;
  }

  /** Takes a committed row, in the order of acceptance. */
  update(series: number, ts: number, value: number, quality: number): void {
    if (ts < this.#ts[series]!) return;
    this.#ts[series] = ts;
    this.#value[series] = value;
    this.#quality[series] = quality;
    if (ts > this.#seenTs[series]!) this.#seenTs[series] = ts;
  }

  get(series: number): { readonly ts: number; readonly value: number; readonly quality: Quality } | undefined {
    const ts = this.#ts[series];
    if (ts === undefined || ts === -Infinity) return undefined;
    return { ts, value: this.#value[series]!, quality: qualityOf(this.#quality[series]!) };
  }
}

function grown<Values extends Float64Array | Uint8Array>(from: Values, to: Values): Values {
  to.set(from);
  return to;
}
