import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { movableHistoryContract } from '#core/contracts/movable-history.contract.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { TINY_PARTS } from '#test/support/tiny-parts.ts';
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

describeContract(movableHistoryContract, 'DuckDB with tiny parts', () => makeHarness(TINY_PARTS));
