import { RefreshingCache, type RefreshingCacheOptions } from '../derivation/refreshing-cache.ts';
import type { Clock } from '../clock.ts';
import type { MachineKey } from '../domain/ids.ts';
import { operatingStateOf, SPEED_METRIC, SPEED_UNIT, speedOf, type ToldReading } from '../domain/operating-state.ts';
import { MAX_RPM, type Machine, type OperatingState } from '../domain/plant.ts';
import type { CallOptions } from '../errors.ts';
import type { LatestValue, TimeSeriesStore } from '../ports/time-series-store.ts';

/** What a machine was doing at a time. Undefined where nothing tells. */
export interface OperatingPoint {
  /** Of a reading its magnitude: a drive in reverse reports a negative speed. */
  readonly rpm: number | undefined;
  /** Time of the reading that told the speed; absent where none did. */
  readonly rpmReadAtMs?: number;
  readonly state: OperatingState | undefined;
  /** Why a reading that is there does not tell. */
  readonly problem?: string;
}

/** How far a reading may usually be from a waveform, in event time, and still tell speed and operating state. */
export const READING_MAX_DISTANCE_MS = 300_000;

export interface OperatingPointOptions extends RefreshingCacheOptions {
  /** How far a reading's time may be from the time asked for and still speak for it. */
  readonly maxDistanceMs: number;
}

/** Tells what a machine was doing by its newest settled readings. */
export class OperatingPoints {
  readonly #latest: RefreshingCache<MachineKey, readonly LatestValue[]>;
  readonly #maxDistanceMs: number;

  constructor(store: Pick<TimeSeriesStore, 'latest'>, clock: Clock, options: OperatingPointOptions) {
    this.#latest = new RefreshingCache((key, call) => store.latest(key, call), clock, options);
    this.#maxDistanceMs = options.maxDistanceMs;
  }

  /** `rpm`, where it is known already, is taken for the reading of that metric. */
  async at(
    key: MachineKey,
    asked: {
      readonly tsMs: number;
      readonly rpm: number | undefined;
      readonly machine: Pick<Machine, 'operatingState' | 'metrics'>;
    },
    options: CallOptions,
  ): Promise<OperatingPoint> {
    const { tsMs, machine } = asked;
    const latest = await this.#latest.get(key, options);
    const storedReading = (metric: string): LatestValue | undefined => {
      const found = latest.find((each) => each.metric === metric && each.quality !== 'bad');
      return found && Math.abs(found.ts - tsMs) <= this.#maxDistanceMs ? found : undefined;
    };
    const told = operatingStateOf(machine, (metric): ToldReading | undefined =>
      metric === SPEED_METRIC && asked.rpm !== undefined
        ? { value: asked.rpm, unit: SPEED_UNIT }
        : storedReading(metric),
    );
    if (asked.rpm !== undefined) return { rpm: asked.rpm, ...told };
    const reading = storedReading(SPEED_METRIC);
    if (reading === undefined) return { rpm: undefined, ...told };
    const speed = speedOf(reading, machine.metrics);
    if (typeof speed !== 'number') return { rpm: undefined, ...told, problem: speed };
    const rpm = Math.abs(speed);
    if (rpm <= MAX_RPM) return { rpm, rpmReadAtMs: reading.ts, ...told };
    const problem = `the reading ${SPEED_METRIC} = ${speed} is left out: no speed is above ${MAX_RPM}`;
    return { rpm: undefined, ...told, problem };
  }
}
