import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { systemClock } from '#core/clock.ts';
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

describe('checkpoints saved at the same time', () => {
  it('are each saved or refused on their own account', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tribo-checkpoints-'));
    const store = await SqliteCheckpointStore.open({ databasePath: join(folder, 'state.db') }, systemClock);
    try {
      await store.save('b', Uint8Array.of(1), 0);
      const names = ['a', 'b', 'c'];
      const results = await Promise.allSettled(names.map((name) => store.save(name, Uint8Array.of(2), 0)));
      expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      const kept = await Promise.all(names.map(async (name) => (await store.load(name))?.state[0]));
      expect(kept).toEqual([2, 1, 2]);
      await store.close();
      await expect(store.save('d', Uint8Array.of(3), 0)).rejects.toMatchObject({ code: 'failed_precondition' });
    } finally {
      await store.close();
      rmSync(folder, { recursive: true });
    }
  });
});
