/**
 * A bearing-degradation indicator that learns a machine's own healthy beginning and then says how far its vibration has risen above it.
 *
 * It looks at the RMS in the bands between 500 Hz and 10 kHz: a damaged bearing rings its own and its housing's natural frequencies
 * there, while imbalance, misalignment and process noise lie below, and above 10 kHz a mounted accelerometer no longer measures level
 * but its own resonance and the state of the lubricant, which changes while running in. A level is judged by its logarithm, because
 * vibration changes by ratios. Only rises count: a band that falls must not hide one that rises. The mean over the bands asks for a
 * broadband rise, as damage gives; one band alone, as a shifted resonance gives, has to rise far.
 *
 * Scoring is z = (ln x - mean) / scale, score = mean(max(z, 0)): a graph of four operations for any inference engine. The decision over
 * time, {@link decide}, stays here. Everything is pure over plain data: states and models go through JSON as they are.
 */
export interface IndicatorParameters {
  /** Feature vectors that the baseline is learnt from: the machine's first ones. */
  readonly baselineVectors: number;
  /** Score that raises an alert, in deviations of the baseline. */
  readonly threshold: number;
  /** Rise over the baseline below which nothing is called abnormal, however steady the machine: 2 is 6 dB. */
  readonly significantRatio: number;
  /** Scores whose running median is judged; a majority of them must be high, so single shocks raise nothing. */
  readonly smoothing: number;
  /** The alert ends when the median falls below this part of the threshold. */
  readonly clearAt: number;
}

/** One set for every machine. */
export const DEFAULT_INDICATOR_PARAMETERS: IndicatorParameters = {
  baselineVectors: 100,
  threshold: 3,
  significantRatio: 2,
  smoothing: 5,
  clearAt: 0.8,
};

/** What a machine is like when healthy, as plain data. */
export interface BaselineModel {
  readonly kind: 'log-level-baseline';
  readonly version: 1;
  /** Names of the features in the order of the vectors below. */
  readonly features: readonly string[];
  /** Median of each feature's logarithm. */
  readonly mean: readonly number[];
  /** Deviation of each feature's logarithm, not below ln(significantRatio) / threshold. */
  readonly scale: readonly number[];
  readonly trainedOn: number;
  readonly parameters: IndicatorParameters;
}

export type FeatureValues = Readonly<Record<string, number>>;

/** How much of a score is due to a feature. */
export interface Contribution {
  readonly feature: string;
  /** Deviations above the baseline; negative below it (and then it adds nothing to the score). */
  readonly z: number;
  /** Value over its baseline value. */
  readonly ratio: number;
}

export interface HealthScore {
  readonly score: number;
  /** All features, the one that rose furthest first. */
  readonly contributions: readonly Contribution[];
}

/** The features of a set that the indicator looks at: `band_<low>_<high>_hz_rms_<unit>` within 500 Hz to 10 kHz. */
export function indicatorFeatures(values: FeatureValues): string[] {
  return Object.keys(values).filter((name) => {
    const match = BAND_NAME.exec(name);
    if (!match) return false;
    const low = Number(match[1]);
    // A band named `up` ends at half the sample rate; from 10 kHz on it is out in any case.
    const high = match[2] === undefined ? low + 1 : Number(match[2]);
    return low >= LOWEST_HZ && high <= HIGHEST_HZ;
  });
}

const BAND_NAME = /^band_(\d+(?:\.\d+)?)_(?:(\d+(?:\.\d+)?)_hz|hz_up)_rms_/;
const LOWEST_HZ = 500;
const HIGHEST_HZ = 10_000;

/**
 * The input of the score: the logarithms of a model's features. `undefined` when one is missing (recorded otherwise than the baseline
 * was) or not above zero (a dead sensor is not a healthy machine).
 */
export function logVector(features: readonly string[], values: FeatureValues): number[] | undefined {
  const vector: number[] = [];
  for (const feature of features) {
    const value = values[feature];
    if (value === undefined || !(value > 0 && value < Infinity)) return undefined;
    vector.push(Math.log(value));
  }
  return vector;
}

/**
 * Learns a baseline from a machine's first feature sets.
 *
 * The middle is a median. The deviation is taken from the differences of neighbours (median of |difference| * 1.4826 / sqrt 2, a
 * standard deviation for Gaussian noise): how well a level repeats, without the drift of running in, which would blind the indicator.
 *
 * @throws RangeError when there is no usable feature, or fewer than three usable sets, or a parameter is out of range.
 */
export function trainBaseline(
  sets: readonly FeatureValues[],
  parameters: IndicatorParameters = DEFAULT_INDICATOR_PARAMETERS,
): BaselineModel {
  const features = indicatorFeatures(sets[0] ?? {});
  const vectors = sets.map((values) => logVector(features, values)).filter((vector) => vector !== undefined);
  return fitBaseline(features, vectors, parameters);
}

/** {@link trainBaseline} over vectors of logarithms. */
export function fitBaseline(
  features: readonly string[],
  vectors: readonly (readonly number[])[],
  parameters: IndicatorParameters,
): BaselineModel {
  requireValid(parameters);
  if (features.length === 0) {
    throw new RangeError(
      `a baseline needs band levels within ${LOWEST_HZ} to ${HIGHEST_HZ} Hz, and the features have none`,
    );
  }
  if (vectors.length < 3)
    throw new RangeError(`a baseline needs at least 3 usable feature sets, got ${vectors.length}`);
  const smallest = Math.log(parameters.significantRatio) / parameters.threshold;
  const columns = features.map((_, i) => vectors.map((vector) => vector[i]!));
  return {
    kind: 'log-level-baseline',
    version: 1,
    features,
    mean: columns.map(median),
    scale: columns.map((column) => Math.max(repeatability(column), smallest)),
    trainedOn: vectors.length,
    parameters,
  };
}

/** Scores a feature set; `undefined` when it cannot be compared with the baseline (see {@link logVector}). */
export function score(model: BaselineModel, values: FeatureValues): HealthScore | undefined {
  const vector = logVector(model.features, values);
  return vector && scoreVector(model, vector);
}

/** Scores a vector of logarithms: the reference for whatever engine runs the model. */
export function scoreVector(model: BaselineModel, vector: readonly number[]): HealthScore {
  let sum = 0;
  const contributions = model.features.map((feature, i): Contribution => {
    const rise = vector[i]! - model.mean[i]!;
    const z = rise / model.scale[i]!;
    sum += Math.max(z, 0);
    return { feature, z, ratio: Math.exp(rise) };
  });
  contributions.sort((a, b) => b.z - a.z);
  return { score: sum / contributions.length, contributions };
}

/** What the decision remembers. */
export interface DecisionState {
  /** The latest scores, oldest first; at most `smoothing`. */
  readonly recent: readonly number[];
  readonly alerting: boolean;
}

export const INITIAL_DECISION: DecisionState = { recent: [], alerting: false };

export interface Decision {
  readonly state: DecisionState;
  /** Running median of the scores; 0 until there are `smoothing` of them. */
  readonly smoothed: number;
  readonly alerting: boolean;
  readonly transition: 'raised' | 'cleared' | null;
}

/** The decision over time: running median for persistence, two levels for hysteresis. Pure. */
export function decide(
  { recent, alerting }: DecisionState,
  scored: number,
  { smoothing, threshold, clearAt }: IndicatorParameters,
): Decision {
  const latest = [...recent, scored].slice(-smoothing);
  const smoothed = latest.length < smoothing ? 0 : median(latest);
  const next = smoothed >= (alerting ? clearAt * threshold : threshold);
  const transition = next === alerting ? null : next ? 'raised' : 'cleared';
  return { state: { recent: latest, alerting: next }, smoothed, alerting: next, transition };
}

/** A machine's indicator: it learns first, then watches. Plain data. */
export type IndicatorState =
  | {
      readonly phase: 'learning';
      readonly features: readonly string[];
      readonly vectors: readonly (readonly number[])[];
    }
  | { readonly phase: 'watching'; readonly model: BaselineModel; readonly decision: DecisionState };

export const INITIAL_INDICATOR: IndicatorState = { phase: 'learning', features: [], vectors: [] };

/** What one feature set says about the machine. */
export type Assessment =
  | { readonly phase: 'learning'; readonly learnt: number; readonly needed: number }
  | { readonly phase: 'not_comparable'; readonly reason: string }
  | ({ readonly phase: 'watching' } & HealthScore & Omit<Decision, 'state'>);

/**
 * Takes a machine's next feature set, in order of time and only while it runs. Start again from {@link INITIAL_INDICATOR} after a repair:
 * a new bearing has a baseline of its own.
 */
export function assess(
  state: IndicatorState,
  values: FeatureValues,
  parameters: IndicatorParameters = DEFAULT_INDICATOR_PARAMETERS,
): { readonly state: IndicatorState; readonly assessment: Assessment } {
  if (state.phase === 'learning') return learn(state, values, parameters);
  const scored = score(state.model, values);
  if (!scored) return { state, assessment: { phase: 'not_comparable', reason: notComparable(state.model.features) } };
  const { state: decision, ...decided } = decide(state.decision, scored.score, state.model.parameters);
  return { state: { ...state, decision }, assessment: { phase: 'watching', ...scored, ...decided } };
}

function learn(
  state: Extract<IndicatorState, { phase: 'learning' }>,
  values: FeatureValues,
  parameters: IndicatorParameters,
): { readonly state: IndicatorState; readonly assessment: Assessment } {
  const features = state.features.length > 0 ? state.features : indicatorFeatures(values);
  const vector = features.length > 0 ? logVector(features, values) : undefined;
  if (!vector) return { state, assessment: { phase: 'not_comparable', reason: notComparable(features) } };
  const vectors = [...state.vectors, vector];
  const needed = parameters.baselineVectors;
  const next: IndicatorState =
    vectors.length < needed
      ? { phase: 'learning', features, vectors }
      : { phase: 'watching', model: fitBaseline(features, vectors, parameters), decision: INITIAL_DECISION };
  return { state: next, assessment: { phase: 'learning', learnt: vectors.length, needed } };
}

function notComparable(features: readonly string[]): string {
  return features.length === 0
    ? `there is no band level within ${LOWEST_HZ} to ${HIGHEST_HZ} Hz`
    : `of ${features.join(', ')} one is missing or not above zero`;
}

function requireValid(parameters: IndicatorParameters): void {
  const limits: Readonly<Record<keyof IndicatorParameters, readonly [number, number]>> = {
    baselineVectors: [3, 10_000],
    threshold: [0.1, 100],
    significantRatio: [1.01, 100],
    smoothing: [1, 101],
    clearAt: [0.1, 1],
  };
  for (const [name, [low, high]] of Object.entries(limits)) {
    const value = parameters[name as keyof IndicatorParameters];
    if (!(value >= low && value <= high)) throw new RangeError(`${name} must be ${low}..${high}, got ${value}`);
  }
}

function repeatability(column: readonly number[]): number {
  const steps = column.slice(1).map((value, i) => Math.abs(value - column[i]!));
  return (1.4826 * median(steps)) / Math.SQRT2;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
