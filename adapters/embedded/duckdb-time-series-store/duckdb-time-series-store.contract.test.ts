import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { timeSeriesStoreContract, type TimeSeriesStoreHarness } from '#core/contracts/time-series-store.contract.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { DuckDbTimeSeriesStore } from './duckdb-time-series-store.ts';

async function makeHarness(): Promise<TimeSeriesStoreHarness & AsyncDisposable> {
  const directory = await mkdtemp(join(tmpdir(), 'tribo-timeseries-'));
  let failing = false;
  const open = () =>
    DuckDbTimeSeriesStore.open(
      { directory },
      {
        beforeCommit: () => {
          if (!failing) return;
          failing = false;
          throw new Error('forced to fail before the commit');
        },
      },
    );
  let store = await open();
  return {
    store,
    failNextSettlement: () => {
      failing = true;
    },
    reopen: async () => {
      await store.close();
      return (store = await open());
    },
    [Symbol.asyncDispose]: async () => {
      await store.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

describeContract(timeSeriesStoreContract, 'DuckDB', makeHarness);
