import type { Registry } from 'prom-client';
import type { Clock } from '#core/clock.ts';
import { declareGroup } from '#core/delivery/at-start.ts';
import { STREAMS } from '#core/domain/event.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';
import type { MachineRegistry } from '#core/ports/machine-registry.ts';
import type { MeasuredStream } from '#core/ports/event-stream.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { OwnedTimeSeriesStore, RetentionPolicy } from '#core/ports/time-series-store.ts';
import { DeclaredUnits } from '#core/settlement/declared-units.ts';
import type { Logger } from '#services/shared/observability/logger.ts';
import { observedStream } from '#services/shared/observability/observed-stream.ts';
import type { Tracing } from '#services/shared/observability/tracing.ts';
import { TurnTaking } from '#services/shared/process/turn-taking.ts';
import { Problems } from './problems.ts';
import { SettlementMetrics } from './settlement-metrics.ts';
import { Settler } from './settler.ts';
import { STORE_GROUP } from './store-group.ts';

const SETTLED_STREAMS = STREAMS.filter((stream) => stream !== 'alarms');
const LEASE = 'time-series-store';

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
  /** A copy that waits while another settles lacks nothing. Default: it is not ready until it settles itself. */
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

/**
 * Settles what the streams carry into the time-series store, keeps its rollups current, and deletes what is past its retention.
 *
 * One process settles at a time: a second one waits for the lease, and so does one that lost it, which has closed its subscriptions by
 * then, and begins anew from the progress that is stored.
 */
export async function startTimeseriesService(
  dependencies: TimeseriesServiceDependencies,
  given: Pick<TimeseriesServiceSettings, 'retention'> & Partial<TimeseriesServiceSettings>,
): Promise<TimeseriesService> {
  const settings: TimeseriesServiceSettings = { ...TIMESERIES_DEFAULTS, ...given };
  const { checkpoints, machines, clock, metrics, logger, tracing } = dependencies;
  const stream = observedStream(dependencies.stream, { metrics, tracing: tracing?.as('timeseries-service') });
  const problems = new Problems(logger);
  const units = new DeclaredUnits({ machines, clock, problems });
  const shared = { ...dependencies, stream, units, metrics: new SettlementMetrics(metrics) };
  const turns = new TurnTaking({
    checkpoints,
    lease: LEASE,
    leaseMs: settings.leaseMs,
    againAfterMs: settings.againAfterMs,
    makeTurn: ({ lease }) => new Settler(shared, settings, { lease, streams: SETTLED_STREAMS }),
    onProblem: (doing, error) => logger.warn({ err: error }, `cannot ${doing}`),
    ...(!settings.standsBy && {
      waiting: 'another process holds the lease of the time-series store; waiting for it',
    }),
  });
  for (const name of SETTLED_STREAMS) await declareGroup(stream, name, STORE_GROUP);
  await units.start();
  await turns.start();
  return {
    problem: () => problems.first ?? turns.problem(),
    close: async () => {
      await turns.close();
      await units.close();
    },
  };
}
