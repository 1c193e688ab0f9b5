import { machineRef, type MachineKey, type TenantId } from '../domain/ids.ts';
import type { ReadingRow } from '../ports/time-series-store.ts';

/** Above this many metrics (with their units) a machine's further ones are refused: names made up without end fill any dictionary. */
export const MAX_SERIES_PER_MACHINE = 4_096;

/** A machine's numbers in the store. */
export interface MachineEntry {
  readonly id: number;
  readonly key: MachineKey;
  readonly tenant: TenantId;
  /** The series of `metric`, or of `metric NUL unit` where a unit was stated. */
  readonly series: Map<string, SeriesEntry>;
  /** Names and ids of the series of the last message by position: machines repeat themselves, so most lookups end here. */
  readonly lastNames: string[];
  readonly lastIds: number[];
  /** What the machine's catalogue says of readings without a unit, as far as it was told. */
  units: ReadonlyMap<string, string> | undefined;
}

/** The unit of a series that was begun before units of the catalogue were kept: the catalogue's of its time, whatever that was. */
export const UNKEPT_UNIT = '';

/** A series as a store keeps it. */
export interface SavedSeries {
  readonly machineId: number;
  readonly metric: string;
  readonly unit: string | null;
}

/** One metric of one machine in one unit; undefined where neither the reading nor the catalogue said one. */
export interface SeriesEntry {
  readonly id: number;
  readonly machine: MachineEntry;
  readonly metric: string;
  readonly unit: string | undefined;
}

/**
 * Small integers for machines and series, all in memory. New ones are remembered as unsaved until a commit has written them, so that a
 * transaction that fails costs nothing: its ids stay valid and the next one writes them.
 */
export class Dictionary {
  readonly #machines = new Map<MachineKey, MachineEntry>();
  readonly #machinesById: MachineEntry[] = [];
  readonly #series: SeriesEntry[] = [];
  #savedMachines = 0;
  #savedSeries = 0;

  /** Takes what a store has saved: both in the order of their ids, which are dense from 0. */
  static from(machines: Iterable<MachineKey>, series: Iterable<SavedSeries>): Dictionary {
    const dictionary = new Dictionary();
    for (const key of machines) dictionary.machine(key);
    for (const { machineId, metric, unit } of series) {
      dictionary.#addSeries(dictionary.#machinesById[machineId]!, metric, unit ?? undefined);
    }
    dictionary.#savedMachines = dictionary.#machinesById.length;
    dictionary.#savedSeries = dictionary.#series.length;
    return dictionary;
  }

  get seriesCount(): number {
    return this.#series.length;
  }

  find(key: MachineKey): MachineEntry | undefined {
    return this.#machines.get(key);
  }

  machineById(id: number): MachineEntry {
    return this.#machinesById[id]!;
  }

  seriesById(id: number): SeriesEntry {
    return this.#series[id]!;
  }

  machine(key: MachineKey): MachineEntry {
    const known = this.#machines.get(key);
    if (known) return known;
    const entry: MachineEntry = {
      id: this.#machinesById.length,
      key,
      tenant: machineRef(key).tenant,
      series: new Map(),
      lastNames: [],
      lastIds: [],
      units: undefined,
    };
    this.#machines.set(key, entry);
    this.#machinesById.push(entry);
    return entry;
  }

  /** From now on readings without a unit are in these. */
  useUnits(machine: MachineEntry, units: ReadonlyMap<string, string>): void {
    if (machine.units === units) return;
    machine.units = units;
    machine.lastNames.length = 0;
    machine.lastIds.length = 0;
  }

  /** The id of a metric without a stated unit, found by its place in the machine's last message when it can. */
  seriesAt(machine: MachineEntry, position: number, metric: string): number {
    if (machine.lastNames[position] === metric) return machine.lastIds[position]!;
    const { id } = this.series(machine, metric, machine.units?.get(metric));
    if (position < MAX_SERIES_PER_MACHINE) {
      machine.lastNames[position] = metric;
      machine.lastIds[position] = id;
    }
    return id;
  }

  series(machine: MachineEntry, metric: string, unit: string | undefined): SeriesEntry {
    return machine.series.get(seriesName(metric, unit)) ?? this.#addSeries(machine, metric, unit);
  }

  /** True where the machine's bound leaves room for those of the readings' series that are new. */
  hasRoom(machine: MachineEntry, readings: readonly ReadingRow[]): boolean {
    if (machine.series.size + readings.length <= MAX_SERIES_PER_MACHINE) return true;
    const names = new Set(readings.map(({ metric, unit }) => seriesName(metric, unit ?? machine.units?.get(metric))));
    for (const name of machine.series.keys()) names.delete(name);
    return machine.series.size + names.size <= MAX_SERIES_PER_MACHINE;
  }

  /** What is to be written with the transaction under way; `saved` is to be called after its commit. */
  unsaved(): {
    readonly machines: readonly MachineEntry[];
    readonly series: readonly SeriesEntry[];
    saved(): void;
  } {
    const machines = this.#machinesById.length;
    const series = this.#series.length;
    return {
      machines: this.#machinesById.slice(this.#savedMachines),
      series: this.#series.slice(this.#savedSeries),
      saved: () => {
        this.#savedMachines = machines;
        this.#savedSeries = series;
      },
    };
  }

  #addSeries(machine: MachineEntry, metric: string, unit: string | undefined): SeriesEntry {
    const entry: SeriesEntry = { id: this.#series.length, machine, metric, unit };
    this.#series.push(entry);
    machine.series.set(seriesName(metric, unit), entry);
    return entry;
  }
}

function seriesName(metric: string, unit: string | undefined): string {
  return unit === undefined ? metric : `${metric}\u0000${unit}`;
}
