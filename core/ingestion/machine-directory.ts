import { machineRef, type MachineKey } from '../domain/ids.ts';
import type { Clock } from '../clock.ts';
import type { MachineRegistry, RegisteredMachine } from '../ports/machine-registry.ts';
import type { IntakeCounters, TenantCounter } from './intake-counters.ts';
import { MetricCatalogue } from './metric-catalogue.ts';
import type { Receipts, ReceiptScope } from './receipts.ts';
import type { AppendListener } from './turn-publisher.ts';
import { WaveformOrder } from './waveform-order.ts';

/** What intake keeps of a machine, so that a message costs one look-up. */
export interface MachineState {
  readonly key: MachineKey;
  readonly counter: TenantCounter;
  readonly receipts: ReceiptScope;
  /** By eventId: what is on its way to durability, so that the same event meanwhile waits for it. */
  readonly inFlight: Map<string, InFlightEvent>;
  readonly waveforms: WaveformOrder;
  /** Undefined while the machine is not registered. */
  catalogue: MetricCatalogue | undefined;
  revision: number;
}

export type RegisteredState = MachineState & { catalogue: MetricCatalogue };

export interface InFlightEvent {
  /** Tells the listener what became of the event, as soon as that is known. */
  follow(listener: AppendListener): void;
}

/** A copy of the machine registry in memory, refreshed after its changes. */
export class MachineDirectory {
  readonly #registry: MachineRegistry;
  readonly #receipts: Receipts;
  readonly #counters: IntakeCounters;
  readonly #clock: Clock;
  readonly #onProblem: (what: string, error: unknown) => void;
  readonly #states = new Map<MachineKey, MachineState>();
  readonly #lookUps = new Map<MachineKey, { readonly startedMs: number; readonly done: Promise<void> }>();
  #unsubscribe: (() => void) | undefined;
  #refreshDelayMs = MIN_REFRESH_DELAY_MS;
  #refreshTimer: NodeJS.Timeout | undefined;

  constructor(dependencies: {
    readonly registry: MachineRegistry;
    readonly receipts: Receipts;
    readonly counters: IntakeCounters;
    readonly clock: Clock;
    readonly onProblem: (what: string, error: unknown) => void;
  }) {
    this.#registry = dependencies.registry;
    this.#receipts = dependencies.receipts;
    this.#counters = dependencies.counters;
    this.#clock = dependencies.clock;
    this.#onProblem = dependencies.onProblem;
  }

  async start(): Promise<void> {
    this.#unsubscribe = this.#registry.onChange(() => {
      this.#lookUps.clear();
      this.#refreshTimer ??= setTimeout(() => void this.#refreshSoon(), this.#refreshDelayMs);
    });
    await this.#refresh();
  }

  close(): void {
    this.#unsubscribe?.();
    clearTimeout(this.#refreshTimer);
  }

  /** The machine when it is registered, as far as memory knows. */
  find(key: MachineKey): RegisteredState | undefined {
    const state = this.#states.get(key);
    return state?.catalogue === undefined ? undefined : (state as MachineState & { catalogue: MetricCatalogue });
  }

  /** As {@link find}, after asking the registry itself, which it does at most once a second for one key. */
  async lookUp(key: MachineKey): Promise<RegisteredState | undefined> {
    const nowMs = this.#clock.monotonicMs();
    let lookUp = this.#lookUps.get(key);
    if (lookUp === undefined || nowMs - lookUp.startedMs >= LOOK_UP_AGAIN_MS) {
      if (this.#lookUps.size >= MAX_REMEMBERED_LOOK_UPS) this.#lookUps.clear();
      lookUp = { startedMs: nowMs, done: this.#ask(key) };
      this.#lookUps.set(key, lookUp);
    }
    // Whoever comes while the registry is asked waits for its answer: until then nobody knows that the machine is unknown.
    await lookUp.done;
    return this.find(key);
  }

  async #ask(key: MachineKey): Promise<void> {
    try {
      const registered = await this.#registry.getMachine(key);
      if (registered !== undefined) this.#put(registered);
    } catch (error) {
      this.#lookUps.delete(key);
      throw error;
    }
  }

  /** The part of a machine that exists whether or not it is registered. */
  state(key: MachineKey): MachineState {
    let state = this.#states.get(key);
    if (state === undefined) {
      const counter = this.#counters.tenant(machineRef(key).tenant);
      const receipts = this.#receipts.scope(key);
      state = {
        key,
        counter,
        receipts,
        inFlight: new Map(),
        waveforms: new WaveformOrder(),
        catalogue: undefined,
        revision: 0,
      };
      this.#states.set(key, state);
    }
    return state;
  }

  async #refreshSoon(): Promise<void> {
    this.#refreshTimer = undefined;
    try {
      await this.#refresh();
    } catch (error) {
      this.#onProblem('reading the machine registry', error);
      this.#refreshTimer ??= setTimeout(() => void this.#refreshSoon(), LOOK_UP_AGAIN_MS);
    }
  }

  /** Takes at most a tenth of the time, however many machines there are and however often they change. */
  async #refresh(): Promise<void> {
    const startedMs = this.#clock.monotonicMs();
    const gone = new Set([...this.#states.values()].filter((state) => state.catalogue !== undefined));
    let after: MachineKey | undefined;
    for (;;) {
      const page = await this.#registry.listMachines({ limit: PAGE, ...(after === undefined ? {} : { after }) });
      for (const machine of page) {
        gone.delete(this.#put(machine));
      }
      after = page.at(-1)?.key;
      if (page.length < PAGE) break;
    }
    for (const state of gone) state.catalogue = undefined;
    this.#refreshDelayMs = Math.max(MIN_REFRESH_DELAY_MS, 10 * (this.#clock.monotonicMs() - startedMs));
  }

  #put({ key, machine, revision }: RegisteredMachine): MachineState {
    const state = this.state(key);
    if (state.catalogue === undefined || state.revision !== revision) {
      state.catalogue = new MetricCatalogue(machine.metrics);
      state.revision = revision;
    }
    return state;
  }
}

const PAGE = 1000;
const MIN_REFRESH_DELAY_MS = 100;
const LOOK_UP_AGAIN_MS = 1000;
const MAX_REMEMBERED_LOOK_UPS = 10_000;
