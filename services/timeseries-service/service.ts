import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '#core/clock.ts';
import { runConsumer } from '#core/delivery/consumer.ts';
import { STREAMS, type StampedEvent, type StreamName } from '#core/domain/event.ts';
import { isPortError, type PortError } from '#core/errors.ts';
import type { CheckpointStore, Lease } from '#core/ports/checkpoint-store.ts';
import type { EventStream, Subscription } from '#core/ports/event-stream.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { RetentionPolicy, TimeSeriesStore } from '#core/ports/time-series-store.ts';
import { settlementOutcomes } from '#core/settlement/outcomes.ts';
import type { Logger } from '#services/shared/observability/logger.ts';

/** The consumer group that settles every stream but `alarms`, which have a journal of their own. */
export const STORE_GROUP = 'store';
const SETTLED_STREAMS = STREAMS.filter((stream) => stream !== 'alarms');

const LEASE = 'time-series-store';
const LEASE_MS = 10_000;
const RENEW_EVERY_MS = 3000;
/** Under load a settlement takes what gathered meanwhile; never sooner than this after the one before, so that commits are few and large. */
const SETTLE_EVERY_MS = 50;
const MAX_BATCH_EVENTS = 5000;
const MAX_BATCH_BYTES = 16 * 1024 * 1024;
const MAINTAIN_EVERY_MS = 2000;
const RETENTION_EVERY_MS = 3_600_000;

export interface TimeseriesServiceDependencies {
  readonly store: TimeSeriesStore & { maintain(nowMs: number): Promise<unknown> };
  readonly stream: EventStream;
  readonly checkpoints: CheckpointStore;
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface TimeseriesService {
  /** Why it cannot settle now; undefined while all is well. */
  problem(): string | undefined;
  /** Finishes the settlement under way and gives the lease back. The store stays open: its owner closes it. */
  close(): Promise<void>;
}

/** Settles what the streams carry into the time-series store, keeps its rollups current, and deletes what is past its retention. */
export async function startTimeseriesService(
  dependencies: TimeseriesServiceDependencies,
  retention: RetentionPolicy,
): Promise<TimeseriesService> {
  const service = new Settling(dependencies, retention);
  await service.start();
  return service;
}

class Settling implements TimeseriesService {
  readonly #dependencies: TimeseriesServiceDependencies;
  readonly #retention: RetentionPolicy;
  readonly #stopping = new AbortController();
  readonly #subscriptions: Subscription[] = [];
  readonly #loops: Promise<void>[] = [];
  #lease: Lease | undefined;
  #problem: string | undefined;
  #closed: Promise<void> | undefined;

  constructor(dependencies: TimeseriesServiceDependencies, retention: RetentionPolicy) {
    this.#dependencies = dependencies;
    this.#retention = retention;
  }

  problem(): string | undefined {
    return this.#problem;
  }

  async start(): Promise<void> {
    const { stream } = this.#dependencies;
    for (const name of SETTLED_STREAMS) await stream.declareGroup(name, STORE_GROUP);
    const lease = await this.#takeLease();
    this.#lease = lease;
    for (const name of SETTLED_STREAMS) this.#subscriptions.push(await this.#consume(name, lease.fence));
    this.#loops.push(
      this.#every(RENEW_EVERY_MS, 'renew the lease', () => this.#dependencies.checkpoints.renewLease(lease, LEASE_MS)),
      this.#every(MAINTAIN_EVERY_MS, 'maintain the store', () =>
        this.#dependencies.store.maintain(this.#dependencies.clock.nowMs()),
      ),
      this.#every(RETENTION_EVERY_MS, 'apply retention', () => this.#applyRetention()),
    );
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#subscriptions.map((subscription) => subscription.close()));
    await Promise.all(this.#loops);
    if (this.#lease)
      await this.#dependencies.checkpoints
        .releaseLease(this.#lease)
        .catch((error: unknown) => this.#report('release the lease', error));
  }

  /** A process that was killed holds its lease until it expires: waited for. */
  async #takeLease(): Promise<Lease> {
    const holder = randomUUID();
    for (;;) {
      const lease = await this.#dependencies.checkpoints.acquireLease(LEASE, holder, LEASE_MS);
      if (lease) return lease;
      this.#problem = 'another process holds the lease of the time-series store; waiting for it';
      await sleep(200, undefined, { signal: this.#stopping.signal });
    }
  }

  async #consume(name: StreamName, fence: number): Promise<Subscription> {
    const { stream, store } = this.#dependencies;
    let settledAtMs = -Infinity;
    const settle = (outcomes: Parameters<TimeSeriesStore['settle']>[0]['outcomes']) =>
      store.settle({ stream: name, group: STORE_GROUP, fence, outcomes });
    return runConsumer({
      stream,
      streamName: name,
      group: STORE_GROUP,
      maxBatchEvents: MAX_BATCH_EVENTS,
      maxBatchBytes: MAX_BATCH_BYTES,
      resumeAfter: await store.progress(name, STORE_GROUP),
      process: async (events: readonly StampedEvent[]) => {
        await settle(settlementOutcomes(events));
        this.#problem = undefined;
        const wait = settledAtMs + SETTLE_EVERY_MS - performance.now();
        if (wait > 0) await sleep(wait);
        settledAtMs = performance.now();
      },
      deadLetter: async (event, error) => {
        const { code, message } = describe(error);
        await settle([{ type: 'deadLettered', event, code, detail: message }]);
      },
      onRetry: (error) => this.#report(`settle ${name}`, error),
    });
  }

  async #applyRetention(): Promise<void> {
    const { store, objects, clock } = this.#dependencies;
    const { orphanedObjects } = await store.applyRetention(this.#retention, clock.nowMs());
    for (const key of orphanedObjects) await objects.delete(key);
  }

  async #every(periodMs: number, doing: string, work: () => Promise<unknown>): Promise<void> {
    const { signal } = this.#stopping;
    const isStopping = () => sleep(periodMs, false, { signal }).catch(() => true);
    while (!(await isStopping())) await work().catch((error: unknown) => this.#report(doing, error));
  }

  #report(doing: string, error: unknown): void {
    const { code, message } = describe(error);
    this.#problem = `cannot ${doing}: ${message}`;
    this.#dependencies.logger.warn({ code }, this.#problem);
  }
}

function describe(error: unknown): Pick<PortError, 'code' | 'message'> {
  if (isPortError(error)) return error;
  return { code: 'internal', message: error instanceof Error ? error.message : String(error) };
}
