import type { Clock } from '#core/clock.ts';
import { machineHistories } from '#core/derivation/machine-histories.ts';
import type { Alarm } from '#core/domain/alarm.ts';
import { machineRef, type MachineKey, type TenantId } from '#core/domain/ids.ts';
import { NO_HISTORY } from '#core/domain/machine-history.ts';
import type { LiveFeed, LiveMachine } from '#core/live/live-feed.ts';
import type { DevicePresence } from '#core/ports/device-gateway.ts';
import type { AlarmJournal } from '#core/ports/alarm-journal.ts';
import type { MachineRegistry, RegisteredMachine } from '#core/ports/machine-registry.ts';
import type { TimeSeriesStore } from '#core/ports/time-series-store.ts';
import type { Fleet } from '../schemas/machines.ts';
import { DeviceBoard } from './device-board.ts';
import { FleetMachineState } from './fleet-machine-state.ts';
import { fleetBoard, fleetPage, type FleetBoard, type FleetFilter } from './fleet-page.ts';

export interface FleetDependencies {
  readonly clock: Clock;
  readonly machines: MachineRegistry;
  readonly alarms: AlarmJournal;
  readonly store: Pick<TimeSeriesStore, 'latest'>;
  readonly live: readonly LiveFeed[];
  readonly staleAfterMs: number;
  readonly pulseMs: number;
  readonly onProblem: (what: string, error: unknown) => void;
}

/** What a pulse found changed, by tenant. */
export type Pulse = ReadonlyMap<TenantId, readonly LiveMachine[]>;

const PAGE = 1000;
const ALARMS_WITH_REASONS = 1000;
const LOOK_UPS_AT_ONCE = 8;

/**
 * All machines with their health, state and alarms, in memory: the registry's copy is refreshed after its changes, open alarms after the
 * journal's, and what is live once a pulse. A fleet of 20,000 costs no query a machine, whoever asks how often.
 */
export class FleetSummary {
  readonly #dependencies: FleetDependencies;
  readonly #tenants = new Map<TenantId, Map<MachineKey, FleetMachineState>>();
  /** Made when somebody asks, good until the next pulse or change. */
  readonly #boards = new Map<TenantId, FleetBoard>();
  readonly #presence = new DeviceBoard();
  readonly #cursors = new Map<LiveFeed, string>();
  readonly #listeners = new Set<(pulse: Pulse, presence: readonly DevicePresence[]) => void>();
  readonly #stop = new AbortController();
  readonly #unsubscribe: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #machinesChanged = false;
  #alarmsChanged = true;
  #refreshedMs = 0;
  #pulsing: Promise<void> | undefined;

  constructor(dependencies: FleetDependencies) {
    this.#dependencies = dependencies;
  }

  /** Reads the machines; then the summary is complete but for when machines were last seen, which follows in the background. */
  async start(): Promise<void> {
    const { machines, alarms, pulseMs, onProblem } = this.#dependencies;
    this.#unsubscribe.push(
      machines.onChange(() => (this.#machinesChanged = true)),
      alarms.onChange(() => (this.#alarmsChanged = true)),
    );
    await this.#readMachines();
    await this.pulse();
    this.#timer = setInterval(() => void this.pulse(), pulseMs);
    void this.#readLastSeen().catch((error: unknown) => onProblem('reading when machines were last seen', error));
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#stop.abort();
    for (const stop of this.#unsubscribe) stop();
    await this.#pulsing;
  }

  /** Calls back after each pulse, also of one that found nothing: what did not fit into the last one may be sent now. */
  onPulse(listener: (pulse: Pulse, presence: readonly DevicePresence[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Brings the summary up to date. What fails is tried again at the next pulse. */
  pulse(): Promise<void> {
    this.#pulsing ??= this.#pulse().finally(() => (this.#pulsing = undefined));
    return this.#pulsing;
  }

  list(tenant: TenantId, filter: FleetFilter): Fleet {
    const { clock, staleAfterMs } = this.#dependencies;
    let board = this.#boards.get(tenant);
    if (!board) {
      board = fleetBoard(this.#tenants.get(tenant)?.values() ?? [], { nowMs: clock.nowMs(), staleAfterMs });
      this.#boards.set(tenant, board);
    }
    return fleetPage(board, filter, this.#refreshedMs);
  }

  /** The machine as the fleet shows it. */
  get(key: MachineKey): FleetMachineState | undefined {
    return this.#tenants.get(machineRef(key).tenant)?.get(key);
  }

  /** The tenant's machines of that name, one a site at most. */
  named(tenant: TenantId, machine: string): readonly MachineKey[] {
    const suffix = `/${machine}`;
    return [...(this.#tenants.get(tenant)?.keys() ?? [])].filter((key) => key.endsWith(suffix));
  }

  /** Which devices are there. */
  get presence(): DeviceBoard {
    return this.#presence;
  }

  /** Takes a change that was made here, so that it is seen at once. */
  put(registered: RegisteredMachine): void {
    const { tenant } = machineRef(registered.key);
    this.#boards.delete(tenant);
    const machines = this.#tenants.get(tenant) ?? new Map<MachineKey, FleetMachineState>();
    this.#tenants.set(tenant, machines);
    const known = machines.get(registered.key);
    if (known) known.describe(registered);
    else machines.set(registered.key, new FleetMachineState(registered));
  }

  remove(key: MachineKey): void {
    const { tenant } = machineRef(key);
    this.#tenants.get(tenant)?.delete(key);
    this.#boards.delete(tenant);
  }

  async #pulse(): Promise<void> {
    const { clock, onProblem } = this.#dependencies;
    const attempt = async (what: string, work: () => Promise<void>) => {
      try {
        await work();
      } catch (error) {
        onProblem(what, error);
      }
    };
    if (this.#machinesChanged) await attempt('reading the machine registry', () => this.#readMachines());
    if (this.#alarmsChanged) await attempt('reading the open alarms', () => this.#readAlarms());
    await attempt('reading what is live', () => this.#readLive());
    this.#boards.clear();
    this.#refreshedMs = clock.nowMs();
  }

  async #readMachines(): Promise<void> {
    const { machines } = this.#dependencies;
    this.#machinesChanged = false;
    const gone = new Set<MachineKey>();
    for (const own of this.#tenants.values()) for (const key of own.keys()) gone.add(key);
    try {
      for (let after: MachineKey | undefined; ;) {
        const page = await machines.listMachines({ limit: PAGE, ...(after !== undefined && { after }) });
        for (const registered of page) {
          this.put(registered);
          gone.delete(registered.key);
        }
        after = page.at(-1)?.key;
        if (page.length < PAGE) break;
      }
      const histories = await machineHistories(machines, ['maintenance-start', 'maintenance-end']);
      for (const own of this.#tenants.values()) {
        for (const [key, state] of own) state.setHistory(histories.get(key) ?? NO_HISTORY);
      }
    } catch (error) {
      this.#machinesChanged = true;
      throw error;
    }
    // One that was put while the pages were read was not in them; the change it caused brings another reading.
    if (!this.#isMachinesChanged()) for (const key of gone) this.remove(key);
    this.#alarmsChanged = true;
  }

  /** A method, because the flag may have been set again while something was awaited. */
  #isMachinesChanged(): boolean {
    return this.#machinesChanged;
  }

  async #readAlarms(): Promise<void> {
    const { alarms } = this.#dependencies;
    this.#alarmsChanged = false;
    try {
      for (const [tenant, machines] of this.#tenants) {
        const [counts, open] = await Promise.all([
          alarms.openCounts(tenant),
          alarms.list({ tenant, limit: ALARMS_WITH_REASONS }),
        ]);
        const byMachine = Map.groupBy(open, (alarm: Alarm) => alarm.machine);
        for (const [key, state] of machines) state.setAlarms(counts.get(key), byMachine.get(key) ?? []);
      }
    } catch (error) {
      this.#alarmsChanged = true;
      throw error;
    }
  }

  async #readLive(): Promise<void> {
    const pulse = new Map<TenantId, LiveMachine[]>();
    const presence: DevicePresence[] = [];
    for (const feed of this.#dependencies.live) {
      const changes = await feed.changes(this.#cursors.get(feed));
      this.#cursors.set(feed, changes.cursor);
      for (const machine of changes.machines) {
        this.get(machine.key)?.observe(machine);
        const { tenant } = machineRef(machine.key);
        const own = pulse.get(tenant);
        if (own) own.push(machine);
        else pulse.set(tenant, [machine]);
      }
      this.#presence.take(changes);
      presence.push(...changes.presence);
    }
    for (const listener of this.#listeners) listener(pulse, presence);
  }

  /** Once after a start: machines that are heard of again meanwhile are left out. */
  async #readLastSeen(): Promise<void> {
    const states = [...this.#tenants.values()].flatMap((machines) => [...machines.values()]);
    const next = states.values();
    const work = async () => {
      for (const state of next) {
        if (this.#stop.signal.aborted) return;
        if (state.lastSeenMs !== undefined) continue;
        state.remember(await this.#dependencies.store.latest(state.key, { signal: this.#stop.signal }));
      }
    };
    await Promise.all(Array.from({ length: LOOK_UPS_AT_ONCE }, work));
  }
}
