import type { StreamName } from '#core/domain/event.ts';

/** How long and how much of a stream is kept. */
export interface StreamRetention {
  /** What every declared group has acknowledged goes once it is older, at most 7 days. */
  readonly maxAgeMs: number;
  /** What every declared group has acknowledged goes once the stream holds more. */
  readonly maxBytes: number;
  /** Nothing unacknowledged is ever dropped: at this size publish is refused with resource_exhausted until a group has caught up. */
  readonly hardMaxBytes: number;
}

export interface LmdbEventStreamConfig {
  /** One folder a stream is made in it. Any number of processes of one machine may read them; it must not be a network file system. */
  readonly directory: string;
  /** The name under which this client publishes, unique among the clients that publish at the same time. */
  readonly source: string;
  /** The streams that exist. Any other name fails with not_found. */
  readonly streams: Readonly<Partial<Record<StreamName, StreamRetention>>>;
  /** The streams that this process publishes to. It does not take the place of those that publish to the others. Default: all. */
  readonly publishes?: readonly StreamName[];
  /** How long the first publish waits for another process that publishes to the stream to end. Default 15 s: longer than a service takes to stop. */
  readonly writerWaitMs?: number;
  /** Events handed over by `publish` but not yet durable; beyond it publish is refused. Default 32 MiB. */
  readonly maxPendingBytes?: number;
  /** Published events kept as objects for consumers of this process, a stream. Default 16 MiB. */
  readonly tailCacheBytes?: number;
  /** Publish is refused while the file system has less free space, so that checkpoints and retention can go on. Default 16 MiB. */
  readonly freeSpaceReserveBytes?: number;
  /** A subscription stops reading ahead when more events wait behind failed ones. Default 10,000 events and 16 MiB. */
  readonly maxHeldEvents?: number;
  readonly maxHeldBytes?: number;
  /** How often a group's checkpoint is saved while it advances: what a crash may deliver again. Default 200 ms. */
  readonly checkpointIntervalMs?: number;
}

const GIB = 2 ** 30;
const WEEK_MS = 7 * 86_400_000;

/** Sizes for a laptop: of raw data what fits into 4 GiB, a week at most. */
export const DEFAULT_RETENTION: Readonly<Record<StreamName, StreamRetention>> = {
  metrics: { maxAgeMs: WEEK_MS, maxBytes: 4 * GIB, hardMaxBytes: 8 * GIB },
  'raw-waveform': { maxAgeMs: WEEK_MS, maxBytes: GIB / 2, hardMaxBytes: 2 * GIB },
  features: { maxAgeMs: WEEK_MS, maxBytes: GIB, hardMaxBytes: 2 * GIB },
  windows: { maxAgeMs: WEEK_MS, maxBytes: GIB / 2, hardMaxBytes: GIB },
  'inference-results': { maxAgeMs: WEEK_MS, maxBytes: GIB / 2, hardMaxBytes: GIB },
  alarms: { maxAgeMs: WEEK_MS, maxBytes: GIB / 2, hardMaxBytes: GIB },
};
