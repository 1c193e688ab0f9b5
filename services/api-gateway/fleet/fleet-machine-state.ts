import type { Alarm } from '#core/domain/alarm.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { maintenanceAt, NO_HISTORY, type MachineHistory } from '#core/domain/machine-history.ts';
import { operatingStateOf, type ToldReading, type ToldState } from '#core/domain/operating-state.ts';
import { priorityRank } from '#core/domain/rule.ts';
import type { LiveMachine } from '#core/live/live-feed.ts';
import type { OpenCount } from '#core/ports/alarm-journal.ts';
import type { RegisteredMachine } from '#core/ports/machine-registry.ts';
import type { LatestValue } from '#core/ports/time-series-store.ts';
import type { FleetMachine, Health } from '../schemas/machines.ts';
import { placeOf } from '../views.ts';

const MAX_REASONS = 3;

/** What the fleet shows of one machine. */
export class FleetMachineState {
  readonly key: MachineKey;
  #registered: RegisteredMachine;
  #counts: OpenCount | undefined;
  /** Worst first. */
  #open: readonly Alarm[] = [];
  /** Of the metric that tells the operating state. */
  #stateReading: ToldReading | undefined;
  #lastSeenMs: number | undefined;
  #history: MachineHistory = NO_HISTORY;
  #view: FleetMachine | undefined;

  constructor(registered: RegisteredMachine) {
    this.key = registered.key;
    this.#registered = registered;
  }

  get registered(): RegisteredMachine {
    return this.#registered;
  }

  get lastSeenMs(): number | undefined {
    return this.#lastSeenMs;
  }

  get history(): MachineHistory {
    return this.#history;
  }

  /** Maintenance that was noted; else what was received last. */
  operatingStateAt(nowMs: number): FleetMachine['operatingState'] {
    if (maintenanceAt(this.#history, nowMs)) return 'maintenance';
    return this.#told().state ?? 'unknown';
  }

  /** Why the reading that should tell the operating state does not; undefined where it does, or is not there. */
  get stateProblem(): string | undefined {
    return this.#told().problem;
  }

  describe(registered: RegisteredMachine): void {
    if (registered.revision === this.#registered.revision) return;
    if (stateMetric(registered) !== stateMetric(this.#registered)) this.#stateReading = undefined;
    this.#registered = registered;
    this.#view = undefined;
  }

  setHistory(history: MachineHistory): void {
    this.#history = history;
    this.#view = undefined;
  }

  setAlarms(counts: OpenCount | undefined, open: readonly Alarm[]): void {
    if (!counts && !this.#counts) return;
    this.#counts = counts;
    this.#open = open.toSorted((a, b) => priorityRank(b.priority) - priorityRank(a.priority)).slice(0, MAX_REASONS);
    this.#view = undefined;
  }

  observe({ receivedAtMs, metrics, units }: LiveMachine): void {
    this.#lastSeenMs = receivedAtMs;
    const metric = stateMetric(this.#registered);
    const value = metric !== undefined && Object.hasOwn(metrics, metric) ? metrics[metric] : undefined;
    if (value !== undefined) this.#stateReading = { value, unit: units?.[metric!] };
    this.#view = undefined;
  }

  /** What the store knows of a machine that nothing has been heard of since the platform started. */
  remember(latest: readonly LatestValue[]): void {
    if (this.#lastSeenMs !== undefined || latest.length === 0) return;
    this.#lastSeenMs = Math.max(...latest.map((value) => value.ts));
    const metric = stateMetric(this.#registered);
    this.#stateReading ??= latest.find((value) => value.metric === metric);
    this.#view = undefined;
  }

  view({ nowMs, staleAfterMs }: { readonly nowMs: number; readonly staleAfterMs: number }): FleetMachine {
    const stale = this.#lastSeenMs === undefined || nowMs - this.#lastSeenMs > staleAfterMs;
    const lastState = this.operatingStateAt(nowMs);
    const operatingState = stale && lastState !== 'maintenance' ? 'unknown' : lastState;
    if (this.#view?.stale !== stale || this.#view.operatingState !== operatingState) {
      this.#view = this.#make(stale, operatingState);
    }
    return this.#view;
  }

  #told(): ToldState {
    return operatingStateOf(this.#registered.machine, () => this.#stateReading);
  }

  #make(stale: boolean, operatingState: FleetMachine['operatingState']): FleetMachine {
    const { machine } = this.#registered;
    const { name, area, line } = machine;
    return {
      ...placeOf(this.key),
      ...(name !== undefined && { name }),
      class: machine.class,
      ...(area !== undefined && { area }),
      ...(line !== undefined && { line }),
      health: this.#health(stale),
      operatingState,
      ...(this.#lastSeenMs !== undefined && { lastSeenMs: this.#lastSeenMs }),
      stale,
      openAlarms: {
        total: this.#counts?.open ?? 0,
        unacknowledged: this.#counts?.unacknowledged ?? 0,
        ...(this.#counts && { highestPriority: this.#counts.worstPriority }),
      },
    };
  }

  #health(stale: boolean): Health {
    if (this.#counts) {
      const urgent = priorityRank(this.#counts.worstPriority) >= priorityRank('high');
      const [worst] = this.#open;
      return {
        status: urgent ? 'critical' : 'warning',
        reasons: this.#open.map(({ title }) => title),
        ...(worst && { sinceMs: worst.raisedAtMs, action: worst.response }),
      };
    }
    if (this.#lastSeenMs === undefined) {
      const action = `Connect its device: npx tribo device add ${this.#registered.machine.id}`;
      return { status: 'unknown', reasons: ['Nothing was ever received'], action };
    }
    if (stale) {
      const action = 'Check power and network of its device, then the sensor.';
      return { status: 'unknown', reasons: ['Nothing received for too long'], sinceMs: this.#lastSeenMs, action };
    }
    return { status: 'ok', reasons: [] };
  }
}

function stateMetric({ machine }: RegisteredMachine): string | undefined {
  return machine.operatingState.from === 'always' ? undefined : machine.operatingState.metric;
}
