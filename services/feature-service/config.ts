import { z } from 'zod';
import { READING_MAX_DISTANCE_MS } from '#core/features/operating-points.ts';

/** How the feature service works; the defaults suit a laptop. */
export const featureServiceConfigSchema = z.object({
  /** Waveforms of a batch: their features are published together, and computed anew when that fails. */
  maxBatchWaveforms: z.int().min(1).max(1000).default(32),
  /** How old a copy of a machine's description may be where the registry did not tell of a change. */
  machineMaxAgeMs: z.int().min(0).default(30_000),
  /** How old a copy of a machine's newest readings may be. */
  readingsMaxAgeMs: z.int().min(0).default(1000),
  /** How far a reading may be from the waveform, in event time, and still tell speed and operating state. */
  readingMaxDistanceMs: z.int().min(0).default(READING_MAX_DISTANCE_MS),
  maxCachedMachines: z.int().min(1).default(20_000),
});

export type FeatureServiceConfig = z.infer<typeof featureServiceConfigSchema>;
