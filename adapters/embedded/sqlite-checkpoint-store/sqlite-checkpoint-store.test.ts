import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkpointStoreContract } from '#core/contracts/checkpoint-store.contract.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { SqliteCheckpointStore } from './sqlite-checkpoint-store.ts';

describeContract(checkpointStoreContract, 'sqlite', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tribo-checkpoints-'));
  const opened: SqliteCheckpointStore[] = [];
  let nowMs = 1_795_222_800_000;
  const reopen = async () => {
    const store = await SqliteCheckpointStore.open(
      { databasePath: join(folder, 'state.db') },
      { nowMs: () => nowMs, monotonicMs: () => nowMs },
    );
    opened.push(store);
    return store;
  };
  return {
    store: await reopen(),
    reopen,
    passTime: async (ms) => {
      nowMs += ms;
    },
    [Symbol.asyncDispose]: async () => {
      for (const store of opened) await store.close();
      rmSync(folder, { recursive: true });
    },
  };
});
