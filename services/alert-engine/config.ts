import { z } from 'zod';

/** How the alert engine works; the defaults suit a laptop. */
export const alertEngineConfigSchema = z.object({
  /** A reading so much older than its machine's newest is not judged. */
  latenessMs: z.int().min(0).max(86_400_000).default(10_000),
  /** Anomalies of one machine within this time are one alarm. */
  correlationWindowMs: z.int().min(0).max(86_400_000).default(300_000),
  /**
   * Rolling features of metrics: the length of a window, from one's beginning to the next one's (the length where it is absent; divides it), and
   * for how long after its end late readings correct it.
   */
  windowMs: z.int().min(1000).max(86_400_000).default(60_000),
  windowStepMs: z.int().min(1000).max(86_400_000).optional(),
  windowCorrectedForMs: z.int().min(0).max(86_400_000).default(60_000),
  /**
   * A metric that does not come for so long, while the engine is not behind, has its open windows closed: no reading would. It counts from
   * when readings come, not by their times, so that a slow back-fill closes none early; what comes after a longer pause corrects them.
   */
  windowIdleMs: z.int().min(1000).max(86_400_000).default(120_000),
  /** Metrics of machines that windows are kept of, fewer where short steps make each costly; further ones have none. */
  maxWindowSeries: z.int().min(1).default(250_000),
  maxBatchEvents: z.int().min(1).max(10_000).default(2000),
  /**
   * How often saving of the state begins, and for how many milliseconds a second it takes the thread: a large plant takes longer. After a crash
   * the events since, and those of a minute before, are taken again: a small part of what saving more often would cost.
   */
  saveEveryMs: z.int().min(100).default(10_000),
  saveBudgetMs: z.number().positive().default(25),
  /** How long after a crash another process may wait before it judges. */
  leaseMs: z.int().min(1000).default(5000),
  /** Notifications are tried this often, with delays that double from the first to the longest. */
  notifyAttempts: z.int().min(1).max(100).default(8),
  notifyFirstDelayMs: z.int().min(1).default(2000),
  notifyLongestDelayMs: z.int().min(1).default(300_000),
});

export type AlertEngineConfig = z.infer<typeof alertEngineConfigSchema>;
