import { seedDefaultRules } from '#core/alerting/default-rules.ts';
import type { RuleEngine } from '#core/alerting/rule-engine.ts';
import { machineHistories } from '#core/derivation/machine-histories.ts';
import { machineRef, type MachineKey, type RuleId, type TenantId } from '#core/domain/ids.ts';
import type { VersionedRule } from '#core/domain/rule.ts';
import type { MachineRegistry, RegisteredMachine } from '#core/ports/machine-registry.ts';
import type { RuleStore } from '#core/ports/rule-store.ts';

export interface RulebookDependencies {
  readonly rules: RuleStore;
  readonly machines: Pick<MachineRegistry, 'listMachines' | 'listMachineEvents' | 'onChange'>;
  readonly engine: RuleEngine;
  /** The engine has new rules or machines: what it decided by that waits to be made durable. */
  readonly onApplied: () => void;
  readonly onProblem: (doing: string, error: unknown) => void;
}

const PAGE = 500;
/** What gates judging, and what ends a baseline. */
const HISTORY_KINDS = ['repair', 'bearing-change', 'maintenance-start', 'maintenance-end'] as const;
const SHORTEST_PAUSE_MS = 50;
const FAILURE_PAUSE_MS = 1000;
/** Changes of stores that come without pause cost at most this part of the time. */
const PAUSE_PER_LOAD = 20;

/** Keeps the engine's rules and machines equal to the stores', from their changes on, and gives new tenants the default rules. */
export class Rulebook {
  readonly #dependencies: RulebookDependencies;
  readonly #seeded = new Set<TenantId>();
  readonly #stops: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #loading: Promise<void> = Promise.resolve();
  #pauseMs = SHORTEST_PAUSE_MS;
  #closed = false;
  #machineCount = 0;

  constructor(dependencies: RulebookDependencies) {
    this.#dependencies = dependencies;
  }

  /** Loads rules and machines, and follows their changes from now on. */
  async open(): Promise<void> {
    const { rules, machines } = this.#dependencies;
    for (const store of [rules, machines]) this.#stops.push(store.onChange(() => this.#schedule()));
    await this.#load();
  }

  get machineCount(): number {
    return this.#machineCount;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const stop of this.#stops.splice(0)) stop();
    clearTimeout(this.#timer);
    await this.#loading;
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#timer ??= setTimeout(() => {
      this.#loading = this.#load().catch((error: unknown) => {
        this.#dependencies.onProblem('load rules and machines', error);
        this.#pauseMs = FAILURE_PAUSE_MS;
        this.#timer = undefined;
        this.#schedule();
      });
    }, this.#pauseMs);
  }

  async #load(): Promise<void> {
    this.#timer = undefined;
    const startedMs = performance.now();
    const machines = await this.#machines();
    this.#machineCount = machines.length;
    await this.#seed(machines);
    const rules = await this.#rules();
    const histories = await machineHistories(this.#dependencies.machines, HISTORY_KINDS);
    const { engine, onApplied } = this.#dependencies;
    engine.setMachines(machines);
    engine.setRules(rules);
    engine.setHistories(histories);
    onApplied();
    this.#pauseMs = Math.max(SHORTEST_PAUSE_MS, PAUSE_PER_LOAD * (performance.now() - startedMs));
  }

  async #seed(machines: readonly RegisteredMachine[]): Promise<void> {
    for (const tenant of new Set(machines.map(({ key }) => machineRef(key).tenant))) {
      if (this.#seeded.has(tenant)) continue;
      await seedDefaultRules(this.#dependencies.rules, tenant);
      this.#seeded.add(tenant);
    }
  }

  async #machines(): Promise<readonly RegisteredMachine[]> {
    const all: RegisteredMachine[] = [];
    for (let after: MachineKey | undefined; ; after = all.at(-1)?.key) {
      const page = await this.#dependencies.machines.listMachines({ limit: PAGE, ...(after && { after }) });
      all.push(...page);
      if (page.length < PAGE) return all;
      await breathe();
    }
  }

  async #rules(): Promise<readonly VersionedRule[]> {
    const all: VersionedRule[] = [];
    for (;;) {
      const last = all.at(-1);
      const after = last && { tenant: last.tenant, id: last.rule.id as RuleId };
      const page = await this.#dependencies.rules.list({ limit: PAGE, ...(after && { after }) });
      all.push(...page);
      if (page.length < PAGE) return all;
      await breathe();
    }
  }
}

/** Lets the event loop serve others between two pages, of which each takes some milliseconds. */
function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
