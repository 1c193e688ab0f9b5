import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { checkpointStoreContract } from '#core/contracts/checkpoint-store.contract.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { HeldClock } from '#test/support/held-clock.ts';
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

describe('a lease whose holder is gone', () => {
  it('ends after its length although the clock was set back, and not before', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tribo-checkpoints-'));
    const clock = new HeldClock(1_795_222_800_000);
    const store = await SqliteCheckpointStore.open({ databasePath: join(folder, 'state.db') }, clock);
    try {
      const lease = await store.acquireLease('store', 'gone', 10_000);
      clock.advance(5000);
      clock.setWall(clock.nowMs() - 7_200_000);
      expect(await store.acquireLease('store', 'next', 10_000)).toBeUndefined();
      clock.advance(9000);
      expect(await store.acquireLease('store', 'next', 10_000)).toBeUndefined();
      clock.advance(1000);
      expect(await store.acquireLease('store', 'next', 10_000)).toMatchObject({ fence: (lease?.fence ?? 0) + 1 });
    } finally {
      await store.close();
      rmSync(folder, { recursive: true });
    }
  });
});
