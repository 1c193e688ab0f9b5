import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { systemClock, type Clock } from '#core/clock.ts';
import { checkpointStoreContract } from '#core/contracts/checkpoint-store.contract.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { HeldClock } from '#test/support/held-clock.ts';
import { openInFolder } from '#test/support/store-in-folder.ts';
import { SqliteCheckpointStore } from './sqlite-checkpoint-store.ts';

const openStore = (clock: Clock) =>
  openInFolder((folder) => SqliteCheckpointStore.open({ databasePath: join(folder, 'state.db') }, clock));

describeContract(checkpointStoreContract, 'sqlite', async () => {
  let nowMs = 1_795_222_800_000;
  return {
    ...(await openStore({ nowMs: () => nowMs, monotonicMs: () => nowMs })),
    passTime: async (ms) => {
      nowMs += ms;
    },
  };
});

describe('a lease whose holder is gone', () => {
  it('ends after its length although the clock was set back, and not before', async () => {
    const clock = new HeldClock(1_795_222_800_000);
    await using opened = await openStore(clock);
    const { store } = opened;
    const lease = await store.acquireLease('store', 'gone', 10_000);
    clock.advance(5000);
    clock.setWall(clock.nowMs() - 7_200_000);
    expect(await store.acquireLease('store', 'next', 10_000)).toBeUndefined();
    clock.advance(9000);
    expect(await store.acquireLease('store', 'next', 10_000)).toBeUndefined();
    clock.advance(1000);
    expect(await store.acquireLease('store', 'next', 10_000)).toMatchObject({ fence: (lease?.fence ?? 0) + 1 });
  });
});

describe('checkpoints saved at the same time', () => {
  it('are each saved or refused on their own account', async () => {
    await using opened = await openStore(systemClock);
    const { store } = opened;
    await store.save('b', Uint8Array.of(1), 0);
    const names = ['a', 'b', 'c'];
    const results = await Promise.allSettled(names.map((name) => store.save(name, Uint8Array.of(2), 0)));
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    const kept = await Promise.all(names.map(async (name) => (await store.load(name))?.state[0]));
    expect(kept).toEqual([2, 1, 2]);
    await store.close();
    await expect(store.save('d', Uint8Array.of(3), 0)).rejects.toMatchObject({ code: 'failed_precondition' });
  });
});
