import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '#core/clock.ts';
import { atStart } from '#core/delivery/at-start.ts';
import { runConsumer } from '#core/delivery/consumer.ts';
import type { StampedEvent, StreamName } from '#core/domain/event.ts';
import { codeOf, isPortError, messageOf, PortError, throwIfAborted } from '#core/errors.ts';
import type { Lease } from '#core/ports/checkpoint-store.ts';
import type { MeasuredStream, Subscription } from '#core/ports/event-stream.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { EventOutcome, OwnedTimeSeriesStore, SettleResult } from '#core/ports/time-series-store.ts';
import type { DeclaredUnits } from '#core/settlement/declared-units.ts';
import { settlementOutcomes } from '#core/settlement/outcomes.ts';
import type { Logger } from '#services/shared/observability/logger.ts';
import type { Turn } from '#services/shared/process/turn-taking.ts';
import { sweepObjects } from './object-sweeper.ts';
import { Problems } from './problems.ts';
import type { TimeseriesServiceSettings } from './service.ts';
import type { SettlementMetrics } from './settlement-metrics.ts';
import { STORE_GROUP } from './store-group.ts';

const MAX_BATCH_EVENTS = 5000;
/** After one so large the next will be too. */
const LARGE_BATCH_EVENTS = 2000;
const MAX_BATCH_BYTES = 16 * 1024 * 1024;
/** As many as a store names at a time. */
const ORPHANS_A_CALL = 10_000;

export interface SettlerDependencies {
  readonly store: OwnedTimeSeriesStore;
  readonly stream: MeasuredStream;
  readonly objects: ObjectStore;
  readonly units: Pick<DeclaredUnits, 'learn' | 'of'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: SettlementMetrics;
}

/** Settles, and keeps the house, while it has the lease. */
export class Settler implements Turn {
  readonly #dependencies: SettlerDependencies;
  readonly #settings: TimeseriesServiceSettings;
  readonly #lease: Lease;
  readonly #streams: readonly StreamName[];
  readonly #problems: Problems;
  readonly #stopping = new AbortController();
  readonly #subscriptions: Subscription[] = [];
  readonly #loops: Promise<void>[] = [];

  constructor(
    dependencies: SettlerDependencies,
    settings: TimeseriesServiceSettings,
    { lease, streams }: { readonly lease: Lease; readonly streams: readonly StreamName[] },
  ) {
    this.#dependencies = dependencies;
    this.#settings = settings;
    this.#lease = lease;
    this.#streams = streams;
    this.#problems = new Problems(dependencies.logger);
  }

  problem(): string | undefined {
    return this.#problems.first;
  }

  async begin(beginning: AbortSignal): Promise<void> {
    const { store, clock } = this.#dependencies;
    const { maintainEveryMs, retentionEveryMs, sweepEveryMs, firstAfterMs } = this.#settings;
    const { signal } = this.#stopping;
    for (const name of this.#streams) {
      this.#subscriptions.push(await this.#consume(name, beginning));
      throwIfAborted(beginning);
    }
    this.#every(maintainEveryMs, maintainEveryMs, 'maintain the store', () =>
      store.maintain(clock.nowMs(), { signal }),
    );
    this.#every(Math.min(firstAfterMs, retentionEveryMs), retentionEveryMs, 'apply retention', () =>
      this.#applyRetention(),
    );
    this.#every(Math.min(firstAfterMs, sweepEveryMs), sweepEveryMs, 'sweep objects', () => this.#sweep());
  }

  /** Finishes the settlements under way. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#subscriptions.map((subscription) => subscription.close()));
    await Promise.all(this.#loops);
  }

  async #consume(name: StreamName, beginning: AbortSignal): Promise<Subscription> {
    const { stream, store, units, metrics } = this.#dependencies;
    const resumeAfter = await atStart(() => store.progress(name, STORE_GROUP, { signal: beginning }), {
      signal: beginning,
    });
    let settledAtMs = -Infinity;
    const process = async (events: readonly StampedEvent[]) => {
      await units.learn(events);
      const result = await this.#settle(
        name,
        settlementOutcomes(events, (event) => units.of(event)),
      );
      metrics.count(result);
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
      resumeAfter,
      process,
      deadLetter: async (event, error) => {
        const reason = { code: codeOf(error), detail: messageOf(error) };
        const result = await this.#settle(name, [{ type: 'deadLettered', event, ...reason }]);
        metrics.count(result);
      },
      onRetry: (error) => this.#problems.report(`settle ${name}`, error),
    });
  }

  async #settle(stream: StreamName, outcomes: readonly EventOutcome[]): Promise<SettleResult> {
    const { store, metrics, logger } = this.#dependencies;
    const { fence } = this.#lease;
    const stop = metrics.settleDuration.startTimer({ stream });
    const result = await store.settle({ stream, group: STORE_GROUP, fence, outcomes }).catch(waitsForTheLease);
    stop();
    this.#problems.solved(`settle ${stream}`);
    if (result.lost > 0) {
      metrics.lostEvents.inc({ stream }, result.lost);
      const { source, epoch, seq } = outcomes[0]!.event;
      const before = { stream, lost: result.lost, source, epoch, seq };
      logger.error(before, 'events were published and never came: the ledger counts them as lost');
    }
    return result;
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
        const stop = this.#dependencies.metrics.houseDuration.startTimer({ task: doing });
        try {
          await work();
          stop();
          this.#problems.solved(doing);
          waitMs = periodMs;
          againMs = this.#settings.againAfterMs;
        } catch (error) {
          if (!signal.aborted) this.#problems.report(doing, error);
          // What does not pass is not to be read through again and again.
          waitMs = Math.min(periodMs, againMs);
          againMs *= 2;
        }
      }
    };
    this.#loops.push(loop());
  }
}

/**
 * A batch waits, unsettled, until a refused fence is known to be a lost lease: to divide it, or to dead-letter what is in it, has no use.
 */
function waitsForTheLease(error: unknown): never {
  if (!isPortError(error) || error.code !== 'failed_precondition') throw error;
  throw new PortError('unavailable', error.message, { cause: error });
}
