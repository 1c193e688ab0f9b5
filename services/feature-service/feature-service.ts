import { Counter, Histogram, type Registry } from 'prom-client';
import type { Clock } from '#core/clock.ts';
import { declareGroup } from '#core/delivery/at-start.ts';
import { NOTHING_ASKED, runConsumer } from '#core/delivery/consumer.ts';
import { reasonOf, type DeadLetterSink } from '#core/derivation/dead-letters.ts';
import { publishAll } from '#core/derivation/publish-all.ts';
import { RefreshingCache } from '#core/derivation/refreshing-cache.ts';
import type { MachineEvent, StampedEvent } from '#core/domain/event.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { featurise, type FeaturiseDependencies } from '#core/features/featurise.ts';
import { OperatingPoints } from '#core/features/operating-points.ts';
import type { EventStream } from '#core/ports/event-stream.ts';
import type { MachineHistoryEvent, MachineRegistry } from '#core/ports/machine-registry.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { TimeSeriesStore } from '#core/ports/time-series-store.ts';
import type { ReadinessCheck } from '#services/shared/http/readiness.ts';
import type { Logger } from '#services/shared/observability/logger.ts';
import { DURATION_BUCKETS_S } from '#services/shared/observability/metrics.ts';
import { observedStream } from '#services/shared/observability/observed-stream.ts';
import type { Tracing } from '#services/shared/observability/tracing.ts';
import type { RunningService } from '#services/shared/process/run-service.ts';
import type { FeatureServiceConfig } from './config.ts';

/** The group by which waveforms are read to be computed with; the store's own is `store`. */
export const COMPUTE_GROUP = 'compute';

export interface FeatureServiceDependencies {
  readonly stream: EventStream;
  readonly objects: Pick<ObjectStore, 'get'>;
  readonly machines: Pick<MachineRegistry, 'getMachine' | 'machineEvents' | 'onChange'>;
  readonly readings: Pick<TimeSeriesStore, 'latest'>;
  readonly deadLetter: DeadLetterSink;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Registry;
  readonly tracing?: Pick<Tracing, 'as'>;
}

export interface RunningFeatureService extends RunningService {
  readonly readiness: Readonly<Record<string, ReadinessCheck>>;
}

/**
 * Computes the features of every waveform: `raw-waveform` to `features`. Declares its group on `raw-waveform`; the groups that read
 * `features` must be declared before it starts. Keeps no state: what was acknowledged has its features published.
 */
export async function startFeatureService(
  config: FeatureServiceConfig,
  dependencies: FeatureServiceDependencies,
): Promise<RunningFeatureService> {
  const service = new FeatureService(config, dependencies);
  return service.start();
}

class FeatureService {
  readonly #config: FeatureServiceConfig;
  readonly #dependencies: FeatureServiceDependencies;
  readonly #featurising: FeaturiseDependencies;
  readonly #machines: RefreshingCache<MachineKey, Awaited<ReturnType<MachineRegistry['getMachine']>>>;
  readonly #history: RefreshingCache<MachineKey, readonly MachineHistoryEvent[]>;
  readonly #computed: Counter<'outcome'>;
  readonly #duration: Histogram;
  #waitingFor: string | undefined;

  constructor(config: FeatureServiceConfig, dependencies: FeatureServiceDependencies) {
    const { machines, readings, objects, clock, metrics } = dependencies;
    const maxEntries = config.maxCachedMachines;
    this.#config = config;
    const { stream, tracing } = dependencies;
    this.#dependencies = {
      ...dependencies,
      stream: observedStream(stream, { metrics, tracing: tracing?.as('feature-service') }),
    };
    const caching = { maxAgeMs: config.machineMaxAgeMs, maxEntries };
    this.#machines = new RefreshingCache((key, options) => machines.getMachine(key, options), clock, caching);
    this.#history = new RefreshingCache((key, options) => machines.machineEvents(key, options), clock, caching);
    this.#featurising = {
      objects,
      machine: (key, options) => this.#machines.get(key, options),
      history: (key, options) => this.#history.get(key, options),
      operatingPoints: new OperatingPoints(readings, clock, {
        maxAgeMs: config.readingsMaxAgeMs,
        maxDistanceMs: config.readingMaxDistanceMs,
        maxEntries,
      }),
    };
    this.#computed = new Counter({
      name: 'tribo_waveforms_featurised_total',
      help: 'Waveforms by what became of them: features, or a dead letter',
      labelNames: ['outcome'],
      registers: [metrics],
    });
    this.#duration = new Histogram({
      name: 'tribo_waveform_features_duration_seconds',
      help: 'From a waveform event at hand to its features computed, samples fetched',
      buckets: [...DURATION_BUCKETS_S],
      registers: [metrics],
    });
  }

  async start(): Promise<RunningFeatureService> {
    const { stream, machines, deadLetter, logger } = this.#dependencies;
    await declareGroup(stream, 'raw-waveform', COMPUTE_GROUP);
    const unsubscribe = machines.onChange(() => {
      this.#machines.clear();
      this.#history.clear();
    });
    const subscription = await runConsumer({
      stream,
      streamName: 'raw-waveform',
      group: COMPUTE_GROUP,
      maxBatchEvents: this.#config.maxBatchWaveforms,
      setsForbiddenAside: true,
      process: (events, signal) => this.#process(events, signal),
      deadLetter: async (event, error, signal) => {
        logger.error({ err: error, machine: event.key, eventId: event.eventId }, 'a waveform cannot be processed');
        await deadLetter(event, reasonOf(error), { signal });
        this.#computed.inc({ outcome: 'dead-letter' });
      },
      onRetry: (error) => {
        this.#waitingFor = reasonOf(error).detail;
        logger.warn({ err: error }, 'featurising waits');
      },
    });
    return {
      readiness: { features: () => this.#waitingFor },
      close: async () => {
        unsubscribe();
        await subscription.close();
      },
    };
  }

  async #process(events: readonly StampedEvent[], signal: AbortSignal): Promise<unknown> {
    const computed: MachineEvent[] = [];
    for (const event of events) {
      signal.throwIfAborted();
      // What intake had before or rejected is on the stream for the ledger alone.
      if (event.kind === 'duplicate' || event.kind === 'rejection') continue;
      const features = await this.#featurise(event, signal);
      if (features) computed.push(features);
      await breathe();
    }
    await publishAll(this.#dependencies.stream, 'features', computed, { signal });
    this.#computed.inc({ outcome: 'features' }, computed.length);
    this.#waitingFor = undefined;
    return computed.length > 0 ? undefined : NOTHING_ASKED;
  }

  async #featurise(event: StampedEvent, signal: AbortSignal): Promise<MachineEvent | undefined> {
    const endTimer = this.#duration.startTimer();
    const result = await featurise(event, this.#featurising, { signal });
    endTimer();
    if (result.ok) return result.event;
    const { code, detail } = result;
    this.#dependencies.logger.warn({ machine: event.key, eventId: event.eventId, code, detail }, 'no features');
    await this.#dependencies.deadLetter(event, { code, detail }, { signal });
    this.#computed.inc({ outcome: 'dead-letter' });
    return undefined;
  }
}

/** Lets the event loop serve others between two waveforms, of which each may take some milliseconds. */
function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
