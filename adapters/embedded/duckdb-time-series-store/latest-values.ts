import type { DuckDBConnection } from '@duckdb/node-api';
import type { Quality } from '#core/domain/reading.ts';

const GROWTH = 2;
const FIRST_CAPACITY = 4_096;

/** What is stored as `quality`; a derived value is told apart, because its revision is no conflict between devices. */
export const QUALITY_CODES: Readonly<Record<Quality, number>> = { good: 0, uncertain: 1, bad: 2 };
export const DERIVED = 8;
const QUALITIES: readonly Quality[] = ['good', 'uncertain', 'bad'];

/** The quality that a code stands for. */
function qualityOf(code: number): Quality {
  return QUALITIES[code % DERIVED]!;
}

/** The newest value of every series, by series id, in flat arrays: 25 bytes a series. */
export class LatestValues {
  #ts = new Float64Array(FIRST_CAPACITY).fill(-Infinity);
  #value = new Float64Array(FIRST_CAPACITY);
  #quality = new Uint8Array(FIRST_CAPACITY);
  /** Newest time seen, of rows that may not have been committed: too high only causes a needless repair of a rollup. */
  #seenTs = new Float64Array(FIRST_CAPACITY).fill(-Infinity);

  /** Takes the values kept by the last sealing, and the rows that came after it. */
  static async load(
    connection: DuckDBConnection,
    seriesCount: number,
    openReadings: readonly string[],
  ): Promise<LatestValues> {
    const latest = new LatestValues();
    latest.reserve(seriesCount);
    const result = await connection.runAndReadAll(newestRows(['latest', ...openReadings]));
    for (const [series, ts, value, quality] of result.getRows()) {
      latest.update(series as number, Number(ts), value as number, quality as number);
    }
    return latest;
  }

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

/** The newest row of each series in tables of readings; of rows of the same time, the last accepted. */
export function newestRows(tables: readonly string[]): string {
  const rows = tables.map((table) => `SELECT series_id, ts, value, quality, ord FROM ${table}`).join(' UNION ALL ');
  return `
    WITH readings AS (${rows})
    SELECT series_id, ts, arg_max(value, ord) AS value, arg_max(quality, ord) AS quality, max(ord) AS ord
    FROM readings JOIN (SELECT series_id, max(ts) AS ts FROM readings GROUP BY series_id) USING (series_id, ts)
    GROUP BY ALL`;
}

function grown<Values extends Float64Array | Uint8Array>(from: Values, to: Values): Values {
  to.set(from);
  return to;
}
