import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Counter, Histogram, type Registry } from 'prom-client';
import type { Clock } from '#core/clock.ts';
import { runConsumer } from '#core/delivery/consumer.ts';
import { STREAMS, type StampedEvent, type StreamName } from '#core/domain/event.ts';
import type { SettledItems } from '#core/domain/ledger.ts';
import { codeOf, isPortError, messageOf } from '#core/errors.ts';
import type { CheckpointStore, Lease } from '#core/ports/checkpoint-store.ts';
import type { MachineRegistry } from '#core/ports/machine-registry.ts';
import type { MeasuredStream, Subscription } from '#core/ports/event-stream.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type {
  EventOutcome,
  OwnedTimeSeriesStore,
  RetentionPolicy,
  SettleResult,
} from '#core/ports/time-series-store.ts';
import { DeclaredUnits } from '#core/settlement/declared-units.ts';
import { settlementOutcomes } from '#core/settlement/outcomes.ts';
import type { Logger } from '#services/shared/observability/logger.ts';
import { DURATION_BUCKETS_S } from '#services/shared/observability/metrics.ts';
import { observedStream } from '#services/shared/observability/observed-stream.ts';
import type { Tracing } from '#services/shared/observability/tracing.ts';
import { sweepObjects } from './object-sweeper.ts';
import { STORE_GROUP } from './store-group.ts';

const SETTLED_STREAMS = STREAMS.filter((stream) => stream !== 'alarms');
const LEASE = 'time-series-store';
const BEGINNING = 'begin to settle';
const MAX_BATCH_EVENTS = 5000;
/** After one so large the next will be too. */
const LARGE_BATCH_EVENTS = 2000;
const MAX_BATCH_BYTES = 16 * 1024 * 1024;
/** As many as a store names at a time. */
const ORPHANS_A_CALL = 10_000;

export interface TimeseriesServiceDependencies {
  readonly store: OwnedTimeSeriesStore;
  readonly stream: MeasuredStream;
  readonly checkpoints: CheckpointStore;
  readonly objects: ObjectStore;
  /** Of it, in which units readings are that state none. */
  readonly machines: Pick<MachineRegistry, 'getMachine' | 'listMachines' | 'onChange'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Registry;
  readonly tracing?: Pick<Tracing, 'as'>;
}

export interface TimeseriesServiceSettings {
  readonly retention: RetentionPolicy;
  /** Age at which an object that nothing refers to is deleted: longer than the streams keep events. */
  readonly sweepAfterMs: number;
  /**
   * A settlement begins never sooner than this after the one before, so that commits are few and large: a small one costs nearly as much
   * as one of a thousand messages. Where a full batch waits, or none came for so long, it begins at once.
   */
  readonly settleEveryMs: number;
  readonly leaseMs: number;
  readonly maintainEveryMs: number;
  readonly retentionEveryMs: number;
  readonly sweepEveryMs: number;
  /** Retention and sweep wait so long after a start, which has other work, if they are not due sooner. */
  readonly firstAfterMs: number;
  /** What failed of it is tried again after this, if it is not due sooner: the service is not ready until it has succeeded. */
  readonly againAfterMs: number;
  /** Where another process settles: start all the same, and settle once that one is gone. Default: the start waits for that. */
  readonly standsBy: boolean;
}

const TIMESERIES_DEFAULTS = {
  sweepAfterMs: 8 * 86_400_000,
  settleEveryMs: 200,
  leaseMs: 10_000,
  maintainEveryMs: 1000,
  retentionEveryMs: 3_600_000,
  sweepEveryMs: 6 * 3_600_000,
  firstAfterMs: 60_000,
  againAfterMs: 5000,
  standsBy: false,
} as const satisfies Omit<TimeseriesServiceSettings, 'retention'>;

export interface TimeseriesService {
  /** Why it cannot do its work now; undefined while all is well. */
  problem(): string | undefined;
  /** Finishes the settlement under way and gives the lease back. The store stays open: its owner closes it. */
  close(): Promise<void>;
}

/** Settles what the streams carry into the time-series store, keeps its rollups current, and deletes what is past its retention. */
export async function startTimeseriesService(
  dependencies: TimeseriesServiceDependencies,
  settings: Pick<TimeseriesServiceSettings, 'retention'> & Partial<TimeseriesServiceSettings>,
): Promise<TimeseriesService> {
  const service = new SettlingService(dependencies, { ...TIMESERIES_DEFAULTS, ...settings });
  await service.start();
  return service;
}

class SettlingService implements TimeseriesService {
  readonly #dependencies: TimeseriesServiceDependencies;
  readonly #settings: TimeseriesServiceSettings;
  readonly #holder = randomUUID();
  readonly #stopping = new AbortController();
  readonly #subscriptions: Subscription[] = [];
  readonly #loops: Promise<void>[] = [];
  readonly #units: DeclaredUnits;
  /** What fails at present, by what was tried. */
  readonly #problems = new Map<string, string>();
  readonly #settledItems: Counter<'outcome'>;
  readonly #unseriedValues: Counter;
  readonly #lostEvents: Counter<'stream'>;
  readonly #settleDuration: Histogram<'stream'>;
  readonly #houseDuration: Histogram<'task'>;
  #lease: Lease | undefined;
  #standingBy: Promise<void> = Promise.resolve();
  #closed: Promise<void> | undefined;

  constructor(dependencies: TimeseriesServiceDependencies, settings: TimeseriesServiceSettings) {
    const { stream, metrics, tracing } = dependencies;
    this.#dependencies = {
      ...dependencies,
      stream: observedStream(stream, { metrics, tracing: tracing?.as('timeseries-service') }),
    };
    this.#settings = settings;
    const onProblem = (doing: string, error: unknown) => this.#report(doing, error);
    this.#units = new DeclaredUnits({ machines: dependencies.machines, clock: dependencies.clock, onProblem });
    const registers = [metrics];
    const buckets = [...DURATION_BUCKETS_S];
    this.#settledItems = new Counter({
      name: 'tribo_settled_items_total',
      help: 'Items of the ledger by where they ended, since this process started',
      labelNames: ['outcome'],
      registers,
    });
    this.#unseriedValues = new Counter({
      name: 'tribo_store_unseried_values_total',
      help: 'Values of documents that are in no series, because their machine has as many as it may, since this process started',
      registers,
    });
    this.#lostEvents = new Counter({
      name: 'tribo_lost_events_total',
      help: 'Events that are missing between those settled, since this process started: above 0 is a defect',
      labelNames: ['stream'],
      registers,
    });
    this.#settleDuration = new Histogram({
      name: 'tribo_settle_duration_seconds',
      help: 'One settlement: rows, counters and progress in one transaction',
      labelNames: ['stream'],
      buckets,
      registers,
    });
    this.#houseDuration = new Histogram({
      name: 'tribo_store_housekeeping_duration_seconds',
      help: 'Rollups, retention and sweep of the time-series store',
      labelNames: ['task'],
      buckets,
      registers,
    });
  }

  problem(): string | undefined {
    return [...this.#problems.values()][0];
  }

  async start(): Promise<void> {
    for (const name of SETTLED_STREAMS) await this.#dependencies.stream.declareGroup(name, STORE_GROUP);
    await this.#units.start();
    if (this.#settings.standsBy) this.#standingBy = this.#standBy();
    else await this.#begin();
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#stopping.abort();
    await this.#standingBy;
    await Promise.all(this.#subscriptions.map((subscription) => subscription.close()));
    await Promise.all(this.#loops);
    await this.#units.close();
    if (!this.#lease) return;
    await this.#dependencies.checkpoints
      .releaseLease(this.#lease)
      .catch((error: unknown) => this.#report('release the lease of the store', error));
  }

  /** Until it settles, or is closed. What fails meanwhile is tried again. */
  async #standBy(): Promise<void> {
    const { signal } = this.#stopping;
    for (;;) {
      try {
        await this.#begin();
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#report(BEGINNING, error);
        await sleep(this.#settings.againAfterMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async #begin(): Promise<void> {
    const { store, clock } = this.#dependencies;
    const { leaseMs, maintainEveryMs, retentionEveryMs, sweepEveryMs, firstAfterMs } = this.#settings;
    const { signal } = this.#stopping;
    this.#lease = await this.#takeLease();
    try {
      for (const name of SETTLED_STREAMS) this.#subscriptions.push(await this.#consume(name));
    } catch (error) {
      await Promise.all(this.#subscriptions.splice(0).map((subscription) => subscription.close()));
      throw error;
    }
    this.#problems.delete(BEGINNING);
    this.#every(leaseMs / 3, leaseMs / 3, 'keep the lease of the store', () => this.#keepLease());
    this.#every(maintainEveryMs, maintainEveryMs, 'maintain the store', () =>
      store.maintain(clock.nowMs(), { signal }),
    );
    this.#every(Math.min(firstAfterMs, retentionEveryMs), retentionEveryMs, 'apply retention', () =>
      this.#applyRetention(),
    );
    this.#every(Math.min(firstAfterMs, sweepEveryMs), sweepEveryMs, 'sweep objects', () => this.#sweep());
  }

  /** A process that was killed holds its lease until it expires: waited for. One that stands by lacks nothing meanwhile. */
  async #takeLease(): Promise<Lease> {
    for (;;) {
      const { leaseMs, standsBy } = this.#settings;
      this.#stopping.signal.throwIfAborted();
      const lease = await this.#dependencies.checkpoints.acquireLease(LEASE, this.#holder, leaseMs);
      if (lease) return lease;
      if (!standsBy)
        this.#problems.set(LEASE, 'another process holds the lease of the time-series store; waiting for it');
      await sleep(200, undefined, { signal: this.#stopping.signal });
      this.#problems.delete(LEASE);
    }
  }

  /** A lease that ran out, because this process or the machine slept, is taken again: its fence is higher than any holder's between. */
  async #keepLease(): Promise<void> {
    const { checkpoints } = this.#dependencies;
    try {
      await checkpoints.renewLease(this.#lease!, this.#settings.leaseMs);
    } catch (error) {
      if (!isPortError(error) || error.code !== 'failed_precondition') throw error;
      this.#lease = await this.#takeLease();
    }
  }

  async #consume(name: StreamName): Promise<Subscription> {
    const { stream, store } = this.#dependencies;
    let settledAtMs = -Infinity;
    const process = async (events: readonly StampedEvent[]) => {
      await this.#units.learn(events);
      const result = await this.#settle(
        name,
        settlementOutcomes(events, (event) => this.#units.of(event)),
      );
      this.#countItems(result);
      const waitMs = settledAtMs + this.#settings.settleEveryMs - performance.now();
      if (waitMs > 0 && events.length < LARGE_BATCH_EVENTS) await sleep(waitMs);
      settledAtMs = performance.now();
    };
    return runConsumer({
      stream,
      streamName: name,
      group: STORE_GROUP,
      maxBatchEvents: MAX_BATCH_EVENTS,
      maxBatchBytes: MAX_BATCH_BYTES,
      resumeAfter: await store.progress(name, STORE_GROUP),
      process,
      deadLetter: async (event, error) => {
        const reason = { code: codeOf(error), detail: messageOf(error) };
        const result = await this.#settle(name, [{ type: 'deadLettered', event, ...reason }]);
        this.#countItems(result);
      },
      onRetry: (error) => this.#report(`settle ${name}`, error),
    });
  }

  async #settle(stream: StreamName, outcomes: readonly EventOutcome[]): Promise<SettleResult> {
    const stop = this.#settleDuration.startTimer({ stream });
    const { fence } = this.#lease!;
    const result = await this.#dependencies.store.settle({ stream, group: STORE_GROUP, fence, outcomes });
    stop();
    this.#problems.delete(`settle ${stream}`);
    if (result.lost > 0) {
      this.#lostEvents.inc({ stream }, result.lost);
      const { source, epoch, seq } = outcomes[0]!.event;
      const before = { stream, lost: result.lost, source, epoch, seq };
      this.#dependencies.logger.error(before, 'events were published and never came: the ledger counts them as lost');
    }
    return result;
  }

  #countItems({ added, unseriedValues }: SettleResult): void {
    this.#unseriedValues.inc(unseriedValues ?? 0);
    for (const items of added.values()) {
      for (const outcome of Object.keys(items) as (keyof SettledItems)[]) {
        this.#settledItems.inc({ outcome }, items[outcome]);
      }
    }
  }

  async #applyRetention(): Promise<void> {
    const { store, objects, clock } = this.#dependencies;
    const { signal } = this.#stopping;
    for (;;) {
      const { orphanedObjects } = await store.applyRetention(this.#settings.retention, clock.nowMs(), { signal });
      for (const key of orphanedObjects) {
        signal.throwIfAborted();
        await objects.delete(key);
      }
      if (orphanedObjects.length < ORPHANS_A_CALL) return;
    }
  }

  async #sweep(): Promise<void> {
    const deleted = await sweepObjects(this.#dependencies, this.#settings.sweepAfterMs, this.#stopping.signal);
    if (deleted > 0) this.#dependencies.logger.info({ deleted }, 'deleted objects that nothing referred to');
  }

  #every(firstAfterMs: number, periodMs: number, doing: string, work: () => Promise<unknown>): void {
    const { signal } = this.#stopping;
    const stopsWithin = (ms: number) => sleep(ms, false, { signal }).catch(() => true);
    const loop = async () => {
      let againMs = this.#settings.againAfterMs;
      for (let waitMs = firstAfterMs; !(await stopsWithin(waitMs));) {
        const stop = this.#houseDuration.startTimer({ task: doing });
        try {
          await work();
          stop();
          this.#problems.delete(doing);
          waitMs = periodMs;
          againMs = this.#settings.againAfterMs;
        } catch (error) {
          if (!signal.aborted) this.#report(doing, error);
          // What does not pass is not to be read through again and again.
          waitMs = Math.min(periodMs, againMs);
          againMs *= 2;
        }
      }
    };
    this.#loops.push(loop());
  }

  #report(doing: string, error: unknown): void {
    const problem = `cannot ${doing}: ${messageOf(error)}`;
    this.#problems.set(doing, problem);
    this.#dependencies.logger.warn({ code: codeOf(error) }, problem);
  }
}
