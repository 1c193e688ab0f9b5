import type { MachineKey } from '../domain/ids.ts';
import { NO_HISTORY, type MachineHistory } from '../domain/machine-history.ts';
import type { Machine, OperatingState } from '../domain/plant.ts';
import type { RuleOf, VersionedRule } from '../domain/rule.ts';
import { Baseline, type BaselineState } from './baseline.ts';
import { Condition, type ConditionState } from './condition.ts';
import type { DocumentFacts } from './document-facts.ts';
import { MetricRoster, type WatchedMetric } from './metric-roster.ts';
import type { MetricWatch } from './metric-watch.ts';
import { SilenceWatch, type SilenceState } from './silence-watch.ts';
import { ToldStates } from './told-states.ts';

/** A rule bound to what it judges on one machine. */
interface JudgeOf<Kind extends VersionedRule['rule']['kind']> {
  readonly versioned: VersionedRule & { readonly rule: RuleOf<Kind> };
  /** The operating states in which it judges, as bits of {@link stateBit}. */
  readonly gate: number;
  readonly metric?: string;
  readonly sensor?: string;
}

export interface ThresholdJudge extends JudgeOf<'threshold'> {
  readonly metric: string;
  readonly condition: Condition;
  /** Of its limit: the rule's own, else the catalogue's; undefined where neither says. */
  readonly unit: string | undefined;
  /** Of readings that are sent without one: the catalogue's. */
  readonly readingUnit: string | undefined;
}

export interface SilenceJudge extends JudgeOf<'missing-data'> {
  readonly watch: SilenceWatch | MetricWatch;
}

/** Of one metric, one sensor or the whole machine, on the clock of silence. */
type ClockedSilence = SilenceJudge & { readonly watch: SilenceWatch };

export type DocumentRule = VersionedRule & {
  readonly rule: RuleOf<'iso-zone' | 'iso-baseline' | 'feature' | 'model-score'>;
};

export interface DocumentJudge extends JudgeOf<DocumentRule['rule']['kind']> {
  readonly condition: Condition;
  readonly baseline?: Baseline;
}

export type Judge = ThresholdJudge | SilenceJudge | DocumentJudge;

/** What is judged by one metric of one machine. */
export interface MetricJudges {
  readonly thresholds: ThresholdJudge[];
  readonly silences: ClockedSilence[];
}

/** Documents can name what they like: a machine has at most this many values under judgement. */
export const MAX_DOCUMENT_JUDGES = 1024;

/** No state is known: every rule judges. None of the bits that states have together. */
export const ANY_STATE = 15;
export const RUNNING = stateBit('running');
export const MAINTENANCE = stateBit('maintenance');

export function stateBit(state: OperatingState): number {
  return state === 'running' ? 1 : state === 'stopped' ? 2 : 4;
}

/**
 * - `new`: nothing was judged yet.
 * - `live`: judged as it happens.
 * - `replay`: judged in the own time of an import.
 */
export type JudgingMode = 'new' | 'live' | 'replay';

/** Everything that rules know of one machine. */
export class MachineJudges {
  readonly key: MachineKey;
  machine: Machine | undefined;
  mode: JudgingMode = 'new';
  /** Event time of its newest reading in this mode. */
  newestMs = -Infinity;
  /** What was done to it. */
  history: MachineHistory = NO_HISTORY;
  /** Bits of the operating states that it may be in by its readings. */
  toldState = RUNNING;
  /** Those by which rules judge now: as told, or maintenance. */
  state = RUNNING;
  /** The state by its readings, then and now. */
  readonly told = new ToldStates();
  /** Whether silences with a metric or a sensor of their own were told that the machine sends. */
  expectsAll = false;
  /** Event time of its newest waveform in live mode. */
  newestWaveformMs = -Infinity;
  /** Only metrics that a rule names: whatever else a machine sends costs one look-up. */
  readonly byMetric = new Map<string, MetricJudges>();
  /** Silences of the machine as a whole. */
  readonly machineSilences: SilenceJudge[] = [];
  /** Silences of the waveforms of one sensor. */
  readonly sensorSilences: SilenceJudge[] = [];
  readonly silences: ClockedSilence[] = [];
  /** Silences of each metric that matches a pattern. */
  rosters: readonly MetricRoster[] = [];
  readonly thresholds: ThresholdJudge[] = [];
  documentRules: readonly DocumentRule[] = [];
  readonly documents = new Map<string, DocumentJudge>();
  /** Newest document by kind and sensor. */
  readonly newestDocumentMs = new Map<string, number>();

  /** What models say of their learning, by sensor; not kept over a restart: the next prediction says it again. */
  readonly modelsLearning = new Map<string, NonNullable<DocumentFacts['learning']>>();
  /** What was learned of it live, while it is judged in a replay. */
  liveBaselines: readonly JudgeState[] = [];

  constructor(key: MachineKey) {
    this.key = key;
  }

  /** Bits of the operating states that it may have been in, by its readings, at a time or from that until another. */
  stateAt(fromMs: number, untilMs = fromMs + 1): number {
    return this.told.during(fromMs, untilMs) || this.untoldState;
  }

  /** Bits of the operating states that it may be in where no reading tells. */
  get untoldState(): number {
    return (this.machine?.operatingState.from ?? 'always') === 'always' ? RUNNING : ANY_STATE;
  }

  /** Binds the rules that apply, keeping what is known under the same version of the same rule. Returns the judges that are no longer. */
  bind(rules: readonly VersionedRule[]): Judge[] {
    const before = new Map<string, Judge>();
    for (const judge of [...this.thresholds, ...this.silences]) before.set(identity(judge), judge);
    this.#clear();
    const rosters: MetricRoster[] = [];
    for (const versioned of rules) {
      const { rule } = versioned;
      if (rule.kind === 'threshold') this.#addThreshold(before, { ...versioned, rule });
      else if (rule.kind !== 'missing-data') continue;
      else if (rule.metric?.includes('*')) rosters.push(this.#rosterOf({ ...versioned, rule }));
      else this.#addSilence(before, { ...versioned, rule });
    }
    this.documentRules = rules.filter(isDocumentRule);
    const current = new Set(this.documentRules.map((each) => `${each.rule.id}@${each.version}`));
    const gone = [...before.values(), ...this.#takeRosters(rosters)];
    for (const [key, judge] of this.documents) {
      if (current.has(`${judge.versioned.rule.id}@${judge.versioned.version}`)) continue;
      this.documents.delete(key);
      gone.push(judge);
      this.#handOverBaseline(judge);
    }
    return gone;
  }

  /** The judge of one value of documents; undefined when the machine has too many already. */
  documentJudge(versioned: DocumentRule, metric?: string, sensor?: string): DocumentJudge | undefined {
    const key = `${versioned.rule.id}@${versioned.version}|${metric ?? ''}|${sensor ?? ''}`;
    const known = this.documents.get(key);
    if (known || this.documents.size >= MAX_DOCUMENT_JUDGES) return known;
    const { rule } = versioned;
    const direction = rule.kind === 'feature' && rule.direction === 'below' ? -1 : 1;
    const relative = rule.kind === 'iso-baseline' || (rule.kind === 'feature' && rule.relativeTo === 'baseline');
    const judge: DocumentJudge = {
      versioned,
      gate: gateOf(versioned),
      condition: new Condition({ direction, onDelayMs: rule.onDelayMs, offDelayMs: rule.offDelayMs }),
      ...(metric !== undefined && { metric }),
      ...(sensor !== undefined && { sensor }),
      ...(relative && { baseline: new Baseline(rule.baselineDocuments) }),
    };
    this.documents.set(key, judge);
    return judge;
  }

  *judges(): Generator<Judge> {
    yield* this.thresholds;
    yield* this.silences;
    for (const roster of this.rosters) yield* roster.watched();
    yield* this.documents.values();
  }

  #clear(): void {
    this.byMetric.clear();
    this.thresholds.length = 0;
    this.silences.length = 0;
    this.machineSilences.length = 0;
    this.sensorSilences.length = 0;
    this.expectsAll = false;
  }

  /** What is normal for a machine does not begin anew because somebody changed the wording of a rule. */
  #handOverBaseline({ versioned, baseline, metric, sensor }: DocumentJudge): void {
    const known = baseline?.state();
    const successor = this.documentRules.find(({ rule }) => rule.id === versioned.rule.id);
    if (!known || !successor || baselineOf(successor.rule) !== baselineOf(versioned.rule)) return;
    this.documentJudge(successor, metric, sensor)?.baseline?.restore(known);
  }

  /** The roster of a rule: its own, or with what that of another version knew. */
  #rosterOf(versioned: SilenceJudge['versioned']): MetricRoster {
    const known = this.rosters.find((roster) => roster.versioned.rule.id === versioned.rule.id);
    if (known?.versioned.version === versioned.version) return known;
    const roster = new MetricRoster(versioned, gateOf(versioned));
    if (known) roster.restore(known.state());
    return roster;
  }

  /** Puts rosters in place of those before. Returns what is watched no longer. */
  #takeRosters(rosters: readonly MetricRoster[]): WatchedMetric[] {
    const gone = this.rosters.flatMap((roster) => (rosters.includes(roster) ? [] : [...roster.watched()]));
    this.rosters = rosters;
    for (const roster of rosters) gone.push(...roster.describe(this.machine));
    return gone;
  }

  #addThreshold(before: Map<string, Judge>, versioned: ThresholdJudge['versioned']): void {
    const { metric, direction, limit, deadband, onDelayMs, offDelayMs, unit } = versioned.rule;
    const kept = take(before, versioned, metric) as ThresholdJudge | undefined;
    const condition =
      kept?.condition ?? new Condition({ direction: direction === 'above' ? 1 : -1, onDelayMs, offDelayMs });
    condition.setLimit(limit, deadband);
    const readingUnit = this.machine?.metrics.find((each) => each.name === metric)?.unit;
    const units = { unit: unit ?? readingUnit, readingUnit };
    const judge: ThresholdJudge = { versioned, gate: gateOf(versioned), metric, condition, ...units };
    this.thresholds.push(judge);
    this.#ofMetric(metric).thresholds.push(judge);
  }

  #addSilence(before: Map<string, Judge>, versioned: SilenceJudge['versioned']): void {
    const { metric, sensor, afterMs } = versioned.rule;
    const kept = take(before, versioned, metric) as ClockedSilence | undefined;
    const judge: ClockedSilence = {
      versioned,
      gate: gateOf(versioned),
      watch: kept?.watch ?? new SilenceWatch(afterMs),
      ...(metric !== undefined && { metric }),
      ...(sensor !== undefined && { sensor }),
    };
    this.silences.push(judge);
    if (metric !== undefined) this.#ofMetric(metric).silences.push(judge);
    else if (sensor !== undefined) this.sensorSilences.push(judge);
    else this.machineSilences.push(judge);
  }

  #ofMetric(metric: string): MetricJudges {
    let judges = this.byMetric.get(metric);
    if (!judges) this.byMetric.set(metric, (judges = { thresholds: [], silences: [] }));
    return judges;
  }
}

/** A judge's state as plain data. */
export interface JudgeState {
  readonly rule: string;
  readonly version: number;
  readonly metric?: string;
  readonly sensor?: string;
  readonly condition?: ConditionState;
  readonly silence?: SilenceState;
  readonly baseline?: BaselineState;
}

/** Undefined for a judge that has seen nothing worth keeping, and for those of a roster, which has a state of its own. */
export function judgeState(judge: Judge, silenceClockMs: number): JudgeState | undefined {
  const condition = 'condition' in judge ? judge.condition.state() : undefined;
  const silence =
    'watch' in judge && judge.watch instanceof SilenceWatch ? judge.watch.state(silenceClockMs) : undefined;
  const baseline = 'baseline' in judge ? judge.baseline.state() : undefined;
  if (!condition && !silence && !baseline) return undefined;
  const { metric, sensor, versioned } = judge;
  return {
    rule: versioned.rule.id,
    version: versioned.version,
    ...(metric !== undefined && { metric }),
    ...(sensor !== undefined && { sensor }),
    ...(condition && { condition }),
    ...(silence && { silence }),
    ...(baseline && { baseline }),
  };
}

export function isActive(judge: Judge): boolean {
  return 'watch' in judge ? judge.watch.isActive : judge.condition.isActive;
}

function isDocumentRule(versioned: VersionedRule): versioned is DocumentRule {
  return versioned.rule.kind !== 'threshold' && versioned.rule.kind !== 'missing-data';
}

/** How a rule learns what is normal: rules that learn alike can share it. */
function baselineOf(rule: DocumentRule['rule']): string {
  const wanted = 'baselineDocuments' in rule ? rule.baselineDocuments : 0;
  return [rule.kind, 'source' in rule && rule.source, wanted].join('/');
}

function gateOf({ rule }: VersionedRule): number {
  return rule.operatingStates.reduce((bits, state) => bits | stateBit(state), 0);
}

function identity({ versioned, metric }: Judge): string {
  return identityOf(versioned, metric);
}

function identityOf({ rule, version }: VersionedRule, metric: string | undefined): string {
  return `${rule.id}@${version}|${metric ?? ''}`;
}

function take(before: Map<string, Judge>, versioned: VersionedRule, metric: string | undefined): Judge | undefined {
  const key = identityOf(versioned, metric);
  const judge = before.get(key);
  before.delete(key);
  return judge;
}
