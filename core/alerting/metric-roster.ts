import type { Machine } from '../domain/plant.ts';
import type { RuleOf, VersionedRule } from '../domain/rule.ts';
import { MetricWatch, ROUNDS_A_WAIT, type MetricWatchState } from './metric-watch.ts';
import { matches } from './rule-scope.ts';

/** One rule watches so many metrics of a machine at most; what did not keep coming makes room. */
const MAX_WATCHED_METRICS = 512;
/** A pause of the whole machine counts as this part of `afterMs` at most: what it sends first after one must not make all else late. */
const LONGEST_STEP = 1 / 4;

/** A missing-data rule bound to one of the metrics that match its pattern. */
export interface WatchedMetric {
  readonly versioned: VersionedRule & { readonly rule: RuleOf<'missing-data'> };
  /** The operating states in which it judges, as bits. */
  readonly gate: number;
  readonly metric: string;
  readonly watch: MetricWatch;
}

/** A roster's state as plain data. */
export interface RosterState {
  readonly rule: string;
  readonly version: number;
  readonly newestMs: number | null;
  /** How long the round of listening lasts, by the activity clock. */
  readonly roundForMs: number;
  readonly metrics: readonly (readonly [metric: string, ...MetricWatchState])[];
}

/**
 * The metrics that a machine sends, to tell which of them stop while it goes on: a missing-data rule whose metric is a pattern.
 *
 * Its clock is the machine's own activity: time passes with what the machine sends while it is in the rule's states. So a machine that is
 * stopped, in maintenance or wholly silent misses nothing, and the same events decide the same.
 *
 * It watches what the catalogue declares from the machine's first message on, and whatever else comes and keeps coming, see
 * {@link MetricWatch}; not what the catalogue calls optional. It listens in rounds, until each metric was heard: what comes seldom and in
 * messages of its own may be met late, unless it is declared.
 */
export class MetricRoster {
  readonly versioned: WatchedMetric['versioned'];
  readonly gate: number;
  readonly #pattern: string;
  readonly #longestStepMs: number;
  readonly #roundMs: number;
  readonly #watched = new Map<string, WatchedMetric>();
  readonly #clock = { nowMs: 0, roundMs: 0, newestMs: -Infinity };
  #isListening = true;
  #optional: ReadonlySet<string> = new Set();
  #nextRoundMs = -Infinity;

  constructor(versioned: WatchedMetric['versioned'], gate: number) {
    const { metric = '*', afterMs } = versioned.rule;
    this.versioned = versioned;
    this.gate = gate;
    this.#pattern = metric;
    this.#longestStepMs = afterMs * LONGEST_STEP;
    this.#roundMs = afterMs / ROUNDS_A_WAIT;
  }

  /** Takes what the machine's catalogue says of metrics. Returns those that are watched no longer. */
  describe(machine: Machine | undefined): readonly WatchedMetric[] {
    const definitions = machine?.metrics ?? [];
    this.#optional = new Set(definitions.filter(({ optional }) => optional).map(({ name }) => name));
    const gone = [...this.#watched.values()].filter(({ metric }) => this.#optional.has(metric));
    for (const { metric } of gone) this.#watched.delete(metric);
    const declared = new Set(definitions.map(({ name }) => name));
    for (const metric of declared) this.meet(metric);
    for (const { metric, watch } of this.#watched.values()) watch.isDeclared = declared.has(metric);
    return gone;
  }

  /** The watch of a metric, from now on where it is new; undefined where it is not to be watched. */
  meet(metric: string): WatchedMetric | undefined {
    const known = this.#watched.get(metric);
    if (known || this.#optional.has(metric) || !matches(this.#pattern, metric)) return known;
    if (this.isFull) return undefined;
    const watch = new MetricWatch(this.versioned.rule.afterMs, this.#clock);
    const watched = { versioned: this.versioned, gate: this.gate, metric, watch };
    this.#watched.set(metric, watched);
    this.#isListening = true;
    return watched;
  }

  forget(metric: string): void {
    this.#watched.delete(metric);
  }

  watched(): IterableIterator<WatchedMetric> {
    return this.#watched.values();
  }

  get isFull(): boolean {
    return this.#watched.size >= MAX_WATCHED_METRICS;
  }

  /** False when each metric was heard in this round: until the next one nothing has to be heard. */
  get isListening(): boolean {
    return this.#isListening;
  }

  /** To be called when a message was heard, and when something is awaited again. Allocates nothing. */
  listen(): void {
    this.#isListening = this.#watched.size === 0;
    for (const { watch } of this.#watched.values()) if (watch.isAwaited) this.#isListening = true;
  }

  /** The machine sent something of this time. True when a round begins: then it is time to look for what is missed. Allocates nothing. */
  advance(ts: number, isInState: boolean): boolean {
    const stepMs = ts - this.#clock.newestMs;
    if (!(stepMs > 0)) return false;
    this.#clock.newestMs = ts;
    if (isInState && stepMs < Infinity) this.#clock.nowMs += Math.min(stepMs, this.#longestStepMs);
    if (ts < this.#nextRoundMs) return false;
    this.#planRound();
    this.#clock.roundMs = this.#clock.nowMs;
    this.#isListening = true;
    return isInState;
  }

  state(): RosterState {
    const { rule, version } = this.versioned;
    const { newestMs, nowMs, roundMs } = this.#clock;
    const metrics = [...this.#watched.values()].map(({ metric, watch }) => [metric, ...watch.state()] as const);
    return {
      rule: rule.id,
      version,
      newestMs: Number.isFinite(newestMs) ? newestMs : null,
      roundForMs: nowMs - roundMs,
      metrics,
    };
  }

  /** Takes a state back; where that of another version of the rule, what is known of the metrics without what was missed. */
  restore({ version, newestMs, roundForMs, metrics }: RosterState): void {
    this.#clock.newestMs = newestMs ?? -Infinity;
    this.#clock.roundMs = this.#clock.nowMs - roundForMs;
    if (newestMs !== null) this.#planRound();
    for (const [metric, ...state] of metrics) {
      this.meet(metric)?.watch.restore(state, { isSame: version === this.versioned.version });
    }
    this.listen();
  }

  /** On a grid of event time, so that it is the same after a restart. */
  #planRound(): void {
    this.#nextRoundMs = (Math.floor(this.#clock.newestMs / this.#roundMs) + 1) * this.#roundMs;
  }
}
