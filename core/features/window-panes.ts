import type { WindowShape } from './window-shape.ts';

/** What is known of one metric of one machine over one window, [startMs, endMs). */
export interface WindowResult {
  /** The same for the same window, whenever and wherever it is computed: `machine/metric/startMs/sizeMs`. */
  readonly id: string;
  readonly machine: string;
  readonly metric: string;
  /** Of mean, minimum, maximum and ewma, as the readings or the series said; absent where none did. */
  readonly unit?: string;
  readonly startMs: number;
  readonly endMs: number;
  /** 0 when the window is first closed, one more with each correction by late data. */
  readonly revision: number;
  /** At least 1: a window without readings gives no result. */
  readonly count: number;
  readonly mean: number;
  /** Sample standard deviation (n - 1); `null` for a single reading. */
  readonly deviation: number | null;
  readonly min: number;
  readonly max: number;
  /** Least-squares slope, per second; `null` when all readings are of one moment. */
  readonly slopePerSecond: number | null;
  /**
   * Mean of the window's readings weighted by exp(-(endMs - t) / time constant). It depends on nothing outside the window, so late data
   * corrects it like all the others.
   */
  readonly ewma: number;
}

/**
 * What became of a reading. `late`: it came after one of its windows had closed, and corrected those that allowed lateness still
 * permits. `too_late`: none of its windows was to be corrected any more. `invalid`: not finite.
 */
export type PaneOutcome = 'counted' | 'late' | 'too_late' | 'invalid';

export type WindowSink = (result: WindowResult) => void;

/** A {@link PaneRing} as plain data; JSON keeps it exactly. */
export interface PaneRingSnapshot {
  readonly metric: string;
  readonly unit?: string;
  /** `null` before the first reading. */
  readonly watermarkMs: number | null;
  /** Panes that can still change a result, each as its fields in their order. */
  readonly panes: readonly (readonly number[])[];
}

// Fields of a pane, side by side in one array: no object is made for a reading. Times are in ms from the pane's start.
const INDEX = 0;
const COUNT = 1;
const MEAN = 2;
const SQUARES = 3;
const MIN = 4;
const MAX = 5;
const MEAN_TIME = 6;
const TIME_SQUARES = 7;
const PRODUCTS = 8;
const WEIGHT = 9;
const WEIGHTED = 10;
/** Results given so far of the window that starts with this pane. */
const RESULTS = 11;
const FIELDS = 12;

const NO_PANE = -Infinity;

/**
 * The windows of one series. Time is cut into panes of one hop; a pane keeps the moments of its readings (by Welford's and Chan's
 * updates, which do not cancel), and a window merges its panes when it closes. So a reading costs the same however much windows overlap.
 */
export class PaneRing {
  readonly #shape: WindowShape;
  readonly #machine: string;
  readonly #metric: string;
  /** Of its values; undefined while none was said. */
  unit: string | undefined;
  /** When its newest reading came, on the clock of whoever closes series that have become silent. */
  heardAtMs = 0;
  /** A plain array: one of 400 bytes costs a tenth of a typed array to make, and there are ten a machine. */
  #panes: number[];
  #watermarkMs = -Infinity;
  /** Start pane of the next window to close, and the watermark that closes it. */
  #nextStart = NO_PANE;
  #nextCloseMs = -Infinity;
  #newestPane = NO_PANE;

  constructor(shape: WindowShape, machine: string, metric: string) {
    this.#shape = shape;
    this.#machine = machine;
    this.#metric = metric;
    this.#panes = emptyPanes(shape.paneCapacity);
  }

  /** True when {@link PaneRing.close} would give a window. */
  get isOpen(): boolean {
    return this.#newestPane - this.#shape.panesPerWindow + 1 >= this.#nextStart && this.#newestPane !== NO_PANE;
  }

  /** True when nothing that it holds can change a result any more. */
  get isSpent(): boolean {
    return this.#newestPane === NO_PANE || this.#isFinal(this.#newestPane);
  }

  add(timestampMs: number, value: number, arrivedMs: number, emit: WindowSink): PaneOutcome {
    if (!Number.isFinite(value) || !Number.isFinite(timestampMs)) return 'invalid';
    const { hopMs, delayMs } = this.#shape;
    // Before the reading is put in: its pane may take the place of one that these windows still need.
    this.follow(timestampMs, arrivedMs, emit);
    const pane = Math.floor(timestampMs / hopMs);
    if (this.#isFinal(pane)) return 'too_late';
    if (timestampMs - delayMs > this.#watermarkMs) this.#makeRoom(pane);
    this.#put(pane, timestampMs - pane * hopMs, value);
    if (pane > this.#newestPane) this.#newestPane = pane;
    if (pane - this.#shape.panesPerWindow + 1 >= this.#nextStart) return 'counted';
    this.#correct(pane, emit);
    return 'late';
  }

  /**
   * Moves the watermark on by the time of a reading and when that came: a clock that is ahead makes nobody else late, nor itself once it is put
   * right. Only beyond `maxAheadMs`, for which no panes are kept, the reading's own time decides.
   */
  follow(timestampMs: number, arrivedMs: number, emit: WindowSink): void {
    const { delayMs, aheadMs } = this.#shape;
    const timeMs = timestampMs <= arrivedMs ? timestampMs : Math.max(arrivedMs, timestampMs - aheadMs);
    if (timeMs - delayMs > this.#watermarkMs) this.advance(timeMs - delayMs, emit);
  }

  /** Moves the watermark forward and gives the windows that this closes. */
  advance(watermarkMs: number, emit: WindowSink): void {
    if (!(watermarkMs > this.#watermarkMs)) return;
    this.#watermarkMs = watermarkMs;
    if (watermarkMs < this.#nextCloseMs) return;
    const { hopMs, panesPerWindow } = this.#shape;
    const closed = Math.floor(watermarkMs / hopMs) - panesPerWindow;
    // No window after the newest pane has a reading, whatever the watermark jumped over.
    const last = Math.min(closed, this.#newestPane);
    if (this.#newestPane !== NO_PANE) {
      for (let start = this.#nextStart; start <= last; start++) this.#give(start, emit);
    }
    this.#closeFrom(closed + 1);
  }

  /**
   * Gives the windows up to the one that ends with the newest pane, without moving the watermark: what comes for them later corrects them for as
   * long as if they were open still. Overlapping ones that reach further wait: their time is not over.
   */
  close(emit: WindowSink): void {
    if (!this.isOpen) return;
    const last = this.#newestPane - this.#shape.panesPerWindow + 1;
    for (let start = this.#nextStart; start <= last; start++) this.#give(start, emit);
    this.#closeFrom(last + 1);
  }

  toSnapshot(): PaneRingSnapshot {
    const panes: number[][] = [];
    for (let at = 0; at < this.#panes.length; at += FIELDS) {
      const pane = this.#panes[at]!;
      if (pane !== NO_PANE && !this.#isFinal(pane)) panes.push(this.#panes.slice(at, at + FIELDS));
    }
    panes.sort((a, b) => a[INDEX]! - b[INDEX]!);
    const watermarkMs = this.#watermarkMs === -Infinity ? null : this.#watermarkMs;
    return { metric: this.#metric, ...(this.unit !== undefined && { unit: this.unit }), watermarkMs, panes };
  }

  static fromSnapshot(shape: WindowShape, machine: string, snapshot: PaneRingSnapshot): PaneRing {
    const ring = new PaneRing(shape, machine, snapshot.metric);
    // Windows are given in order, so that the newest one given tells what was closed before the watermark reached its end.
    let given = NO_PANE;
    ring.unit = snapshot.unit;
    ring.#watermarkMs = snapshot.watermarkMs ?? -Infinity;
    const newest = snapshot.panes.at(-1);
    if (newest) ring.#makeRoom(newest[INDEX]!);
    for (const pane of snapshot.panes) {
      const at = ring.#placeOf(pane[INDEX]!);
      for (const [field, value] of pane.entries()) ring.#panes[at + field] = value;
      if (pane[COUNT]! > 0) ring.#newestPane = Math.max(ring.#newestPane, pane[INDEX]!);
      if (pane[RESULTS]! > 0) given = Math.max(given, pane[INDEX]!);
    }
    if (snapshot.watermarkMs !== null) {
      const closed = Math.floor(snapshot.watermarkMs / shape.hopMs) - shape.panesPerWindow;
      ring.#closeFrom(Math.max(closed, given) + 1);
    }
    return ring;
  }

  #closeFrom(start: number): void {
    this.#nextStart = start;
    this.#nextCloseMs = (start + this.#shape.panesPerWindow) * this.#shape.hopMs;
  }

  /** True when the window that starts with this pane, the last one that holds it, is past correction. */
  #isFinal(start: number): boolean {
    const { hopMs, panesPerWindow, latenessMs } = this.#shape;
    return this.#watermarkMs >= (start + panesPerWindow) * hopMs + latenessMs;
  }

  /** A ring that comes upon a clock that is ahead takes the room for that, once. */
  #makeRoom(pane: number): void {
    const { hopMs, panesPerWindow, latenessMs, paneCapacityAhead } = this.#shape;
    const oldest = Math.floor((this.#watermarkMs - latenessMs) / hopMs) - panesPerWindow + 1;
    const held = this.#panes;
    if (pane - oldest < held.length / FIELDS || held.length === paneCapacityAhead * FIELDS) return;
    this.#panes = emptyPanes(paneCapacityAhead);
    for (let at = 0; at < held.length; at += FIELDS) {
      if (held[at] === NO_PANE || this.#isFinal(held[at]!)) continue;
      const to = this.#placeOf(held[at]!);
      for (let field = 0; field < FIELDS; field++) this.#panes[to + field] = held[at + field]!;
    }
  }

  /** Gives the closed windows of a pane that may still be corrected. */
  #correct(pane: number, emit: WindowSink): void {
    const last = Math.min(pane, this.#nextStart - 1);
    for (let start = pane - this.#shape.panesPerWindow + 1; start <= last; start++) {
      if (!this.#isFinal(start)) this.#give(start, emit);
    }
  }

  #placeOf(pane: number): number {
    const capacity = this.#panes.length / FIELDS;
    return (((pane % capacity) + capacity) % capacity) * FIELDS;
  }

  /** Where a pane's fields are, emptied of an older pane. */
  #claim(pane: number): number {
    const at = this.#placeOf(pane);
    if (this.#panes[at] !== pane) {
      this.#panes.fill(0, at, at + FIELDS);
      this.#panes[at] = pane;
    }
    return at;
  }

  #put(pane: number, timeMs: number, value: number): void {
    const { hopMs, timeConstantMs } = this.#shape;
    const panes = this.#panes;
    const at = this.#claim(pane);
    const count = panes[at + COUNT]! + 1;
    const deviation = value - panes[at + MEAN]!;
    const timeDeviation = timeMs - panes[at + MEAN_TIME]!;
    const meanTime = panes[at + MEAN_TIME]! + timeDeviation / count;
    panes[at + COUNT] = count;
    panes[at + MEAN]! += deviation / count;
    panes[at + MEAN_TIME] = meanTime;
    panes[at + SQUARES]! += deviation * (value - panes[at + MEAN]!);
    panes[at + TIME_SQUARES]! += timeDeviation * (timeMs - meanTime);
    panes[at + PRODUCTS]! += deviation * (timeMs - meanTime);
    if (count === 1 || value < panes[at + MIN]!) panes[at + MIN] = value;
    if (count === 1 || value > panes[at + MAX]!) panes[at + MAX] = value;
    const weight = Math.exp((timeMs - hopMs) / timeConstantMs);
    panes[at + WEIGHT]! += weight;
    panes[at + WEIGHTED]! += weight * value;
  }

  #give(start: number, emit: WindowSink): void {
    const result = this.#merge(start);
    if (!result) return;
    const revision = this.#panes[this.#claim(start) + RESULTS]!++;
    const startMs = start * this.#shape.hopMs;
    const endMs = startMs + this.#shape.sizeMs;
    const machine = this.#machine;
    const metric = this.#metric;
    const id = `${machine}/${metric}/${startMs}/${this.#shape.sizeMs}`;
    const unit = this.unit === undefined ? {} : { unit: this.unit };
    emit({ id, machine, metric, ...unit, startMs, endMs, revision, ...result });
  }

  #merge(start: number): WindowMoments | undefined {
    const { hopMs, panesPerWindow, paneDecay } = this.#shape;
    const panes = this.#panes;
    let count = 0;
    let mean = 0;
    let squares = 0;
    let meanTime = 0;
    let timeSquares = 0;
    let products = 0;
    let min = Infinity;
    let max = -Infinity;
    let weight = 0;
    let weighted = 0;
    for (let j = 0; j < panesPerWindow; j++) {
      const at = this.#placeOf(start + j);
      const added = panes[at + COUNT]!;
      if (panes[at] !== start + j || added === 0) continue;
      const total = count + added;
      const deviation = panes[at + MEAN]! - mean;
      const timeDeviation = panes[at + MEAN_TIME]! + j * hopMs - meanTime;
      const shared = (count * added) / total;
      squares += panes[at + SQUARES]! + deviation * deviation * shared;
      timeSquares += panes[at + TIME_SQUARES]! + timeDeviation * timeDeviation * shared;
      products += panes[at + PRODUCTS]! + deviation * timeDeviation * shared;
      mean += (deviation * added) / total;
      meanTime += (timeDeviation * added) / total;
      count = total;
      if (panes[at + MIN]! < min) min = panes[at + MIN]!;
      if (panes[at + MAX]! > max) max = panes[at + MAX]!;
      weight += panes[at + WEIGHT]! * paneDecay[panesPerWindow - 1 - j]!;
      weighted += panes[at + WEIGHTED]! * paneDecay[panesPerWindow - 1 - j]!;
    }
    if (count === 0) return undefined;
    return {
      count,
      mean,
      deviation: count > 1 ? Math.sqrt(squares / (count - 1)) : null,
      min,
      max,
      slopePerSecond: timeSquares > 0 ? (1000 * products) / timeSquares : null,
      ewma: weighted / weight,
    };
  }
}

type WindowMoments = Omit<WindowResult, 'id' | 'machine' | 'metric' | 'unit' | 'startMs' | 'endMs' | 'revision'>;

/** Filled with what is no small integer, so that it is an array of doubles from the beginning. */
function emptyPanes(capacity: number): number[] {
  return new Array<number>(capacity * FIELDS).fill(NO_PANE);
}
