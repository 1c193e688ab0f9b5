import { Container } from 'inversify';
import { embeddedModule } from '#adapters/embedded/module.ts';
import { deadLettersInStore } from '#core/derivation/dead-letters.ts';
import { portToken, type BoundPorts, type PortName } from '#core/ports/tokens.ts';
import type { TimeSeriesStore } from '#core/ports/time-series-store.ts';
import type { Configuration } from '#services/shared/config/settings.ts';
import { serveOperation } from '#services/shared/http/operation-server.ts';
import { Readiness } from '#services/shared/http/readiness.ts';
import { createLogger } from '#services/shared/observability/logger.ts';
import { createMetricsRegistry } from '#services/shared/observability/metrics.ts';
import { Tracing } from '#services/shared/observability/tracing.ts';
import type { RunningService } from '#services/shared/process/run-service.ts';
import { connectPort } from '#services/shared/rpc/port-client.ts';
import { socketPath } from '#services/shared/rpc/socket-path.ts';
import { TIME_SERIES_PORT } from '#services/shared/rpc/time-series-port.ts';
import { featureServiceConfigSchema } from './config.ts';
import { COMPUTE_GROUP, startFeatureService } from './feature-service.ts';

const NAME = 'feature-service';
const DAY_MS = 86_400_000;

/** The feature service as a process of its own; health and metrics on a free port of loopback, which the log names. */
export async function composeFeatureService(
  configuration: Configuration,
): Promise<RunningService & { readonly operationUrl: string }> {
  const { dataDir } = configuration;
  const stops: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const stop of stops.splice(0).reverse()) await stop();
  };
  try {
    const logger = createLogger({ service: NAME, level: configuration.logLevel });
    const metrics = createMetricsRegistry(NAME);
    const tracing = new Tracing({ service: NAME, endpoint: configuration.otlpEndpoint });
    stops.push(() => tracing[Symbol.asyncDispose]());
    const embedded = embeddedModule({
      dataDir,
      processName: NAME,
      streamRetentionMs: configuration.streamRetentionDays * DAY_MS,
      streamMaxBytes: configuration.streamMaxBytes,
    });
    stops.push(() => embedded.close());
    const container = new Container();
    container.load(embedded.module);
    const port = <Name extends PortName>(name: Name) => container.getAsync<BoundPorts[Name]>(portToken(name));
    const store = connectPort<TimeSeriesStore>(socketPath(dataDir, TIME_SERIES_PORT), 'the time-series store');
    stops.push(async () => store.disconnect());
    const service = await startFeatureService(featureServiceConfigSchema.parse({}), {
      stream: await port('eventStream'),
      objects: await port('objectStore'),
      machines: await port('machineRegistry'),
      readings: store,
      deadLetter: deadLettersInStore(store, { writesTo: 'features', group: COMPUTE_GROUP }),
      clock: await port('clock'),
      ...{ logger, metrics, tracing },
    });
    stops.push(() => service.close());
    const readiness = new Readiness(service.readiness);
    const operation = await serveOperation({ port: 0, readiness, metrics });
    stops.push(() => operation.close());
    logger.info({ url: operation.url }, 'health and metrics');
    return { operationUrl: operation.url, close };
  } catch (error) {
    await close();
    throw error;
  }
}
