import type { TimeSeriesStore } from '#core/ports/time-series-store.ts';
import { streamWith } from '#core/delivery/stream-capabilities.ts';
import { openRuntime, type ServiceRuntime } from '#services/shared/composition.ts';
import type { Configuration } from '#services/shared/config/settings.ts';
import { composeAlone, type ReadyService, type ServiceAlone } from '#services/shared/process/compose-alone.ts';
import { methodsOf } from '#services/shared/rpc/port-server.ts';
import { STORE_OWNER, TIME_SERIES_PORT } from '#services/shared/rpc/time-series-port.ts';
import { startRawArchiver } from './raw-archiver.ts';
import { startTimeseriesService } from './service.ts';

const NAME = STORE_OWNER;
const DAY_MS = 86_400_000;

/** Methods of the store that other processes may call: not what belongs to its owner. */
const SERVED = [
  'progress',
  'settled',
  'lostEvents',
  'series',
  'latest',
  'waveforms',
  'waveform',
  'documents',
  'storedEventIds',
  'deadLetters',
  'rejections',
  'settle',
  'deadLetter',
  'settleDeadLetter',
  'exportParquet',
  'backup',
] as const satisfies readonly (keyof TimeSeriesStore)[];

/** The owner of the time-series store: opens it, settles into it, and offers it to the other processes over links. */
export function composeTimeseriesService(configuration: Configuration): Promise<ServiceAlone<ReadyService>> {
  return composeAlone(NAME, openRuntime(configuration, NAME), startOwner);
}

async function startOwner(runtime: ServiceRuntime): Promise<ReadyService> {
  const { configuration, port, logger, metrics, tracing } = runtime;
  const { rawDays, rollup1mDays, rollup1hDays, waveformDays, streamRetentionDays } = configuration;
  const { rawArchive, rawArchiveDays, rawArchiveEveryS } = configuration;
  await using opened = new AsyncDisposableStack();
  const store = await port('timeSeriesStore');
  const shared = {
    stream: streamWith(await port('eventStream'), NAME, 'MeasuredStream'),
    checkpoints: await port('checkpointStore'),
    objects: await port('objectStore'),
    clock: await port('clock'),
    ...{ logger, metrics },
  };
  const archiver = await startRawArchiver(shared, {
    isOn: rawArchive === 'on',
    everyMs: rawArchiveEveryS * 1000,
    keepMs: rawArchiveDays * DAY_MS,
  });
  opened.defer(() => archiver.close());
  const service = await startTimeseriesService(
    { store, tracing, machines: await port('machineRegistry'), ...shared },
    {
      retention: { rawDays, rollup1mDays, rollup1hDays, waveformDays },
      sweepAfterMs: (streamRetentionDays + 1) * DAY_MS,
      // A copy that waited for the other's end before it answers would never be found well, and so replace none.
      standsBy: runtime.links.isApart,
    },
  );
  const problem = (): string | undefined => service.problem();
  const served = { ...methodsOf(store, SERVED), problem: () => problem() ?? archiver.problem() };
  const server = await runtime.links.serve(TIME_SERIES_PORT, served);
  opened.defer(() => server.close());
  // Settlement ends first, while the others can still read.
  opened.defer(() => service.close());
  const parts = opened.move();
  return {
    readiness: { 'time-series-store': problem, 'raw-archive': () => archiver.problem() },
    close: () => parts.disposeAsync(),
  };
}
