import type { FeaturesBody } from '../features/featurise.ts';
import type { MachineKey } from '../domain/ids.ts';
import { maintainedMs, maintenanceAt, readHistory, type MachineHistory } from '../domain/machine-history.ts';
import type { CallOptions } from '../errors.ts';
import type { MachineHistoryEvent } from '../ports/machine-registry.ts';
import type { ModelDecision, ModelRegistry } from '../ports/model-registry.ts';
import type { DerivedDocument } from '../ports/time-series-store.ts';
import {
  assess,
  decide,
  INITIAL_DECISION,
  INITIAL_INDICATOR,
  type BaselineModel,
  type DecisionState,
  type IndicatorParameters,
  type IndicatorState,
} from './health-indicator.ts';
import { healthDraft, healthModelRef, healthParameters, type HealthParameters } from './health-model.ts';
import {
  DEGRADED_AT,
  MAX_CONTRIBUTIONS,
  predictionDocument,
  type PredictionBody,
  type PredictionContribution,
} from './prediction.ts';
import type { PromotedModels, RunnableModel } from './promoted-models.ts';

/** What is remembered of one sensor, as plain data that JSON keeps exactly. */
export interface SensorHealth {
  readonly baseline: PredictionBody['baseline'];
  /** Time of the newest features that were taken; older ones come too late. */
  readonly newestMs: number;
  /** Time of the first features of the baseline; undefined before them. */
  readonly learntFromMs?: number;
  /** Of the newest of them, and of the time between what was known to be maintenance when they were learnt; absent where that was not kept. */
  readonly learntToMs?: number;
  readonly maintainedMs?: number;
  readonly stage: LearningStage | WatchingStage;
}

export interface LearningStage {
  readonly phase: 'learning';
  readonly indicator: Extract<IndicatorState, { phase: 'learning' }>;
}

export interface WatchingStage {
  readonly phase: 'watching';
  /** Where a baseline waits to be promoted: the version that it is to take the place of (null: none), by which nothing is judged. */
  readonly replaces?: number | null;
  /** The version whose scores the decision is of; undefined before the first. */
  readonly judgedBy?: number;
  readonly decision: DecisionState;
  /** Times of `decision.recent`. */
  readonly recentMs: readonly number[];
}

export interface HealthPolicy {
  /** Parameters of baselines that are learnt from now on. */
  readonly indicator: IndicatorParameters;
  /** Whether a baseline that was learnt is used at once, or waits for somebody to promote it. */
  readonly promotion: 'automatic' | 'manual';
  /** What was done to a machine that makes it another one, with a healthy beginning of its own. */
  readonly startAnewAfter: readonly ('bearing-change' | 'repair')[];
}

export interface SensorHealthDependencies {
  readonly registry: Pick<ModelRegistry, 'register' | 'promote'>;
  readonly models: PromotedModels;
}

/** What became of a features document. Skipped ones give no prediction. */
export interface SensorJudgement {
  readonly state: SensorHealth;
  readonly prediction?: DerivedDocument;
  readonly skipped?: 'late' | 'not-running';
}

/**
 * Judges the next features document of a sensor. Changes nothing it is given; the same state, document and promoted model give the same
 * judgement.
 *
 * @throws PortError when the registry or the runtime failed, or the promoted model cannot run.
 */
export async function judgeSensor(
  known: SensorHealth | undefined,
  features: SensorFeatures,
  history: readonly MachineHistoryEvent[],
  policy: HealthPolicy,
  dependencies: SensorHealthDependencies,
  options: CallOptions = {},
): Promise<SensorJudgement> {
  const { document, body } = features;
  const done = readHistory(history);
  const state = unlearntIfMaintained(startedAnew(known, document.ts, history, policy), done);
  if (document.ts < state.newestMs) return { state, skipped: 'late' };
  // Maintenance that was noted after the features were computed counts as well.
  const isMaintained = body.operatingState === 'maintenance' || maintenanceAt(done, document.ts);
  if (body.operatingState === 'stopped' || isMaintained) {
    return { state, skipped: 'not-running' };
  }
  const next = { ...state, newestMs: document.ts };
  if (state.stage.phase === 'learning') return learn(next, state.stage, features, done, policy, dependencies, options);
  return watch(next, state.stage, features, dependencies, options);
}

/** A features document, opened. */
export interface SensorFeatures {
  readonly machine: MachineKey;
  readonly sensor: string;
  readonly document: DerivedDocument;
  readonly body: Partial<FeaturesBody>;
  /** By bare name, without the sensor. */
  readonly values: Readonly<Record<string, number>>;
}

/** The state to go on with: a new one at first sight, and when something was done to the machine since the baseline began. */
function startedAnew(
  known: SensorHealth | undefined,
  tsMs: number,
  history: readonly MachineHistoryEvent[],
  { startAnewAfter }: HealthPolicy,
): SensorHealth {
  const sinceMs = known?.baseline.sinceMs ?? -Infinity;
  let newest: MachineHistoryEvent | undefined;
  for (const event of history) {
    const counts =
      (startAnewAfter as readonly string[]).includes(event.kind) && event.atMs > sinceMs && event.atMs <= tsMs;
    if (counts && event.atMs > (newest?.atMs ?? -Infinity)) newest = event;
  }
  if (known && !newest) return known;
  const startedBy = newest?.kind === 'bearing-change' || newest?.kind === 'repair' ? newest.kind : 'first-data';
  return {
    baseline: { sinceMs: newest?.atMs ?? tsMs, startedBy },
    newestMs: newest?.atMs ?? tsMs,
    stage: NOTHING_LEARNT,
  };
}

const NOTHING_LEARNT: LearningStage = {
  phase: 'learning',
  indicator: INITIAL_INDICATOR as LearningStage['indicator'],
};

/** Learns anew where maintenance was noted afterwards in the time in which it learnt: some of that is not what is normal. */
function unlearntIfMaintained(state: SensorHealth, history: MachineHistory): SensorHealth {
  const { learntFromMs, learntToMs, maintainedMs: knownMs, ...rest } = state;
  if (learntFromMs === undefined || learntToMs === undefined || knownMs === undefined) return state;
  return maintainedMs(history, learntFromMs, learntToMs) > knownMs ? { ...rest, stage: NOTHING_LEARNT } : state;
}

async function learn(
  next: SensorHealth,
  { indicator }: LearningStage,
  features: SensorFeatures,
  history: MachineHistory,
  policy: HealthPolicy,
  dependencies: SensorHealthDependencies,
  options: CallOptions,
): Promise<SensorJudgement> {
  const { state, assessment } = assess(indicator, features.values, policy.indicator);
  if (assessment.phase === 'not_comparable') {
    return unjudged(next, features, { verdict: 'unknown', reason: assessment.reason });
  }
  const learntToMs = features.document.ts;
  const learntFromMs = next.learntFromMs ?? learntToMs;
  const learning = {
    ...next,
    ...{ learntFromMs, learntToMs, maintainedMs: maintainedMs(history, learntFromMs, learntToMs) },
  };
  if (state.phase === 'learning') {
    const reason = `${state.vectors.length} of ${policy.indicator.baselineVectors} feature sets learnt`;
    return unjudged({ ...learning, stage: { phase: 'learning', indicator: state } }, features, {
      verdict: 'learning',
      reason,
    });
  }
  const waiting = await registerBaseline(state.model, learntFromMs, features, policy, dependencies, options);
  const stage: WatchingStage = { phase: 'watching', ...waiting, decision: INITIAL_DECISION, recentMs: [] };
  return unjudged({ ...learning, stage }, features, { verdict: 'learning', reason: 'the baseline is learnt' });
}

/** Registering the same baseline again, after a crash, finds the version there is. */
async function registerBaseline(
  model: BaselineModel,
  fromMs: number,
  { machine, sensor, document, body }: SensorFeatures,
  { promotion }: HealthPolicy,
  { registry, models }: SensorHealthDependencies,
  options: CallOptions,
): Promise<Pick<WatchingStage, 'replaces'>> {
  const featuresSoftware = body.provenance?.softwareVersion ?? 'unknown';
  const training = { machine, sensor, fromMs, toMs: document.ts, featuresSoftware };
  const ref = healthModelRef(machine, sensor);
  const { version } = await registry.register(ref, healthDraft(model, training), options);
  if (promotion === 'manual') return { replaces: (await models.get(ref, options))?.version.version ?? null };
  await registry.promote(ref, version, PROMOTION, options);
  models.changed();
  return {};
}

const PROMOTION: ModelDecision = { by: 'ml-service', reason: 'a new baseline was learnt' };

async function watch(
  next: SensorHealth,
  stage: WatchingStage,
  features: SensorFeatures,
  { models }: SensorHealthDependencies,
  options: CallOptions,
): Promise<SensorJudgement> {
  const model = await models.get(healthModelRef(features.machine, features.sensor), options);
  if (!model || model.version.version === stage.replaces) {
    const reason = 'the model waits to be promoted';
    return unjudged({ ...next, stage }, features, { verdict: 'learning', reason });
  }
  const vector = inputVector(model.version.inputs, features.values);
  if (!vector) {
    const reason = `of ${model.version.inputs.join(', ')} one is missing or not above zero`;
    return unjudged({ ...next, stage }, features, { verdict: 'unknown', reason });
  }
  const parameters = healthParameters(model.version);
  const { scores, deviations } = await model.loaded.infer([vector], options);
  const score = scores[0]!;
  const isSameModel = stage.judgedBy === model.version.version;
  const before = isSameModel ? stage : { decision: INITIAL_DECISION, recentMs: [] };
  const { state: decision, smoothed, alerting } = decide(before.decision, score, parameters.decision);
  const recentMs = [...before.recentMs, features.document.ts].slice(-decision.recent.length);
  const judged: SensorHealth = {
    ...next,
    stage: { phase: 'watching', judgedBy: model.version.version, decision, recentMs },
  };
  const { threshold, smoothing } = parameters.decision;
  const isJudged = decision.recent.length >= smoothing;
  const contributions = contributionsOf(model, parameters, deviations?.[0]);
  const body: PredictionBody = {
    ...verdictOf({ isJudged, smoothed, alerting }, decision, parameters.decision),
    model: { name: model.version.model.name, version: model.version.version, sha256: model.version.sha256 },
    threshold,
    score,
    ...(contributions && { contributions }),
    window: { fromMs: recentMs[0]!, toMs: features.document.ts },
    ...originOf(features, judged),
  };
  const value = isJudged ? { score: smoothed, threshold } : undefined;
  return { state: judged, prediction: predictionDocument(features.machine, features.document, value, body) };
}

function verdictOf(
  { isJudged, smoothed, alerting }: { isJudged: boolean; smoothed: number; alerting: boolean },
  { recent }: DecisionState,
  { threshold, smoothing }: IndicatorParameters,
): Pick<PredictionBody, 'verdict' | 'reason'> {
  if (alerting) return { verdict: 'alarm' };
  if (!isJudged)
    return { verdict: 'learning', reason: `${recent.length} of ${smoothing} scores for a first judgement` };
  return { verdict: smoothed >= DEGRADED_AT * threshold ? 'degraded' : 'healthy' };
}

/** `undefined` where an input is missing (recorded otherwise than the baseline was) or not above zero (a dead sensor). */
function inputVector(inputs: readonly string[], values: SensorFeatures['values']): Float64Array | undefined {
  const vector = Float64Array.from(inputs, (name) => values[name] ?? Number.NaN);
  return vector.every((value) => value > 0 && value < Infinity) ? vector : undefined;
}

function contributionsOf(
  { version }: RunnableModel,
  { scale }: HealthParameters,
  deviations: Float64Array | undefined,
): readonly PredictionContribution[] | undefined {
  if (!deviations) return undefined;
  return version.inputs
    .map((feature, i): PredictionContribution => {
      const z = deviations[i]!;
      const perDeviation = scale?.[i];
      return perDeviation === undefined ? { feature, z } : { feature, z, ratio: Math.exp(z * perDeviation) };
    })
    .sort((left, right) => right.z - left.z)
    .slice(0, MAX_CONTRIBUTIONS);
}

function unjudged(
  state: SensorHealth,
  features: SensorFeatures,
  what: Pick<PredictionBody, 'verdict' | 'reason'>,
): SensorJudgement {
  const { ts } = features.document;
  const window = { fromMs: state.stage.phase === 'learning' ? (state.learntFromMs ?? ts) : ts, toMs: ts };
  const body = { ...what, window, ...originOf(features, state) };
  return { state, prediction: predictionDocument(features.machine, features.document, undefined, body) };
}

function originOf({ document, body }: SensorFeatures, { baseline }: SensorHealth) {
  const { waveformId, operatingState } = body;
  return {
    ...(waveformId !== undefined && { waveformId }),
    ...(operatingState !== undefined && { operatingState }),
    featuresId: document.id,
    baseline,
  };
}
