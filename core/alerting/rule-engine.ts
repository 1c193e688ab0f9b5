import { derivedId } from '../derivation/derived-event.ts';
import {
  partKey,
  type Alarm,
  type ConditionTransition,
  type PartDetails,
  type ReturnToNormal,
} from '../domain/alarm.ts';
import type { MachineEvent } from '../domain/event.ts';
import { machineRef, type MachineKey, type TenantId } from '../domain/ids.ts';
import { maintenanceAt, NO_HISTORY, type MachineHistory } from '../domain/machine-history.ts';
import { operatingStateOf } from '../domain/operating-state.ts';
import type { TelemetryBody } from '../domain/reading.ts';
import type { VersionedRule } from '../domain/rule.ts';
import { convertUnit, sameUnit } from '../domain/units.ts';
import type { RegisteredMachine } from '../ports/machine-registry.ts';
import type { DerivedDocument } from '../ports/time-series-store.ts';
import { ACTIVATED, RETURNED } from './condition.ts';
import { documentFacts, type DocumentFacts } from './document-facts.ts';
import { judgeDocument } from './judge-document.ts';
import { learningOf, type Learning } from './learning.ts';
import {
  ANY_STATE,
  isActive,
  judgeState,
  MachineJudges,
  MAINTENANCE,
  MAX_DOCUMENT_JUDGES,
  stateBit,
  type Judge,
  type JudgeState,
  type MetricJudges,
  type SilenceJudge,
  type ThresholdJudge,
} from './machine-judges.ts';
import type { RosterState } from './metric-roster.ts';
import { comparison, duration, partDetails } from './part-details.ts';
import { appliesTo } from './rule-scope.ts';
import { SilenceWatch } from './silence-watch.ts';
import type { ToldRun } from './told-states.ts';

export interface RuleEngineOptions {
  /** A reading so much older than its machine's newest is not judged. */
  readonly latenessMs: number;
  /** A live document so much older than its machine's newest reading is not judged: what makes documents may lag behind. Default 15 min. */
  readonly documentLatenessMs?: number;
  /** Machines judged at once. Default 100,000. */
  readonly maxMachines?: number;
  /** Told once of each version of a rule and each unit that does not convert to the rule's, of at most 1000. */
  readonly onUnitMismatch?: (mismatch: {
    /** The first machine that sent it. */
    readonly machine: MachineKey;
    readonly rule: string;
    readonly metric: string;
    readonly readingUnit: string;
    readonly ruleUnit: string;
  }) => void;
}

/** Where transitions go, in the order in which they were decided. */
export type TransitionSink = (transition: ConditionTransition) => void;

/** Messages and documents by what became of them. */
export interface EngineCounts {
  readonly judged: number;
  /** Older than its machine's newest by more than the lateness. */
  readonly late: number;
  /** Imported for a machine that is live. */
  readonly imported: number;
  /** Of machines beyond the bound. */
  readonly refused: number;
  /** Readings that a rule did not judge because they do not convert to its unit. */
  readonly unitMismatch: number;
}

/** What the engine knows of one machine, as plain data; JSON keeps it exactly. */
export interface MachineSnapshot {
  readonly version: 1;
  readonly key: MachineKey;
  readonly mode: MachineJudges['mode'];
  readonly newestMs: number | null;
  readonly told?: readonly ToldRun[];
  /** In place of `told`, before that was kept: the state's bits, and when it was last told. */
  readonly state?: number;
  readonly stateAtMs?: number | null;
  readonly newestDocumentMs: readonly (readonly [source: string, ts: number])[];
  readonly judges: readonly JudgeState[];
  /** What was learned live, while it is judged in a replay. */
  readonly liveBaselines?: readonly JudgeState[];
  /** Absent where it was saved before there were any. */
  readonly rosters?: readonly RosterState[];
}

type Origin = Pick<MachineEvent, 'key' | 'acceptedAtMs' | 'imported' | 'traceparent'> & {
  /** It came long ago and could not be judged then: it opens no mode, and nobody is heard by it. */
  readonly again?: true;
};

const DEFAULT_DOCUMENT_LATENESS_MS = 900_000;
const DEFAULT_MAX_MACHINES = 100_000;
const MAX_MISMATCHES_TOLD = 1000;

/**
 * Judges readings and derived documents by rules, and says when conditions come and go. A state machine over events: without clock, ids or
 * input of its own, so that the same events after {@link RuleEngine.restoreMachine} give the same transitions with the same ids, and a
 * journal that has them already takes none twice.
 *
 * **Time.** Delays run in event time. Silence alone needs a clock, and gets one that the caller moves, see {@link RuleEngine.tick}.
 *
 * **Late data** - older than `latenessMs` behind its machine's newest reading - is not judged. The newest reading's time counts up to
 * when the edge accepted it, so that a clock that is ahead does not make late what comes in time.
 *
 * **Imports** never raise a live alarm. For a machine that is not live, or was silent before the imported data's time and has no
 * condition active, an import is judged as a *replay*: in its own event time, by the same rules, as if the machine were living through it;
 * its alarms say so (`replayed`), call nobody, and never join live ones. Silence is not judged in a replay: recordings pause. When the
 * machine goes live, the replay's active conditions return with cause `replay-ended` and judging begins anew, with the baselines that were
 * learned live: a replay learns its own.
 *
 * **Operating state** gates every rule by `operatingStates`; while it is not known, all rules judge. Readings and documents are gated by the
 * state of their own time, whenever they come: see {@link ToldStates}; a document by the one that it carries, if it does; a window of readings
 * by all states in it. When the machine leaves a rule's states its condition returns with cause `operating-state`, at once where that was
 * raised by what came late. Maintenance that people noted, however late, overrules what readings tell.
 */
export class RuleEngine {
  readonly #latenessMs: number;
  readonly #documentLatenessMs: number;
  readonly #maxMachines: number;
  readonly #onUnitMismatch: RuleEngineOptions['onUnitMismatch'];
  readonly #mismatchesTold = new Set<string>();
  readonly #emit: TransitionSink;
  readonly #machines = new Map<MachineKey, MachineJudges>();
  readonly #rules = new Map<TenantId, VersionedRule[]>();
  readonly #registered = new Map<MachineKey, RegisteredMachine>();
  /** By metric, of machines that were asked about: that is asked for every reading. */
  readonly #declaredUnits = new Map<MachineKey, ReadonlyMap<string, string>>();
  #histories: ReadonlyMap<MachineKey, MachineHistory> = new Map();
  readonly #counts = { judged: 0, late: 0, imported: 0, refused: 0, unitMismatch: 0 };
  #silenceClockMs = 0;
  /** Of the event that is being judged. */
  #traceparent: string | undefined;
  #isAgain = false;

  constructor(options: RuleEngineOptions, emit: TransitionSink) {
    this.#latenessMs = options.latenessMs;
    this.#documentLatenessMs = options.documentLatenessMs ?? DEFAULT_DOCUMENT_LATENESS_MS;
    this.#maxMachines = options.maxMachines ?? DEFAULT_MAX_MACHINES;
    this.#onUnitMismatch = options.onUnitMismatch;
    this.#emit = emit;
  }

  get counts(): EngineCounts {
    return { ...this.#counts };
  }

  get machineCount(): number {
    return this.#machines.size;
  }

  /** Puts these rules in force, of all tenants. Conditions of rules that are gone or changed return; the others are kept. */
  setRules(rules: readonly VersionedRule[]): void {
    this.#traceparent = undefined;
    this.#rules.clear();
    for (const rule of rules) {
      const ofTenant = this.#rules.get(rule.tenant);
      if (ofTenant) ofTenant.push(rule);
      else this.#rules.set(rule.tenant, [rule]);
    }
    for (const judges of this.#machines.values()) this.#bind(judges);
  }

  /** Takes the descriptions of all machines. A machine that was described and is no longer is forgotten, its conditions return. */
  setMachines(machines: readonly RegisteredMachine[]): void {
    this.#traceparent = undefined;
    const before = new Map(this.#registered);
    this.#registered.clear();
    this.#declaredUnits.clear();
    for (const registered of machines) {
      this.#registered.set(registered.key, registered);
      const known = before.get(registered.key);
      before.delete(registered.key);
      const judges = this.#machines.get(registered.key);
      if (judges && known?.revision !== registered.revision) this.#describe(judges, registered);
    }
    for (const key of before.keys()) this.#forget(key);
  }

  /**
   * Takes what was done to machines; those that are absent have no history. Maintenance gates from the machine's next reading, document or
   * tick on, and repairs start baselines anew.
   */
  setHistories(histories: ReadonlyMap<MachineKey, MachineHistory>): void {
    this.#histories = histories;
    for (const judges of this.#machines.values()) judges.history = histories.get(judges.key) ?? NO_HISTORY;
  }

  /** The unit of a machine's metric by its description; undefined where that says none. */
  declaredUnit(machine: MachineKey, metric: string): string | undefined {
    let units = this.#declaredUnits.get(machine);
    if (units === undefined) {
      const { metrics = [] } = this.#registered.get(machine)?.machine ?? {};
      units = new Map(metrics.map(({ name, unit }) => [name, unit]));
      this.#declaredUnits.set(machine, units);
    }
    return units.get(metric);
  }

  /** Judges one device message. */
  observe(origin: Origin, body: TelemetryBody): void {
    const judges = this.#machines.get(origin.key) ?? this.#add(origin.key);
    this.#traceparent = origin.traceparent;
    this.#isAgain = origin.again === true;
    if (!judges || !this.#admit(judges, origin, body.ts)) return;
    this.#counts.judged++;
    const source = judges.machine?.operatingState;
    if (source && source.from !== 'always') followState(judges, body);
    judges.toldState = judges.stateAt(judges.newestMs);
    this.#applyState(judges, judges.newestMs, Math.max(body.ts, judges.newestMs));
    if (judges.mode === 'live') this.#hearMachine(judges, body.ts);
    if (judges.rosters.length > 0) this.#listen(judges, body);
    if (judges.byMetric.size === 0) return;
    const { metrics } = body;
    const ownMs = Math.min(body.ts, judges.newestMs);
    const state = maintenanceAt(judges.history, body.ts) ? MAINTENANCE : judges.stateAt(ownMs);
    for (const metric in metrics) {
      const byMetric = judges.byMetric.get(metric);
      if (byMetric === undefined) continue;
      const entry = metrics[metric]!;
      if (typeof entry === 'number') this.#judgeReading(judges, byMetric, state, body.ts, entry, undefined);
      else if (entry.quality !== 'bad') this.#judgeReading(judges, byMetric, state, body.ts, entry.value, entry.unit);
    }
    // It tells of its own time: what it found may be over by now.
    if (state !== judges.state) this.#endThresholds(judges, judges.newestMs);
  }

  /** Judges one derived document: features, a window of readings, or a prediction. */
  observeDocument(origin: Origin, document: DerivedDocument): void {
    const judges = this.#machines.get(origin.key) ?? this.#add(origin.key);
    this.#traceparent = origin.traceparent;
    this.#isAgain = origin.again === true;
    if (!judges) return;
    if (judges.documentRules.length === 0 && judges.silences.length === 0 && judges.rosters.length === 0) return;
    if (!this.#admitDocument(judges, origin, document)) return;
    this.#counts.judged++;
    const newestMs = Math.max(judges.newestMs, document.ts);
    judges.toldState = judges.stateAt(newestMs);
    this.#applyState(judges, newestMs, newestMs);
    if (document.kind === 'features' && judges.mode === 'live') this.#hearWaveform(judges, document);
    const facts = documentFacts(document);
    if (document.kind === 'prediction') followModel(judges, document, facts);
    const { fromMs = document.ts, operatingState } = facts;
    const untilMs = Math.max(document.ts, fromMs + 1);
    const told = operatingState === undefined ? judges.stateAt(fromMs, untilMs) : stateBit(operatingState);
    const state = maintenanceAt(judges.history, fromMs, document.ts) ? MAINTENANCE : told;
    judgeDocument(judges, document, facts, state, {
      activated: (judge, part) => this.#activate(judges, document.ts, part, judge),
      returned: (judge, cause) => this.#return(judges, document.ts, judge, cause),
    });
    // A document tells of its own time: what it found may be over by now.
    const toldMs = judges.told.newestMs;
    if (document.ts < toldMs || judges.state === MAINTENANCE) {
      this.#endDocuments(judges, judges.state === MAINTENANCE ? newestMs : toldMs);
    }
  }

  /**
   * Moves the silence clock and judges who is silent. Call it every second or so, but not while events wait that the engine was not given:
   * time in which it is not fed says nothing about machines. Long gaps (a suspended laptop) should count as short ones.
   *
   * While `waveformsWait` to become features, what was last heard of by a waveform is not judged: its next one may be among them. With
   * `nowMs`, the time of day, maintenance begins and ends for machines that send nothing.
   */
  tick(
    elapsedMs: number,
    { waveformsWait = false, nowMs }: { readonly waveformsWait?: boolean; readonly nowMs?: number } = {},
  ): void {
    this.#silenceClockMs += elapsedMs;
    this.#traceparent = undefined;
    for (const judges of this.#machines.values()) {
      if (judges.mode !== 'live') continue;
      if (nowMs !== undefined && judges.history.maintenance.length > 0) this.#applyState(judges, nowMs, nowMs);
      for (const judge of judges.silences) {
        if ((judge.gate & judges.state) === 0) continue;
        if (waveformsWait && (judge.sensor !== undefined || judge.watch.heardTsMs > judges.newestMs)) continue;
        if (judge.watch.check(this.#silenceClockMs)) this.#silent(judges, judge);
      }
      // Not as they come: readings of the same time may wait while waveforms do not.
      if (judges.newestWaveformMs > judges.newestMs && advance(judges, judges.newestWaveformMs)) {
        this.#lookForMissing(judges);
      }
    }
  }

  /** Whether a condition is still as a transition left it: then that may be recorded late, and nothing that is over is. */
  holds(transition: ConditionTransition): boolean {
    const { machine, atMs, type, replayed } = transition;
    const judges = this.#machines.get(machine);
    const key = type === 'activate' ? transition.part.key : transition.partKey;
    const active = [...(judges?.judges() ?? [])].find(
      (judge) => isActive(judge) && partKey(judge.versioned.rule.id, judge.metric, judge.sensor) === key,
    );
    if (type === 'return' || !active) return type === 'return' && !active;
    const { decidedMs } = 'watch' in active ? active.watch : active.condition;
    return decidedMs === atMs && (judges?.mode === 'replay') === replayed;
  }

  /** What is still being learned of a machine; nothing of one that was never judged. */
  learning(key: MachineKey): readonly Learning[] {
    const judges = this.#machines.get(key);
    return judges ? learningOf(judges) : [];
  }

  /** What is known of a machine; undefined for one that was never judged. */
  snapshotMachine(key: MachineKey): MachineSnapshot | undefined {
    const judges = this.#machines.get(key);
    if (!judges) return undefined;
    return {
      version: 1,
      key,
      mode: judges.mode,
      newestMs: Number.isFinite(judges.newestMs) ? judges.newestMs : null,
      told: judges.told.state(),
      newestDocumentMs: [...judges.newestDocumentMs],
      judges: [...judges.judges()].flatMap((judge) => judgeState(judge, this.#silenceClockMs) ?? []),
      ...(judges.liveBaselines.length > 0 && { liveBaselines: judges.liveBaselines }),
      ...(judges.rosters.length > 0 && { rosters: judges.rosters.map((roster) => roster.state()) }),
    };
  }

  /**
   * Takes a machine's state back, in place of what is held of it. Rules and machines must have been set; conditions whose rule is gone or
   * changed since return.
   */
  restoreMachine(saved: MachineSnapshot): void {
    this.#machines.delete(saved.key);
    const judges = this.#add(saved.key);
    if (!judges) return;
    judges.mode = saved.mode;
    judges.newestMs = saved.newestMs ?? -Infinity;
    if (judges.untoldState === ANY_STATE) judges.told.restore(toldOf(saved));
    for (const [source, ts] of saved.newestDocumentMs) {
      judges.newestDocumentMs.set(source, ts);
      if (source.startsWith('features/')) judges.newestWaveformMs = Math.max(judges.newestWaveformMs, ts);
    }
    const newestMs = Math.max(judges.newestMs, ...judges.newestDocumentMs.values());
    judges.toldState = judges.stateAt(newestMs);
    judges.state = maintenanceAt(judges.history, newestMs) ? MAINTENANCE : judges.toldState;
    judges.liveBaselines = saved.liveBaselines ?? [];
    for (const state of saved.judges) this.#restoreJudge(judges, state);
    for (const state of saved.rosters ?? []) this.#restoreRoster(judges, state);
  }

  /**
   * Takes from a journal which conditions are active, for what the engine does not know to be: then they return when their values do. Call
   * it after a start, when all that was restored and taken again is journalled.
   */
  adopt(alarms: readonly Alarm[]): void {
    this.#traceparent = undefined;
    for (const alarm of alarms) {
      const judges = this.#machines.get(alarm.machine) ?? this.#add(alarm.machine);
      if (!judges) continue;
      const mode = alarm.replayed ? 'replay' : 'live';
      if (judges.mode === 'new') judges.mode = mode;
      if (judges.mode !== mode) continue;
      for (const part of alarm.parts.filter((each) => each.active)) {
        const judge = this.#judgeOf(judges, { rule: part.rule.id, version: part.rule.version, ...subjectOf(part) });
        if (!judge) this.#returnGone(judges, part, part.lastAtMs);
        else if (isActive(judge)) continue;
        else if ('watch' in judge) judge.watch.adopt(part.lastAtMs, this.#silenceClockMs);
        else judge.condition.adopt(part.lastAtMs);
      }
    }
  }

  #add(key: MachineKey): MachineJudges | undefined {
    if (this.#machines.size >= this.#maxMachines) {
      this.#counts.refused++;
      return undefined;
    }
    const judges = new MachineJudges(key);
    judges.machine = this.#registered.get(key)?.machine;
    judges.history = this.#histories.get(key) ?? NO_HISTORY;
    judges.toldState = judges.state = judges.untoldState;
    this.#machines.set(key, judges);
    this.#bind(judges);
    return judges;
  }

  #bind(judges: MachineJudges): void {
    const rules = this.#rules.get(machineRef(judges.key).tenant) ?? [];
    const gone = judges.bind(rules.filter((rule) => appliesTo(rule, judges.key, judges.machine)));
    for (const judge of gone) this.#drop(judges, judge, 'rule-changed');
  }

  #describe(judges: MachineJudges, { machine }: RegisteredMachine): void {
    const sourceBefore = JSON.stringify(judges.machine?.operatingState);
    judges.machine = machine;
    if (JSON.stringify(machine.operatingState) !== sourceBefore) forgetState(judges);
    this.#bind(judges);
  }

  #forget(key: MachineKey): void {
    const judges = this.#machines.get(key);
    if (!judges) return;
    for (const judge of judges.judges()) this.#drop(judges, judge, 'rule-changed');
    this.#machines.delete(key);
  }

  /** Whether a message's readings are judged, and in which mode. */
  #admit(judges: MachineJudges, { imported, acceptedAtMs }: Origin, ts: number): boolean {
    const mode = imported ? 'replay' : 'live';
    if (judges.mode !== mode) {
      if (this.#isAgain && judges.mode !== 'new') {
        this.#counts.late++;
        return false;
      }
      if (imported && judges.mode === 'live' && (ts <= judges.newestMs || [...judges.judges()].some(isActive))) {
        this.#counts.imported++;
        return false;
      }
      this.#switchMode(judges, mode);
    }
    if (ts < judges.newestMs - this.#latenessMs) {
      this.#counts.late++;
      return false;
    }
    const newestMs = imported ? ts : Math.min(ts, acceptedAtMs);
    if (newestMs > judges.newestMs) judges.newestMs = newestMs;
    return true;
  }

  #switchMode(judges: MachineJudges, mode: 'live' | 'replay'): void {
    if (judges.mode !== 'new') {
      const learned = mode === 'replay' ? baselinesOf(judges) : judges.liveBaselines;
      for (const judge of judges.judges()) this.#drop(judges, judge, 'replay-ended');
      judges.newestMs = -Infinity;
      judges.newestWaveformMs = -Infinity;
      forgetState(judges);
      judges.documents.clear();
      judges.newestDocumentMs.clear();
      judges.bind([]);
      this.#bind(judges);
      // A recording teaches nothing of the machine as it is now, and what that has taught is there when it goes on.
      judges.liveBaselines = mode === 'replay' ? learned : [];
      if (mode === 'live') for (const state of learned) this.#restoreJudge(judges, state);
    }
    judges.mode = mode;
  }

  #admitDocument(judges: MachineJudges, { imported }: Origin, { kind, sensor, ts }: DerivedDocument): boolean {
    // A document does not open a mode: its readings or its machine's did, and what was imported stays so.
    if (judges.mode === 'new') judges.mode = imported ? 'replay' : 'live';
    if ((judges.mode === 'replay') !== (imported === true)) {
      this.#counts.imported++;
      return false;
    }
    const source = `${kind}/${sensor ?? ''}`;
    const newestMs = judges.newestDocumentMs.get(source) ?? -Infinity;
    const isLate = ts < newestMs - this.#latenessMs || (!imported && ts < judges.newestMs - this.#documentLatenessMs);
    if (isLate) {
      this.#counts.late++;
      return false;
    }
    if (ts > newestMs) judges.newestDocumentMs.set(source, ts);
    return true;
  }

  /** Judges from `tsMs` on by what the machine is doing at a time; what maintenance ends, ends when it began, whenever that is noticed. */
  #applyState(judges: MachineJudges, atMs: number, tsMs: number): void {
    const maintenance = maintenanceAt(judges.history, atMs);
    if (maintenance) this.#enterState(judges, MAINTENANCE, maintenance.fromMs);
    else this.#enterState(judges, judges.toldState, tsMs);
  }

  #enterState(judges: MachineJudges, state: number, tsMs: number): void {
    const before = judges.state;
    judges.state = state;
    if (state === before) return;
    this.#endThresholds(judges, tsMs);
    this.#endDocuments(judges, tsMs);
    for (const judge of judges.silences) {
      if ((judge.gate & state) === 0 || (judge.gate & before) === 0) this.#end(judges, judge, tsMs);
    }
    for (const roster of judges.rosters) {
      if ((roster.gate & state) !== 0) continue;
      for (const judge of roster.watched()) this.#end(judges, judge, tsMs);
      roster.listen();
    }
  }

  #endThresholds(judges: MachineJudges, tsMs: number): void {
    for (const judge of judges.thresholds) {
      if ((judge.gate & judges.state) === 0) this.#end(judges, judge, tsMs);
    }
  }

  #endDocuments(judges: MachineJudges, tsMs: number): void {
    if (judges.state === ANY_STATE) return;
    for (const judge of judges.documents.values()) {
      if ((judge.gate & judges.state) === 0) this.#end(judges, judge, tsMs);
    }
  }

  #end(judges: MachineJudges, judge: Judge, ts: number): void {
    const ended = 'watch' in judge ? judge.watch : judge.condition;
    const wasActive = ended.end(ts, this.#silenceClockMs);
    // Not before the decision that it ends: a document may be newer than the reading that tells the state.
    if (wasActive) this.#return(judges, ended.decidedMs, judge, 'operating-state');
  }

  #hearMachine(judges: MachineJudges, ts: number): void {
    if (this.#isAgain) return;
    for (const judge of judges.machineSilences) this.#hear(judges, judge, ts);
    if (judges.expectsAll) return;
    judges.expectsAll = true;
    for (const judge of judges.silences) judge.watch.expect(ts, this.#silenceClockMs);
  }

  #hearWaveform(judges: MachineJudges, { ts, sensor }: DerivedDocument): void {
    this.#hearMachine(judges, ts);
    if (ts > judges.newestWaveformMs) judges.newestWaveformMs = ts;
    for (const judge of judges.sensorSilences) if (judge.sensor === sensor) this.#hear(judges, judge, ts);
  }

  #hear(judges: MachineJudges, judge: SilenceJudge, ts: number): void {
    if (this.#isAgain) return;
    if (judge.watch.hear(ts, this.#silenceClockMs)) this.#return(judges, judge.watch.decidedMs, judge, 'condition');
  }

  /** Hears which of the machine's metrics a message has. Between rounds that costs a comparison a message. */
  #listen(judges: MachineJudges, { ts, metrics }: TelemetryBody): void {
    if (judges.mode !== 'live' || this.#isAgain) return;
    const isDue = advance(judges, judges.newestMs);
    for (const roster of judges.rosters) {
      if (!roster.isListening) continue;
      for (const metric in metrics) {
        const entry = metrics[metric]!;
        const watched = typeof entry === 'number' || entry.quality !== 'bad' ? roster.meet(metric) : undefined;
        if (watched) this.#hear(judges, watched, ts);
      }
      roster.listen();
    }
    if (isDue) this.#lookForMissing(judges);
  }

  #lookForMissing(judges: MachineJudges): void {
    for (const roster of judges.rosters) {
      if ((roster.gate & judges.state) === 0) continue;
      for (const watched of roster.watched()) {
        if (watched.watch.check()) this.#silent(judges, watched);
        else if (roster.isFull && watched.watch.isGone) roster.forget(watched.metric);
      }
    }
  }

  #silent(judges: MachineJudges, judge: SilenceJudge): void {
    const { heardTsMs, decidedMs, patienceMs } = judge.watch;
    const part = partDetails(judge.versioned, {
      message: `${absentee(judge)} come for ${duration(patienceMs)} although the machine runs`,
      window: { fromMs: heardTsMs, toMs: decidedMs },
      ...subjectOf(judge),
    });
    this.#activate(judges, decidedMs, part, judge);
  }

  #judgeReading(
    judges: MachineJudges,
    { thresholds, silences }: MetricJudges,
    state: number,
    ts: number,
    value: number,
    unit: string | undefined,
  ): void {
    if (judges.mode === 'live') for (const judge of silences) this.#hear(judges, judge, ts);
    for (const judge of thresholds) {
      if ((judge.gate & state) === 0) continue;
      const judged = this.#inUnitOf(judge, judges.key, value, unit);
      if (judged === undefined) continue;
      const decision = judge.condition.step(ts, judged);
      if (decision === ACTIVATED) this.#activate(judges, ts, exceeded(judge, ts, judged, unit), judge);
      else if (decision === RETURNED) this.#return(judges, ts, judge, 'condition');
    }
  }

  /** The value in the unit of the rule's limit; undefined where it does not convert. Where one of the two is not known, it is as it is. */
  #inUnitOf(judge: ThresholdJudge, key: MachineKey, value: number, sentUnit: string | undefined): number | undefined {
    const from = sentUnit ?? judge.readingUnit;
    const { unit } = judge;
    if (from === undefined || unit === undefined || sameUnit(from, unit)) return value;
    const converted = convertUnit(value, from, unit);
    if (converted === undefined) this.#tellMismatch(judge, key, from, unit);
    return converted;
  }

  #tellMismatch(
    { versioned, metric }: ThresholdJudge,
    machine: MachineKey,
    readingUnit: string,
    ruleUnit: string,
  ): void {
    this.#counts.unitMismatch++;
    const { tenant, rule, version } = versioned;
    const mismatch = `${tenant}/${rule.id}@${version} ${readingUnit} ${ruleUnit}`;
    if (this.#mismatchesTold.size >= MAX_MISMATCHES_TOLD || this.#mismatchesTold.has(mismatch)) return;
    this.#mismatchesTold.add(mismatch);
    this.#onUnitMismatch?.({ machine, rule: rule.id, metric, readingUnit, ruleUnit });
  }

  #activate({ key, mode }: MachineJudges, atMs: number, part: PartDetails, { versioned }: Judge): void {
    const replayed = mode === 'replay';
    const id = transitionId('activate', key, versioned.rule.id, versioned.version, atMs, part, replayed);
    this.#emit({ type: 'activate', id, machine: key, atMs, part, replayed, ...this.#trace() });
  }

  #return(judges: MachineJudges, atMs: number, judge: Judge, cause: ReturnToNormal['cause']): void {
    const { rule, version } = judge.versioned;
    this.#emitReturn(judges, atMs, { rule: rule.id, version, ...subjectOf(judge) }, cause);
  }

  /** Returns the condition of a judge that is no longer, where it was active. */
  #drop(judges: MachineJudges, judge: Judge, cause: ReturnToNormal['cause']): void {
    if (!isActive(judge)) return;
    const { decidedMs } = 'watch' in judge ? judge.watch : judge.condition;
    this.#return(judges, Math.max(judges.newestMs, decidedMs), judge, cause);
  }

  #returnGone(judges: MachineJudges, part: PartDetails, atMs: number): void {
    this.#emitReturn(
      judges,
      atMs,
      { rule: part.rule.id, version: part.rule.version, ...subjectOf(part) },
      'rule-changed',
    );
  }

  #emitReturn({ key, mode }: MachineJudges, atMs: number, of: JudgeState, cause: ReturnToNormal['cause']): void {
    const replayed = mode === 'replay';
    const id = transitionId('return', key, of.rule, of.version, atMs, of, replayed);
    this.#emit({
      type: 'return',
      id,
      machine: key,
      atMs,
      partKey: partKey(of.rule, of.metric, of.sensor),
      cause,
      replayed,
      ...this.#trace(),
    });
  }

  #trace() {
    return this.#traceparent === undefined ? {} : { traceparent: this.#traceparent };
  }

  #restoreJudge(judges: MachineJudges, state: JudgeState): void {
    const judge = this.#judgeOf(judges, state);
    if (judge && 'watch' in judge) {
      if (state.silence && judge.watch instanceof SilenceWatch)
        judge.watch.restore(state.silence, this.#silenceClockMs);
      return;
    }
    if (judge) {
      if (state.condition) judge.condition.restore(state.condition);
      if (state.baseline && 'baseline' in judge) judge.baseline.restore(state.baseline);
      return;
    }
    const wasActive = (state.condition?.[0] ?? 0) >= 2 || state.silence?.[2] === 1;
    if (!wasActive) return;
    const decidedMs = state.condition?.[2] ?? state.silence?.[3] ?? 0;
    this.#emitReturn(judges, Math.max(decidedMs, judges.newestMs), state, 'rule-changed');
  }

  #restoreRoster(judges: MachineJudges, state: RosterState): void {
    judges.rosters.find(({ versioned: { rule } }) => rule.id === state.rule)?.restore(state);
    const { rule, version } = state;
    for (const [metric, , , active, decidedMs] of state.metrics) {
      if (active === 0 || this.#judgeOf(judges, { rule, version, metric })) continue;
      this.#emitReturn(judges, Math.max(decidedMs ?? 0, judges.newestMs), { rule, version, metric }, 'rule-changed');
    }
  }

  /** The judge of a saved state or part; undefined where the rule is no longer in force in that version. */
  #judgeOf(judges: MachineJudges, { rule, version, metric, sensor }: JudgeState): Judge | undefined {
    const isIt = (judge: Judge) =>
      judge.versioned.rule.id === rule && judge.versioned.version === version && judge.metric === metric;
    const document = judges.documentRules.find((each) => each.rule.id === rule && each.version === version);
    if (document) return judges.documentJudge(document, metric, sensor);
    const roster = judges.rosters.find(({ versioned: of }) => of.rule.id === rule && of.version === version);
    if (roster) return metric === undefined ? undefined : roster.meet(metric);
    return judges.thresholds.find(isIt) ?? judges.silences.find(isIt);
  }
}

function followModel(judges: MachineJudges, { sensor = '' }: DerivedDocument, { learning }: DocumentFacts): void {
  const { modelsLearning } = judges;
  if (learning && (modelsLearning.has(sensor) || modelsLearning.size < MAX_DOCUMENT_JUDGES)) {
    modelsLearning.set(sensor, learning);
  } else modelsLearning.delete(sensor);
}

/** Lets the activity of a machine go on to `ts`. True when it is time to look for missing metrics. */
function advance({ rosters, state }: MachineJudges, ts: number): boolean {
  let isDue = false;
  for (const roster of rosters) if (roster.advance(ts, (roster.gate & state) !== 0)) isDue = true;
  return isDue;
}

function baselinesOf(judges: MachineJudges): JudgeState[] {
  return [...judges.documents.values()].flatMap((judge) => {
    const { baseline, condition: _replayed, ...state } = judgeState(judge, 0) ?? {};
    return baseline ? [{ ...(state as JudgeState), baseline }] : [];
  });
}

function followState(judges: MachineJudges, body: TelemetryBody): void {
  const { state } = operatingStateOf(judges.machine!, (metric) => {
    const entry = body.metrics[metric];
    if (typeof entry === 'number') return { value: entry, unit: undefined };
    return entry && entry.quality !== 'bad' ? { value: entry.value, unit: entry.unit } : undefined;
  });
  // Not later than the newest time: that of a clock that is ahead would keep the state beyond its age.
  if (state !== undefined) judges.told.tell(Math.min(body.ts, judges.newestMs), stateBit(state));
}

function toldOf({ told, state, stateAtMs, newestMs }: MachineSnapshot): readonly ToldRun[] {
  const atMs = stateAtMs ?? newestMs;
  if (told !== undefined || atMs === null || state === undefined || state > MAINTENANCE) return told ?? [];
  return [[atMs, atMs, state]];
}

function forgetState(judges: MachineJudges): void {
  judges.told.clear();
  judges.toldState = judges.state = judges.untoldState;
}

function exceeded(
  { versioned, metric, condition, unit: ownUnit }: ThresholdJudge,
  ts: number,
  value: number,
  sentUnit: string | undefined,
): PartDetails {
  const { direction, limit } = versioned.rule;
  const unit = ownUnit ?? sentUnit;
  return partDetails(versioned, {
    message: comparison({ name: metric, value, direction, limit, unit }),
    metric,
    value,
    limit,
    ...(unit !== undefined && { unit }),
    window: { fromMs: condition.sinceMs, toMs: ts },
  });
}

function absentee({ metric, sensor }: SilenceJudge): string {
  if (metric !== undefined) return `${metric} has not`;
  return sensor === undefined ? 'neither a reading nor a waveform has' : `no waveform of sensor ${sensor} has`;
}

function subjectOf({ metric, sensor }: { readonly metric?: string; readonly sensor?: string }) {
  return { ...(metric !== undefined && { metric }), ...(sensor !== undefined && { sensor }) };
}

function transitionId(
  type: ConditionTransition['type'],
  machine: MachineKey,
  rule: string,
  version: number,
  atMs: number,
  { metric = '', sensor = '' }: { readonly metric?: string; readonly sensor?: string },
  replayed: boolean,
): string {
  return derivedId('alarm', `${rule}@${version}`, machine, [
    type,
    String(atMs),
    metric,
    sensor,
    replayed ? 'replay' : 'live',
  ]);
}
