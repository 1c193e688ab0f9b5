import { existsSync, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDbTimeSeriesStore } from '#adapters/embedded/duckdb-time-series-store/duckdb-time-series-store.ts';
import { backUpGroups, backUpLogs } from '#adapters/embedded/lmdb-event-stream/backup.ts';
import { backUpSqlite } from '#adapters/sql/sqlite-backup.ts';
import type { TimeSeriesStore } from '#core/ports/time-series-store.ts';
import { openRuntime, portsElsewhere, type Elsewhere } from '#services/shared/composition.ts';
import type { Configuration } from '#services/shared/config/settings.ts';
import { connectPort } from '#services/shared/rpc/port-client.ts';
import { socketPath } from '#services/shared/rpc/socket-path.ts';
import { TIME_SERIES_PORT } from '#services/shared/rpc/time-series-port.ts';
import { FORMAT_FILE } from '#services/shared/process/data-format.ts';
import { ADDRESS_FILE, type PlatformAddress } from '../cli/api-client.ts';
import { copyFileSynced, filesBelow, whileWatching } from './copy-files.ts';
import type { BackupPart } from './take-backup.ts';

/** What a platform has from elsewhere: as the one that runs on the data folder says, else by the configuration. */
export function elsewhereOf(configuration: Configuration): Elsewhere {
  const running = join(configuration.dataDir, ADDRESS_FILE);
  if (!existsSync(running)) return portsElsewhere(configuration);
  return (JSON.parse(readFileSync(running, 'utf8')) as PlatformAddress).elsewhere;
}

/**
 * The time-series store for work of an operator: of the process that owns it where the platform runs, else opened here.
 */
export async function openTimeSeriesStore(
  configuration: Configuration,
  isRunning: boolean,
): Promise<Pick<TimeSeriesStore, 'backup' | 'exportParquet' | 'close'>> {
  const { dataDir } = configuration;
  if (!isRunning && portsElsewhere(configuration)['timeSeriesStore'] !== undefined) {
    await using opened = new AsyncDisposableStack();
    const runtime = opened.adopt(openRuntime(configuration, 'command-line'), (each) => each.close());
    const store = await runtime.port('timeSeriesStore');
    const parts = opened.move();
    return {
      backup: (folder, options) => store.backup(folder, options),
      exportParquet: (range, folder, options) => store.exportParquet(range, folder, options),
      close: () => parts.disposeAsync(),
    };
  }
  if (!isRunning) return DuckDbTimeSeriesStore.open({ directory: join(dataDir, 'time-series') });
  const store = connectPort<TimeSeriesStore>(socketPath(dataDir, TIME_SERIES_PORT), 'the time-series store', {
    waitMs: 15_000,
  });
  return {
    backup: (folder, options) => store.backup(folder, options),
    exportParquet: (range, folder, options) => store.exportParquet(range, folder, options),
    close: async () => store.disconnect(),
  };
}

/**
 * What a data folder holds, in the order in which it is copied so that the copies make one whole though everything goes on meanwhile:
 *
 * 1. How far groups have settled the streams, before the state of those who settled.
 * 2. State that was derived from the streams, the younger first: settled readings, then consumers' snapshots and leases, then the alarm
 *    journal, which is written before the snapshot that holds its outcome.
 * 3. The streams: they hold everything that this state has not seen yet, and everything that it says was published.
 * 4. What events refer to: machines, devices, rules and models with who changed them, then samples and model files, whose bytes are there before anything
 *    names them; and the keys that what was copied was signed with.
 *
 * After a restore the platform takes up its work as after a power cut at the moment when the streams were copied.
 * Without a store there are no readings in it: they are kept elsewhere.
 */
export function backupParts(
  dataDir: string,
  store: Pick<TimeSeriesStore, 'backup'> | undefined,
): readonly BackupPart[] {
  const streams = join(dataDir, 'streams');
  return [
    { name: 'groups', paths: [], copy: (target) => backUpGroups(streams, join(target, 'streams')) },
    ...(store ? [readingsPart(store)] : []),
    sqlitePart('state', dataDir, ['state.db']),
    sqlitePart('alarms', dataDir, ['alarms.db']),
    {
      name: 'streams',
      paths: ['streams'],
      copy: (target, onBytes) =>
        whileWatching(join(target, 'streams'), onBytes, () => backUpLogs(streams, join(target, 'streams'))),
    },
    sqlitePart('registries', dataDir, ['registry.db', 'identity.db', 'commands.db', 'audit.db']),
    filesPart('objects', dataDir),
    filesPart('secrets', dataDir),
    {
      name: 'format',
      paths: [],
      copy: async (target, onBytes) => {
        await copyFileSynced(join(dataDir, FORMAT_FILE), join(target, FORMAT_FILE), onBytes);
      },
    },
  ];
}

function readingsPart(store: Pick<TimeSeriesStore, 'backup'>): BackupPart {
  return {
    name: 'readings',
    paths: ['time-series/timeseries.duckdb'],
    copy: (target, onBytes, signal) => {
      const folder = join(target, 'time-series');
      return whileWatching(join(folder, 'timeseries.duckdb.unfinished'), onBytes, () =>
        store.backup(folder, { signal }),
      );
    },
  };
}

function sqlitePart(name: string, dataDir: string, paths: readonly string[]): BackupPart {
  return {
    name,
    paths,
    copy: async (target, onBytes) => {
      for (const path of paths)
        if (backUpSqlite(join(dataDir, path), join(target, path))) onBytes((await stat(join(target, path))).size);
    },
  };
}

/** Files that are written beside and renamed, so that each is whole; names that begin with a dot are those being written. */
function filesPart(folder: string, dataDir: string): BackupPart {
  return {
    name: folder,
    paths: [folder],
    copy: async (target, onBytes, signal) => {
      for await (const path of filesBelow(join(dataDir, folder)))
        if (!path.startsWith('.'))
          await copyFileSynced(join(dataDir, folder, path), join(target, folder, path), onBytes, signal);
    },
  };
}
