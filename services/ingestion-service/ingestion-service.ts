import { randomBytes, randomUUID } from 'node:crypto';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Clock } from '#core/clock.ts';
import { declareGroup } from '#core/delivery/at-start.ts';
import { tailOf } from '#core/delivery/stream-capabilities.ts';
import { LEDGERED_STREAMS, type MachineEvent, type StreamName } from '#core/domain/event.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { INTAKE_KINDS } from '#core/ingestion/back-pressure.ts';
import type { Backlog } from '#core/ingestion/backlog-watch.ts';
import { Intake, INTAKE_DEFAULTS, type IntakeOptions } from '#core/ingestion/intake.ts';
import type {
  DeviceGateway,
  DeviceIntake,
  GatewayHooks,
  IntakeKind,
  PresenceListener,
} from '#core/ports/device-gateway.ts';
import type { EventStream, MeasuredStream } from '#core/ports/event-stream.ts';
import type { MachineRegistry } from '#core/ports/machine-registry.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { TimeSeriesStore } from '#core/ports/time-series-store.ts';
import type { ReadinessCheck } from '#services/shared/http/readiness.ts';
import type { Logger } from '#services/shared/observability/logger.ts';
import { observeIntake } from '#services/shared/observability/observed-intake.ts';
import { observedStream } from '#services/shared/observability/observed-stream.ts';
import { lagOf, STREAM_GROUPS } from '#services/shared/observability/stream-lag.ts';
import type { Tracing } from '#services/shared/observability/tracing.ts';
import type { RunningService } from '#services/shared/process/run-service.ts';

/** The group that settles what intake appends. */
const SETTLING_GROUP = 'store';

/** Where messages of a kind go: what is appended for them, and what is derived from that. Who stands still there must not fill a stream. */
const STREAMS_BEHIND: Readonly<Record<IntakeKind, readonly StreamName[]>> = {
  telemetry: ['metrics', 'windows'],
  waveform: ['raw-waveform', 'features', 'inference-results'],
};

/** Hears of what became durable, for people who watch. */
export interface IngestionWatcher {
  observe(events: readonly MachineEvent[]): void;
}

export interface IngestionDependencies<Gateway extends DeviceGateway> {
  /** Where its tail can be read, receipts are read back from that; else the store looks for what may have come before this process began. */
  readonly stream: MeasuredStream;
  readonly store: Pick<TimeSeriesStore, 'settled'>;
  readonly machines: MachineRegistry;
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Registry;
  readonly tracing: Tracing;
  readonly watcher: IngestionWatcher;
  /** Hears of devices. It is started before they can connect. */
  readonly presence: PresenceListener & { start(): Promise<void>; close(): Promise<void> };
  readonly makeGateway: (hooks: GatewayHooks) => Gateway;
}

export interface RunningIngestion<Gateway extends DeviceGateway> extends RunningService {
  /** For other gateways in this platform. */
  readonly intake: DeviceIntake;
  readonly gateway: Gateway;
  readonly readiness: Readonly<Record<string, ReadinessCheck>>;
  /** Which kind of message is refused while the other is taken, and why none comes from devices. */
  readonly attention: Readonly<Record<string, ReadinessCheck>>;
  /** Messages and connections turned away without an acknowledgement, by tenant. */
  readonly refused: () => ReadonlyMap<TenantId, number>;
}

/** Takes what devices send, from their bytes to durable events: intake with a device gateway in front of it. */
export async function startIngestion<Gateway extends DeviceGateway>(
  options: Partial<IntakeOptions>,
  dependencies: IngestionDependencies<Gateway>,
): Promise<RunningIngestion<Gateway>> {
  const { store, machines, objects, clock, logger, metrics, watcher, presence, makeGateway } = dependencies;
  const stream = observedStream(dependencies.stream, { metrics });
  const tail = tailOf(dependencies.stream);
  const tracing = dependencies.tracing.as('ingestion-service');
  const onProblem = (what: string, error: unknown): void => logger.warn({ err: error }, `${what} failed`);
  const intake = new Intake(
    {
      stream: watched(stream, watcher),
      ...(tail && { tail }),
      isMoved: async () => (await store.settled()).some(({ imported = 0 }) => imported > 0),
      machines,
      objects,
      clock,
      receiptKey: randomBytes(16),
      incarnation: randomUUID().slice(0, 8),
      backlogs: (kind) => backlogsBehind(stream, kind),
      onProblem,
    },
    { ...INTAKE_DEFAULTS, ...options },
  );
  register(metrics, intake);
  const observed = observeIntake(intake, { tracing, metrics });
  const gateway = makeGateway({ refuse: (reason, tenant) => intake.refuse(reason, tenant), onProblem });
  try {
    // Whoever settles may start later: it receives everything from now on.
    for (const name of LEDGERED_STREAMS) await declareGroup(stream, name, SETTLING_GROUP);
    await intake.start();
    await presence.start();
    await gateway.start(observed, presence);
  } catch (error) {
    await gateway.close();
    await presence.close();
    await intake.stop();
    throw error;
  }
  return {
    intake: observed,
    gateway,
    readiness: {
      intake: () => (intake.isReady() ? undefined : refusals(intake)),
    },
    attention: {
      'back-pressure': () => (intake.isReady() ? refusals(intake) : undefined),
      appends: () => together(INTAKE_KINDS.map((kind) => intake.appendProblem(kind))),
      samples: () => intake.samplesProblem(),
      devices: () => gateway.problem?.(),
    },
    refused: () => refusedByTenant(intake),
    close: async () => {
      // What devices have in flight is acknowledged before intake stops taking.
      await gateway.close();
      await presence.close();
      await intake.stop();
    },
  };
}

/** The stream as intake sees it: what became durable is also shown to those who watch. */
function watched(stream: EventStream, watcher: IngestionWatcher): EventStream {
  return {
    publish: async (name, events, options) => {
      const result = await stream.publish(name, events, options);
      watcher.observe(events);
      return result;
    },
    declareGroup: (...given) => stream.declareGroup(...given),
    forgetGroup: (...given) => stream.forgetGroup(...given),
    subscribe: (...given) => stream.subscribe(...given),
    close: () => stream.close(),
  };
}

/** Of every group that there is: that of a service that was never started here holds nobody up. */
async function backlogsBehind(stream: MeasuredStream, kind: IntakeKind): Promise<readonly Backlog[]> {
  const groups = STREAM_GROUPS.filter(([name]) => STREAMS_BEHIND[kind].includes(name));
  const backlogs = await Promise.all(
    groups.map(async ([name, group]) => {
      const lag = await lagOf(stream, name, group);
      return lag === undefined ? [] : [{ stream: name, group, ...lag }];
    }),
  );
  return backlogs.flat();
}

function refusals(intake: Intake): string | undefined {
  return together(INTAKE_KINDS.map((kind) => intake.problem(kind)));
}

function together(problems: readonly (string | undefined)[]): string | undefined {
  const told = problems.filter((problem) => problem !== undefined);
  return told.length === 0 ? undefined : told.join('; ');
}

function refusedByTenant(intake: Intake): ReadonlyMap<TenantId, number> {
  return new Map(
    [...intake.counts()].map(([tenant, { refused }]) => [
      tenant as TenantId,
      Object.values(refused).reduce((sum, count) => sum + count, 0),
    ]),
  );
}

/**
 * What intake counts and holds, read when it is scraped: the hot path knows nothing of it. Scraping needs nobody to be signed in, so that no
 * label names a tenant.
 */
function register(metrics: Registry, intake: Intake): void {
  const registers = [metrics];
  new Gauge({
    name: 'tribo_intake_ready',
    help: '1 while intake takes messages of the kind',
    labelNames: ['kind'],
    registers,
    collect() {
      for (const kind of INTAKE_KINDS) this.set({ kind }, intake.isReady(kind) ? 1 : 0);
    },
  });
  new Gauge({
    name: 'tribo_intake_held',
    help: 'What intake holds in memory: events and bytes not yet durable, receipts, waveforms that lack parts',
    labelNames: ['what'],
    registers,
    collect() {
      for (const [what, value] of Object.entries(intake.gauges())) this.set({ what }, value);
    },
  });
  byReason('tribo_intake_rejected_items_total', 'Items of acknowledged messages that were rejected', 'rejected');
  byReason('tribo_intake_refused_total', 'Messages and connections that were turned away unacknowledged', 'refused');

  function byReason(name: string, help: string, outcome: 'rejected' | 'refused'): void {
    new Counter({
      name,
      help,
      labelNames: ['reason'],
      registers,
      collect() {
        this.reset();
        for (const counts of intake.counts().values()) {
          for (const [reason, count] of Object.entries(counts[outcome])) this.inc({ reason }, count);
        }
      },
    });
  }
}
