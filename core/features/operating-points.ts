import type { Clock } from '../clock.ts';
import type { MachineKey } from '../domain/ids.ts';
import { operatingStateOf } from '../domain/operating-state.ts';
import type { OperatingState, OperatingStateSource } from '../domain/plant.ts';
import type { CallOptions } from '../errors.ts';
import type { LatestValue, TimeSeriesStore } from '../ports/time-series-store.ts';

/** What a machine was doing at a time. Undefined where no reading tells. */
export interface OperatingPoint {
  readonly rpm: number | undefined;
  readonly state: OperatingState | undefined;
}

/** The metric that carries a machine's speed, in revolutions per minute. */
export const SPEED_METRIC = 'rpm';

export interface OperatingPointOptions {
  /** How far a reading's time may be from the waveform's and still speak for it. */
  readonly maxAgeMs: number;
  /** How long a machine's latest readings are kept before they are asked for again. */
  readonly cacheMs: number;
  readonly maxMachines: number;
}

/** Tells what a machine was doing by its latest settled readings: asked of the store at most once in `cacheMs` a machine. */
export class OperatingPoints {
  readonly #store: Pick<TimeSeriesStore, 'latest'>;
  readonly #clock: Clock;
  readonly #options: OperatingPointOptions;
  readonly #cache = new Map<MachineKey, { readonly atMs: number; readonly latest: readonly LatestValue[] }>();

  constructor(store: Pick<TimeSeriesStore, 'latest'>, clock: Clock, options: OperatingPointOptions) {
    this.#store = store;
    this.#clock = clock;
    this.#options = options;
  }

  async at(key: MachineKey, source: OperatingStateSource, tsMs: number, call: CallOptions): Promise<OperatingPoint> {
    const latest = await this.#latest(key, call);
    const valueOf = (metric: string): number | undefined => {
      const found = latest.find((each) => each.metric === metric && each.quality !== 'bad');
      return found && Math.abs(found.ts - tsMs) <= this.#options.maxAgeMs ? found.value : undefined;
    };
    return { rpm: valueOf(SPEED_METRIC), state: operatingStateOf(source, valueOf) };
  }

  async #latest(key: MachineKey, call: CallOptions): Promise<readonly LatestValue[]> {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#cache.get(key);
    if (known && nowMs - known.atMs < this.#options.cacheMs) return known.latest;
    const latest = await this.#store.latest(key, call);
    this.#cache.delete(key);
    if (this.#cache.size >= this.#options.maxMachines) this.#cache.delete(this.#cache.keys().next().value!);
    this.#cache.set(key, { atMs: nowMs, latest });
    return latest;
  }
}
