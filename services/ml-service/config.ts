import { z } from 'zod';
import { DEFAULT_INDICATOR_PARAMETERS } from '#core/inference/health-indicator.ts';

const defaults = DEFAULT_INDICATOR_PARAMETERS;

const indicatorSchema = z.object({
  baselineVectors: z.int().min(3).max(10_000).default(defaults.baselineVectors),
  threshold: z.number().min(0.1).max(100).default(defaults.threshold),
  significantRatio: z.number().min(1.01).max(100).default(defaults.significantRatio),
  smoothing: z.int().min(1).max(101).default(defaults.smoothing),
  clearAt: z.number().min(0.1).max(1).default(defaults.clearAt),
});

/** How the ml-service works; the defaults suit a laptop. */
export const mlServiceConfigSchema = z.object({
  /** Features of a batch: judged, saved and published together. */
  maxBatchEvents: z.int().min(1).max(10_000).default(128),
  /** What a baseline that is learnt from now on is like; see IndicatorParameters. */
  indicator: indicatorSchema.default(defaults),
  /** The same for machines, by key, that live at another pace: those of the demo age a day in a minute and a half. */
  indicatorOf: z.record(z.string(), indicatorSchema).default({}),
  /** Whether a baseline that was learnt is used at once, or waits for somebody to promote it. */
  promotion: z.enum(['automatic', 'manual']).default('automatic'),
  /** What was done to a machine that makes it learn anew. */
  startAnewAfter: z.array(z.enum(['bearing-change', 'repair'])).default(['bearing-change']),
  /** Models in memory; the least recently used is closed beyond it. */
  maxLoadedModels: z.int().min(1).default(512),
  /** Machines whose state is in memory; others are read from their checkpoint. */
  maxCachedMachines: z.int().min(1).default(5000),
  /** How old a copy of a machine's history may be where the registry did not tell of a change. */
  historyMaxAgeMs: z.int().min(0).default(10_000),
});

export type MlServiceConfig = z.infer<typeof mlServiceConfigSchema>;
