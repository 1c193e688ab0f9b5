import { join } from 'node:path';
import { DuckDbTimeSeriesStore } from '#adapters/embedded/duckdb-time-series-store/duckdb-time-series-store.ts';
import { FileObjectStore } from '#adapters/embedded/file-object-store/file-object-store.ts';
import { DEFAULT_RETENTION } from '#adapters/embedded/lmdb-event-stream/config.ts';
import { LmdbEventStream } from '#adapters/embedded/lmdb-event-stream/lmdb-event-stream.ts';
import { SqliteCheckpointStore } from '#adapters/embedded/sqlite-checkpoint-store/sqlite-checkpoint-store.ts';
import { systemClock } from '#core/clock.ts';
import type { TimeSeriesStore } from '#core/ports/time-series-store.ts';
import type { Configuration } from '#services/shared/config/settings.ts';
import { createLogger } from '#services/shared/observability/logger.ts';
import type { RunningService } from '#services/shared/process/run-service.ts';
import { servePort } from '#services/shared/rpc/port-server.ts';
import { socketPath } from '#services/shared/rpc/socket-path.ts';
import { TIME_SERIES_PORT } from '#services/shared/rpc/time-series-port.ts';
import { startTimeseriesService } from './service.ts';

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

/** What the rest of the platform sees of the time-series store. */
export type ServedTimeSeriesStore = Pick<TimeSeriesStore, (typeof SERVED)[number]>;
export { TIME_SERIES_PORT };

/** The owner of the time-series store: opens it, settles into it, and offers it to the other processes over a socket in the data folder. */
export async function composeTimeseriesService(configuration: Configuration): Promise<RunningService> {
  const { dataDir } = configuration;
  const logger = createLogger({ service: 'timeseries-service', level: configuration.logLevel });
  const store = await DuckDbTimeSeriesStore.open({ directory: join(dataDir, 'time-series') });
  const stream = new LmdbEventStream({
    directory: join(dataDir, 'streams'),
    source: 'timeseries-service',
    streams: DEFAULT_RETENTION,
  });
  const checkpoints = await SqliteCheckpointStore.open({ databasePath: join(dataDir, 'state.db') }, systemClock);
  const objects = new FileObjectStore({ directory: join(dataDir, 'objects') });
  const service = await startTimeseriesService(
    { store, stream, checkpoints, objects, clock: systemClock, logger },
    {
      rawDays: configuration.rawDays,
      rollup1mDays: configuration.rollup1mDays,
      rollup1hDays: configuration.rollup1hDays,
      waveformDays: configuration.waveformDays,
    },
  );
  const served = Object.fromEntries(
    SERVED.map((method) => [method, (store[method] as (...given: unknown[]) => unknown).bind(store)]),
  );
  const server = await servePort(socketPath(dataDir, TIME_SERIES_PORT), TIME_SERIES_PORT, {
    ...served,
    problem: () => service.problem(),
  });
  return {
    close: async () => {
      await service.close();
      await server.close();
      await stream.close();
      await checkpoints.close();
      await store.close();
    },
  };
}
