import type { Clock } from '../clock.ts';
import { atStart } from '../delivery/at-start.ts';
import type { StampedEvent } from '../domain/event.ts';
import type { MachineKey } from '../domain/ids.ts';
import { sameUnit } from '../domain/units.ts';
import type { MachineRegistry, RegisteredMachine } from '../ports/machine-registry.ts';

type Units = ReadonlyMap<string, string>;

interface Declared {
  readonly revision: number;
  readonly units: Units;
  /** What held until the units were changed, and what is certain in the time in which intake may have noticed that. */
  readonly before?: {
    readonly units: Units;
    readonly certain: Units;
    readonly fromMs: number;
    readonly untilMs: number;
  };
}

export interface DeclaredUnitsDependencies {
  readonly machines: Pick<MachineRegistry, 'getMachine' | 'listMachines' | 'onChange'>;
  readonly clock: Clock;
  /** Told when the registry cannot be read, which is tried again, and when it could be. */
  readonly problems: {
    report(doing: string, error: unknown): void;
    solved(doing: string): void;
  };
}

const READING = 'read the machine registry';

/**
 * In which units the catalogues of machines say that readings without a unit are, at the time when a message was accepted: intake converts to
 * the unit that the catalogue has then. Intake and this copy of the registry notice a changed unit at slightly different times; what was
 * accepted between has no unit here for the metrics that it changed, rather than the wrong one. A change that nobody noticed because
 * settlement was down counts from the beginning of what it then settles.
 */
export class DeclaredUnits {
  readonly #dependencies: DeclaredUnitsDependencies;
  readonly #declared = new Map<MachineKey, Declared>();
  /** Machines of a kind share their units. */
  readonly #shared = new Map<string, Units>();
  #unsubscribe: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #refreshing: Promise<void> = Promise.resolve();
  #delayMs = 0;
  /** Since when there are changes that were not read; they may have been made a little earlier. */
  #toldAtMs: number | undefined;

  constructor(dependencies: DeclaredUnitsDependencies) {
    this.#dependencies = dependencies;
  }

  async start(): Promise<void> {
    const { machines, clock } = this.#dependencies;
    this.#unsubscribe = machines.onChange(() => {
      this.#toldAtMs ??= clock.nowMs();
      this.#refreshIn(this.#delayMs);
    });
    await atStart(() => this.#refresh());
  }

  async close(): Promise<void> {
    this.#unsubscribe?.();
    clearTimeout(this.#timer);
    await this.#refreshing;
  }

  /** Asks the registry for those machines of the events that it was not asked for yet. @throws PortError of the registry. */
  async learn(events: readonly StampedEvent[]): Promise<void> {
    for (const { key, kind } of events) {
      if (kind !== 'telemetry' || this.#declared.has(key)) continue;
      const registered = await this.#dependencies.machines.getMachine(key);
      if (registered) this.#put(registered, this.#dependencies.clock.nowMs());
      else this.#declared.set(key, { revision: 0, units: NONE });
    }
  }

  /** By metric. The same object as long as nothing changes; undefined for a machine that was not learned. */
  of({ key, acceptedAtMs }: StampedEvent): Units | undefined {
    const declared = this.#declared.get(key);
    const before = declared?.before;
    if (before === undefined || acceptedAtMs >= before.untilMs) return declared?.units;
    return acceptedAtMs < before.fromMs ? before.units : before.certain;
  }

  #refreshIn(delayMs: number): void {
    const { problems } = this.#dependencies;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#refreshing = this.#refresh().then(
        () => problems.solved(READING),
        (error: unknown) => {
          problems.report(READING, error);
          this.#refreshIn(RETRY_MS);
        },
      );
    }, delayMs);
  }

  /** Takes at most a tenth of the time, however many machines there are and however often they change. */
  async #refresh(): Promise<void> {
    const { machines, clock } = this.#dependencies;
    const startedMs = clock.monotonicMs();
    const toldAtMs = this.#toldAtMs ?? clock.nowMs();
    this.#toldAtMs = undefined;
    try {
      for (let after: MachineKey | undefined; ;) {
        const page = await machines.listMachines({ limit: PAGE, ...(after !== undefined && { after }) });
        for (const machine of page) this.#put(machine, toldAtMs);
        after = page.at(-1)?.key;
        if (page.length < PAGE) break;
      }
    } catch (error) {
      this.#toldAtMs = toldAtMs;
      throw error;
    }
    this.#delayMs = 10 * (clock.monotonicMs() - startedMs);
  }

  #put({ key, revision, machine }: RegisteredMachine, toldAtMs: number): void {
    const known = this.#declared.get(key);
    if (known?.revision === revision) return;
    const units = this.#share(machine.metrics.map(({ name, unit }) => [name, unit]));
    if (known === undefined || known.units === units || known.revision === 0) {
      this.#declared.set(key, { ...known, revision, units });
      return;
    }
    const certain = [...units].filter(([metric, unit]) => sameUnit(known.units.get(metric) ?? unit, unit));
    const before = {
      units: known.units,
      certain: this.#share(certain),
      fromMs: toldAtMs - NOTICED_EARLIER_MS,
      // Intake's copy is refreshed like this one, and may have just missed the change.
      untilMs: this.#dependencies.clock.nowMs() + NOTICED_WITHIN_MS + 2 * this.#delayMs,
    };
    this.#declared.set(key, { revision, units, before });
  }

  #share(entries: readonly (readonly [metric: string, unit: string])[]): Units {
    const text = JSON.stringify(entries);
    const known = this.#shared.get(text);
    if (known) return known;
    const units = new Map(entries);
    if (this.#shared.size < MAX_SHARED) this.#shared.set(text, units);
    return units;
  }
}

const NONE: Units = new Map();
/** Intake may have noticed a change so much later than this was told of it, or so much earlier; later still where machines are many. */
const NOTICED_WITHIN_MS = 10_000;
const NOTICED_EARLIER_MS = 2000;
const PAGE = 1000;
const RETRY_MS = 1000;
const MAX_SHARED = 10_000;
