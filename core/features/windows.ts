import type { TelemetryBody } from '../domain/reading.ts';
import { convertUnit, sameUnit } from '../domain/units.ts';
import { PaneRing, type PaneOutcome, type PaneRingSnapshot, type WindowSink } from './window-panes.ts';
import { windowShape, type RollingWindowOptions, type WindowShape } from './window-shape.ts';

export type { RollingWindowOptions } from './window-shape.ts';
export type { WindowResult, WindowSink } from './window-panes.ts';

/**
 * What became of a reading. `late`: it came after one of its windows had closed, and corrected those that the allowed lateness still
 * permits. `too_late`: none of its windows was to be corrected any more. `invalid`: not finite. `other_unit`: its unit does not convert to
 * that of its series' windows. `refused`: no room for another series.
 */
export type WindowOutcome = PaneOutcome | 'other_unit' | 'refused';

/** When a reading came. */
export interface Arrival {
  /** By the time of day; Infinity for an import, whose own time is all that counts. No reading's clock takes a watermark past it. */
  readonly arrivedMs: number;
  /** By the clock of silence that {@link RollingWindows.closeSilent} is asked with. */
  readonly clockMs: number;
}

const IN_ITS_OWN_TIME: Arrival = { arrivedMs: Infinity, clockMs: 0 };

/** The unit that a machine's readings of a metric are in where they do not say. */
export type DeclaredUnit = (machine: string, metric: string) => string | undefined;

/** Readings by outcome. */
export type WindowCounts = Readonly<Record<PaneOutcome, number>>;

/** The windows of one machine as plain data; JSON keeps it exactly. */
export interface MachineWindowsSnapshot {
  readonly version: 1;
  /** Size, hop, delay, lateness and time constant: a snapshot only fits the windows it was taken of. */
  readonly shape: readonly number[];
  readonly machine: string;
  readonly counts: WindowCounts;
  readonly metrics: readonly PaneRingSnapshot[];
}

/**
 * Rolling features of metrics over event-time windows: mean, deviation, minimum, maximum, slope, exponentially weighted mean.
 *
 * Each series has its own watermark, the newest time seen, and not later than the {@link Arrival} of what it was seen in, less
 * `watermarkDelayMs`; a window closes once the watermark reaches its end. Results depend on the order of each series' readings, their
 * arrivals, and of {@link RollingWindows.close}, alone, not on batches: the same after {@link RollingWindows.restoreMachine} give the same
 * results with the same ids and revisions.
 *
 * Each series has one unit: the declared one, else that of its first reading that says one. Readings in another unit are converted, and left out
 * where that is not possible; once they alone come, and its windows are past correction, the series goes on in their unit.
 */
export class RollingWindows {
  readonly #shape: WindowShape;
  readonly #maxSeries: number;
  readonly #emit: WindowSink;
  readonly #declaredUnit: DeclaredUnit;
  readonly #machines = new Map<string, MachineWindows>();
  #seriesCount = 0;
  readonly #totals: Record<WindowOutcome, number> = {
    counted: 0,
    late: 0,
    too_late: 0,
    invalid: 0,
    other_unit: 0,
    refused: 0,
  };

  /** @throws RangeError that names the option, when one is out of range. */
  constructor(options: RollingWindowOptions, emit: WindowSink, declaredUnit: DeclaredUnit = () => undefined) {
    this.#shape = windowShape(options);
    this.#maxSeries = options.maxSeries;
    this.#emit = emit;
    this.#declaredUnit = declaredUnit;
  }

  /** Takes the readings of one message, but for those of bad quality; what they close or correct is in the sink before this returns. */
  take(machine: string, { ts, metrics }: TelemetryBody, arrival: Arrival): void {
    for (const metric in metrics) {
      const entry = metrics[metric]!;
      if (typeof entry === 'number') this.update(machine, metric, ts, entry, arrival);
      else if (entry.quality !== 'bad') this.update(machine, metric, ts, entry.value, arrival, entry.unit);
    }
  }

  /** Takes one reading, as {@link RollingWindows.take} does. */
  update(
    machine: string,
    metric: string,
    timestampMs: number,
    value: number,
    arrival: Arrival = IN_ITS_OWN_TIME,
    unit?: string,
  ): WindowOutcome {
    const windows = this.#machines.get(machine);
    const ring = windows?.rings.get(metric);
    if (windows && ring) {
      const inUnit = unit === ring.unit ? value : this.#inUnitOf(ring, machine, metric, value, unit);
      if (inUnit === undefined) {
        ring.follow(timestampMs, arrival.arrivedMs, this.#emit);
        this.#totals.other_unit++;
        return 'other_unit';
      }
      const outcome = ring.add(timestampMs, inUnit, arrival.arrivedMs, this.#emit);
      ring.heardAtMs = arrival.clockMs;
      windows.counts[outcome]++;
      this.#totals[outcome]++;
      return outcome;
    }
    if (this.#seriesCount >= this.#maxSeries) {
      this.#totals.refused++;
      return 'refused';
    }
    this.#addSeries(machine, metric);
    return this.update(machine, metric, timestampMs, value, arrival, unit);
  }

  /**
   * Gives the open windows of a machine, for one that stopped sending: nothing that comes would close them. Late readings correct them as they
   * would have after a reading had. The caller's clock decides, so that the same readings do not decide it again: see {@link Judging}.
   */
  close(machine: string): void {
    this.closeSilent(machine, Infinity, 0);
  }

  /**
   * Gives, like {@link RollingWindows.close}, the open windows of those metrics of a machine of which nothing came for `idleMs`. Returns the
   * earliest time at which that may be true of another one: Infinity where no window is open.
   */
  closeSilent(machine: string, clockMs: number, idleMs: number): number {
    let nextMs = Infinity;
    for (const ring of this.#machines.get(machine)?.rings.values() ?? []) {
      if (!ring.isOpen) continue;
      const idleAtMs = ring.heardAtMs + idleMs;
      if (clockMs >= idleAtMs) ring.close(this.#emit);
      else nextMs = Math.min(nextMs, idleAtMs);
    }
    return nextMs;
  }

  /** Readings of a machine by outcome; `undefined` for a machine that is not held. */
  counts(machine: string): WindowCounts | undefined {
    const counts = this.#machines.get(machine)?.counts;
    return counts && { ...counts };
  }

  /** Readings of all machines since the start by outcome; `refused` are those that found `maxSeries` reached. */
  get totals(): Readonly<Record<WindowOutcome, number>> {
    return this.#totals;
  }

  get seriesCount(): number {
    return this.#seriesCount;
  }

  /** The machines that are held. */
  machines(): string[] {
    return [...this.#machines.keys()];
  }

  /** The state of one machine; `undefined` for a machine that is not held. */
  snapshotMachine(machine: string): MachineWindowsSnapshot | undefined {
    const windows = this.#machines.get(machine);
    if (!windows) return undefined;
    const metrics = [...windows.rings.values()].map((ring) => ring.toSnapshot());
    return { version: 1, shape: shapeKey(this.#shape), machine, counts: { ...windows.counts }, metrics };
  }

  /**
   * Takes a machine's state back, in place of what is held of it.
   *
   * @throws RangeError when the snapshot is of other windows or of another version, or has more series than `maxSeries` leaves room for.
   */
  restoreMachine(snapshot: MachineWindowsSnapshot): void {
    const { machine, metrics } = snapshot;
    if ((snapshot.version as number) !== 1)
      throw new RangeError(`a window snapshot of version ${snapshot.version} is not known`);
    const ours = shapeKey(this.#shape).join();
    const theirs = snapshot.shape.join();
    if (theirs !== ours)
      throw new RangeError(`the snapshot of ${machine} is of windows (${theirs}), these are (${ours})`);
    const held = this.#machines.get(machine)?.rings.size ?? 0;
    if (this.#seriesCount - held + metrics.length > this.#maxSeries) {
      throw new RangeError(`the snapshot of ${machine} has ${metrics.length} series; maxSeries is ${this.#maxSeries}`);
    }
    this.forgetMachine(machine);
    const rings = new Map(
      metrics.map((series) => [series.metric, PaneRing.fromSnapshot(this.#shape, machine, series)]),
    );
    this.#machines.set(machine, { counts: { ...snapshot.counts }, rings });
    this.#seriesCount += rings.size;
  }

  /** Drops a machine's state, for instance once its partition has moved elsewhere. */
  forgetMachine(machine: string): void {
    this.#seriesCount -= this.#machines.get(machine)?.rings.size ?? 0;
    this.#machines.delete(machine);
  }

  /** The reading's value in the unit of its series' windows; undefined where it does not convert. */
  #inUnitOf(
    ring: PaneRing,
    machine: string,
    metric: string,
    value: number,
    unit: string | undefined,
  ): number | undefined {
    const declared = this.#declaredUnit(machine, metric);
    const sent = unit ?? declared;
    if (ring.unit === undefined || ring.isSpent) ring.unit = declared ?? unit;
    if (sent === undefined || ring.unit === undefined || sameUnit(sent, ring.unit)) return value;
    return convertUnit(value, sent, ring.unit);
  }

  #addSeries(machine: string, metric: string): void {
    let windows = this.#machines.get(machine);
    if (!windows) {
      windows = { counts: { counted: 0, late: 0, too_late: 0, invalid: 0 }, rings: new Map() };
      this.#machines.set(machine, windows);
    }
    windows.rings.set(metric, new PaneRing(this.#shape, machine, metric));
    this.#seriesCount++;
  }
}

interface MachineWindows {
  readonly counts: Record<PaneOutcome, number>;
  readonly rings: Map<string, PaneRing>;
}

function shapeKey({ sizeMs, hopMs, delayMs, latenessMs, timeConstantMs }: WindowShape): readonly number[] {
  return [sizeMs, hopMs, delayMs, latenessMs, timeConstantMs];
}
