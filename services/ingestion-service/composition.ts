import { randomUUID } from 'node:crypto';
import { PresenceWatch } from '#core/announcing/presence-watch.ts';
import { LiveState } from '#core/live/live-state.ts';
import type { DeviceGateway } from '#core/ports/device-gateway.ts';
import { notifiersOf } from '#core/ports/notifier.ts';
import { streamWith } from '#core/delivery/stream-capabilities.ts';
import { openRuntime, type ServiceRuntime } from '#services/shared/composition.ts';
import type { Configuration } from '#services/shared/config/settings.ts';
import { requireSafeListening } from '#services/shared/config/safe-listening.ts';
import { composeAlone, type ServiceAlone } from '#services/shared/process/compose-alone.ts';
import { INTAKE_PORT, LIVE_PORT, servedIntake } from '#services/shared/rpc/intake-port.ts';
import { methodsOf } from '#services/shared/rpc/port-server.ts';
import { startIngestion, type RunningIngestion } from './ingestion-service.ts';
import { loadMapping } from './mapping-file.ts';

const NAME = 'ingestion-service';
const DAY_MS = 86_400_000;

/** Intake with the MQTT broker in front of it. */
export interface BrokerIngestion extends RunningIngestion<DeviceGateway> {
  /** 0 where devices connect to a provider's broker. */
  readonly mqttPort: number;
  /** What it sees, for people who watch. */
  readonly live: LiveState;
}

/** Ingestion as a process of its own: the broker, and intake and live data for the other processes over links. */
export function composeIngestionService(configuration: Configuration): Promise<ServiceAlone<BrokerIngestion>> {
  const runtime = openRuntime(configuration, NAME);
  return composeAlone(NAME, runtime, startServed, ({ mqttPort }) => ({ mqttPort }));
}

/** Ingestion on the ports of the process that it runs in. */
export async function wireIngestion(runtime: ServiceRuntime): Promise<BrokerIngestion> {
  const { configuration, port, logger, metrics, tracing } = runtime;
  const { mappingFile, acceptAgeDays, maxPendingEvents, host, insecure } = configuration;
  requireSafeListening({ host, insecure, tls: runtime.certificates.current });
  const mapping = mappingFile === undefined ? undefined : loadMapping(mappingFile);
  const clock = await port('clock');
  const makeGateway = await port('deviceGateway');
  const live = new LiveState({ incarnation: randomUUID() });
  const notifiers = await port('notifiers');
  const presence = new PresenceWatch(
    {
      announcements: await port('alarmJournal'),
      devices: await port('deviceRegistry'),
      ...{ live, clock, onProblem: (what, error) => logger.warn({ err: error }, `${what} failed`) },
    },
    {
      settleMs: configuration.presenceSettleMs,
      notify: notifiersOf('device', notifiers),
    },
  );
  const ingestion = await startIngestion(
    { acceptAgeMs: acceptAgeDays * DAY_MS, maxPendingEvents },
    {
      stream: streamWith(await port('eventStream'), NAME, 'MeasuredStream'),
      store: runtime.store,
      machines: await port('machineRegistry'),
      objects: await port('objectStore'),
      ...{ clock, logger, metrics, tracing },
      ...{ watcher: live, presence },
      makeGateway: (hooks) => makeGateway({ ...hooks, ...(mapping && { mapping }) }),
    },
  );
  return { ...ingestion, live, mqttPort: ingestion.gateway.port ?? 0 };
}

async function startServed(runtime: ServiceRuntime): Promise<BrokerIngestion> {
  await using opened = new AsyncDisposableStack();
  const ingestion = await wireIngestion(runtime);
  opened.defer(() => ingestion.close());
  const { intake, refused, live, gateway } = ingestion;
  for (const [name, served] of [
    [INTAKE_PORT, servedIntake(intake, refused, gateway)],
    [LIVE_PORT, methodsOf(live, ['changes'])],
  ] as const) {
    const server = await runtime.links.serve(name, served);
    opened.defer(() => server.close());
  }
  const parts = opened.move();
  return { ...ingestion, close: () => parts.disposeAsync() };
}
