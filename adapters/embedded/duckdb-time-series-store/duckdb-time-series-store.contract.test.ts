import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { timeSeriesStoreContract, type TimeSeriesStoreHarness } from '#core/contracts/time-series-store.contract.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { TINY_PARTS } from '#test/support/tiny-parts.ts';
import type { MaintenanceLimits } from './maintenance.ts';
import { DuckDbTimeSeriesStore } from './duckdb-time-series-store.ts';

async function makeHarness(limits: Partial<MaintenanceLimits>): Promise<TimeSeriesStoreHarness & AsyncDisposable> {
  const directory = await mkdtemp(join(tmpdir(), 'tribo-timeseries-'));
  let failing = false;
  const open = () =>
    DuckDbTimeSeriesStore.open(
      { directory: join(directory, 'store') },
      {
        limits,
        beforeCommit: () => {
          if (!failing) return;
          failing = false;
          throw new Error('forced to fail before the commit');
        },
      },
    );
  let store = await open();
  const backups: DuckDbTimeSeriesStore[] = [];
  return {
    store,
    maintain: async (nowMs) => {
      await store.maintain(nowMs);
    },
    folder: () => mkdtemp(join(directory, 'folder-')),
    openBackup: async (folder) => {
      const backup = await DuckDbTimeSeriesStore.open({ directory: folder });
      backups.push(backup);
      return backup;
    },
    failNextSettlement: () => {
      failing = true;
    },
    reopen: async () => {
      await store.close();
      return (store = await open());
    },
    [Symbol.asyncDispose]: async () => {
      for (const each of [store, ...backups]) await each.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

describeContract(timeSeriesStoreContract, 'DuckDB', () => makeHarness({}));

describeContract(timeSeriesStoreContract, 'DuckDB with tiny parts', () => makeHarness(TINY_PARTS));
