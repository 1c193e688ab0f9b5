import type { LatestValues } from './latest-values.ts';

const FIRST_CAPACITY = 65_536;

/** The readings of a transaction, kept flat until its commit, in arrays that the next transaction uses again. The first `count` items count. */
export class WrittenReadings {
  count = 0;
  minTs = Infinity;
  maxTs = -Infinity;
  series = new Int32Array(FIRST_CAPACITY);
  ts = new Float64Array(FIRST_CAPACITY);
  value = new Float64Array(FIRST_CAPACITY);
  quality = new Uint8Array(FIRST_CAPACITY);
  ord = new Float64Array(FIRST_CAPACITY);

  clear(): void {
    this.count = 0;
    this.minTs = Infinity;
    this.maxTs = -Infinity;
  }

  add(series: number, ts: number, value: number, quality: number, ord: number): void {
    if (this.count === this.series.length) this.#grow();
    const at = this.count++;
    this.series[at] = series;
    this.ts[at] = ts;
    this.value[at] = value;
    this.quality[at] = quality;
    this.ord[at] = ord;
  }

  span(ts: number): void {
    if (ts < this.minTs) this.minTs = ts;
    if (ts > this.maxTs) this.maxTs = ts;
  }

  applyTo(latest: LatestValues): void {
    for (let i = 0; i < this.count; i++) {
      latest.update(this.series[i]!, this.ts[i]!, this.value[i]!, this.quality[i]!);
    }
  }

  #grow(): void {
    const capacity = this.series.length * 2;
    const grown = {
      series: new Int32Array(capacity),
      ts: new Float64Array(capacity),
      value: new Float64Array(capacity),
      quality: new Uint8Array(capacity),
      ord: new Float64Array(capacity),
    };
    grown.series.set(this.series);
    grown.ts.set(this.ts);
    grown.value.set(this.value);
    grown.quality.set(this.quality);
    grown.ord.set(this.ord);
    this.series = grown.series;
    this.ts = grown.ts;
    this.value = grown.value;
    this.quality = grown.quality;
    this.ord = grown.ord;
  }
}
