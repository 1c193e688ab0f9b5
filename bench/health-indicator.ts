import { DEFAULT_FEATURE_PARAMETERS } from '#core/features/waveform-features.ts';
import {
  DEFAULT_INDICATOR_PARAMETERS,
  type FeatureValues,
  type IndicatorParameters,
} from '#core/inference/health-indicator.ts';
import {
  DATASETS_FOLDER,
  judgeLife,
  pronostiaBearings,
  pronostiaFeatures,
  type LifeVerdict,
  type PronostiaBearing,
} from '#test/datasets/pronostia.ts';

/** What the indicator does on the six bearings under one set of parameters. */
export interface IndicatorVariant {
  readonly variant: string;
  readonly bearings: Readonly<Record<string, LifeVerdict>>;
}

/**
 * Runs the indicator over PRONOSTIA with its default parameters, and with each of them 30 % lower and higher: how much of the result
 * hangs on a choice.
 */
export function runHealthIndicatorBench(): readonly IndicatorVariant[] {
  const bearings = pronostiaBearings();
  if (!bearings) throw new Error(`no PRONOSTIA in ${DATASETS_FOLDER}; set TRIBO_DATASETS`);
  const lives = featureLives(bearings, 1);
  const defaults = DEFAULT_INDICATOR_PARAMETERS;
  const judge = (variant: string, of: Lives, parameters: IndicatorParameters): IndicatorVariant => ({
    variant,
    bearings: Object.fromEntries(of.map(({ name, interval, life }) => [name, judgeLife(life, interval, parameters)])),
  });
  return [
    judge('as shipped', lives, defaults),
    ...[0.7, 1.3].flatMap((factor) => [
      judge(`baselineVectors x${factor}`, lives, { ...defaults, baselineVectors: Math.round(100 * factor) }),
      judge(`threshold x${factor}`, lives, { ...defaults, threshold: defaults.threshold * factor }),
      judge(`significantRatio x${factor}`, lives, {
        ...defaults,
        significantRatio: defaults.significantRatio * factor,
      }),
      judge(`level (ratio and threshold) x${factor}`, lives, levelScaled(defaults, factor)),
      judge(`smoothing x${factor}`, lives, { ...defaults, smoothing: factor < 1 ? 3 : 7 }),
      judge(`clearAt x${factor}`, lives, { ...defaults, clearAt: Math.min(1, defaults.clearAt * factor) }),
      judge(`band edges x${factor}`, featureLives(bearings, factor), defaults),
    ]),
  ];
}

/** Threshold and smallest deviation together: an alert at another rise in decibels. */
function levelScaled(defaults: IndicatorParameters, factor: number): IndicatorParameters {
  return { ...defaults, significantRatio: defaults.significantRatio ** factor };
}

type Lives = readonly { readonly name: string; readonly interval: number; readonly life: readonly FeatureValues[] }[];

/** Features with all band edges multiplied; the indicator is shown them under the names of the bands they stand for. */
function featureLives(bearings: readonly PronostiaBearing[], factor: number): Lives {
  const bandEdgesHz = DEFAULT_FEATURE_PARAMETERS.bandEdgesHz;
  return bearings.map((bearing) => ({
    name: bearing.name,
    interval: bearing.intervalSeconds,
    life: Array.from({ length: bearing.snapshots }, (_, snapshot) => {
      const scaled = bandEdgesHz.map((edge) => edge * factor);
      const { values } = pronostiaFeatures(bearing, snapshot, { bandEdgesHz: scaled });
      if (factor === 1) return values;
      return Object.fromEntries(
        bandEdgesHz.slice(0, -1).flatMap((low, i) => {
          const high = bandEdgesHz[i + 1]!;
          const top = high * factor < bearing.sampleRateHz / 2 ? `${high * factor}_hz` : 'hz_up';
          const level = values[`band_${low * factor}_${top}_rms_g`];
          return level === undefined ? [] : [[`band_${low}_${high}_hz_rms_g`, level] as const];
        }),
      );
    }),
  }));
}

if (import.meta.main) {
  for (const { variant, bearings } of runHealthIndicatorBench()) {
    const cells = Object.entries(bearings).map(([name, { leadSeconds, falseAlarms, alerts, highestInFirstHalf }]) => {
      const lead = leadSeconds === undefined ? 'MISSED' : `${leadSeconds} s`;
      return `${name.slice(7)}: ${lead}, ${falseAlarms} false, ${alerts.length} alerts, first half at most ${highestInFirstHalf.toFixed(2)}`;
    });
    process.stdout.write(`${variant}\n  ${cells.join('\n  ')}\n`);
  }
}
