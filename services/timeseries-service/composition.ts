import { join } from 'node:path';
import { Container } from 'inversify';
import { DuckDbTimeSeriesStore } from '#adapters/embedded/duckdb-time-series-store/duckdb-time-series-store.ts';
import { embeddedModule } from '#adapters/embedded/module.ts';
import { portToken, type BoundPorts, type PortName } from '#core/ports/tokens.ts';
import type { TimeSeriesStore } from '#core/ports/time-series-store.ts';
import type { Configuration } from '#services/shared/config/settings.ts';
import { serveOperation } from '#services/shared/http/operation-server.ts';
import { Readiness } from '#services/shared/http/readiness.ts';
import { createLogger } from '#services/shared/observability/logger.ts';
import { createMetricsRegistry } from '#services/shared/observability/metrics.ts';
import { Tracing } from '#services/shared/observability/tracing.ts';
import type { RunningService } from '#services/shared/process/run-service.ts';
import { servePort } from '#services/shared/rpc/port-server.ts';
import { socketPath } from '#services/shared/rpc/socket-path.ts';
import { TIME_SERIES_PORT } from '#services/shared/rpc/time-series-port.ts';
import { startTimeseriesService } from './service.ts';

export { TIME_SERIES_PORT };

const NAME = 'timeseries-service';
const DAY_MS = 86_400_000;

/** Methods of the store that other processes may call: not what belongs to its owner. */
const SERVED = [
  'progress',
  'settled',
  'series',
  'latest',
  'waveforms',
  'waveform',
  'documents',
  'storedEventIds',
  'deadLetters',
  'rejections',
  'settle',
  'settleDeadLetter',
  'exportParquet',
  'backup',
] as const satisfies readonly (keyof TimeSeriesStore)[];

/**
 * The owner of the time-series store: opens it, settles into it, and offers it to the other processes over a socket in the data folder.
 * Health and metrics are on a free port of loopback, which the log names.
 */
export async function composeTimeseriesService(
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
    const store = await DuckDbTimeSeriesStore.open({ directory: join(dataDir, 'time-series') });
    stops.push(() => store.close());
    const { rawDays, rollup1mDays, rollup1hDays, waveformDays } = configuration;
    const service = await startTimeseriesService(
      {
        store,
        stream: await port('eventStream'),
        checkpoints: await port('checkpointStore'),
        objects: await port('objectStore'),
        clock: await port('clock'),
        ...{ logger, metrics, tracing },
      },
      {
        retention: { rawDays, rollup1mDays, rollup1hDays, waveformDays },
        sweepAfterMs: (configuration.streamRetentionDays + 1) * DAY_MS,
      },
    );
    const server = await servePort(socketPath(dataDir, TIME_SERIES_PORT), TIME_SERIES_PORT, {
      ...servedStore(store),
      problem: () => service.problem(),
    });
    stops.push(() => server.close());
    // Settlement ends first, while the others can still read.
    stops.push(() => service.close());
    const readiness = new Readiness({ 'time-series-store': () => service.problem() });
    const operation = await serveOperation({ port: 0, readiness, metrics });
    stops.push(() => operation.close());
    logger.info({ url: operation.url }, 'health and metrics');
    return { operationUrl: operation.url, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function servedStore(store: TimeSeriesStore): object {
  return Object.fromEntries(
    SERVED.map((method) => [method, (store[method] as (...given: unknown[]) => unknown).bind(store)]),
  );
}
