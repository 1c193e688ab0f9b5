import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { movableHistoryContract } from '#core/contracts/movable-history.contract.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { DuckDbTimeSeriesStore } from './duckdb-time-series-store.ts';
import type { MaintenanceLimits } from './maintenance.ts';

async function makeHarness(limits: Partial<MaintenanceLimits>) {
  const directory = await mkdtemp(join(tmpdir(), 'tribo-history-'));
  const open = (name: string) => DuckDbTimeSeriesStore.open({ directory: join(directory, name) }, { limits });
  const store = await open('here');
  let elsewhere = await open('there');
  return {
    store,
    elsewhere,
    reopenElsewhere: async () => {
      await elsewhere.close();
      return (elsewhere = await open('there'));
    },
    folder: () => mkdtemp(join(directory, 'folder-')),
    readFile,
    writeFile,
    [Symbol.asyncDispose]: async () => {
      for (const each of [store, elsewhere]) await each.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

describeContract(movableHistoryContract, 'DuckDB', () => makeHarness({}));

// Limits so low that what is exported is in sorted parts and joined rollups.
describeContract(movableHistoryContract, 'DuckDB with tiny parts', () =>
  makeHarness({
    sealRows: 1,
    joinRollupRows: 1,
    rollUpRows: 1,
    rollUpAfterMs: 0,
    repairMinutes: 3,
    checkpointBytes: 1,
  }),
);
