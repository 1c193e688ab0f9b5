import { writeSync } from 'node:fs';
import { DuckDbTimeSeriesStore } from '../duckdb-time-series-store.ts';
import { batchOf, messages } from './telemetry.ts';

const BATCH_MESSAGES = 500;
const TINY = { sealRows: 5_000, joinRollupRows: 200, rollUpRows: 1, rollUpAfterMs: 0, checkpointBytes: 100_000 };

/** A process of its own: settles as fast as it can, with maintenance beside, and writes each settled seq to stdout. */
const store = await DuckDbTimeSeriesStore.open({ directory: process.argv[2]! }, { limits: TINY });
const [progress] = await store.progress('metrics', 'store');
let seq = progress?.seq ?? 0;
const maintain = async (): Promise<never> => {
  while (true) {
    await store.maintain(Date.now());
  }
};
const settle = async (): Promise<never> => {
  while (true) {
    await store.settle(batchOf(messages(seq + 1, seq + BATCH_MESSAGES)));
    seq += BATCH_MESSAGES;
    writeSync(1, `${seq}\n`);
  }
};
await Promise.all([maintain(), settle()]);
