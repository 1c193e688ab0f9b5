import assert from 'node:assert/strict';
import { isPortError, type PortErrorCode } from '../errors.ts';
import type { CheckpointStore } from '../ports/checkpoint-store.ts';
import type { Contract } from './contract.ts';

export interface CheckpointStoreHarness {
  readonly store: CheckpointStore;
  /** The same checkpoints and leases, opened anew. */
  readonly reopen: () => Promise<CheckpointStore>;
  /** Lets the store's own time pass: a held clock is moved, a real one is waited for. */
  readonly passTime: (ms: number) => Promise<void>;
}

/** A real clock goes on while a busy machine does not. */
const LEASE_MS = 2000;
const state = (text: string) => new TextEncoder().encode(text);
const refused = (code: PortErrorCode) => (error: unknown) => isPortError(error) && error.code === code;

export const checkpointStoreContract: Contract<CheckpointStoreHarness> = {
  port: 'checkpoint-store',
  cases: [
    {
      name: 'a saved state survives a reopen, and absence is undefined',
      run: async ({ store, reopen }) => {
        assert.equal(await store.load('windows'), undefined);
        await store.save('windows', Uint8Array.from([0, 255, 7]), 0);
        const found = await (await reopen()).load('windows');
        assert.equal(found?.version, 1);
        assert.deepEqual(new Uint8Array(found.state), Uint8Array.from([0, 255, 7]));
      },
    },
    {
      name: 'saves by compare-and-set: of two that saw the same version one wins',
      run: async ({ store }) => {
        await store.save('windows', state('a'), 0);
        await assert.rejects(store.save('windows', state('b'), 0), refused('failed_precondition'));
        const results = await Promise.allSettled([
          store.save('windows', state('c'), 1),
          store.save('windows', state('d'), 1),
        ]);
        assert.deepEqual(results.map((each) => each.status).sort(), ['fulfilled', 'rejected']);
        assert.equal((await store.load('windows'))?.version, 2);
        await assert.rejects(store.save('never-saved', state('x'), 3), refused('failed_precondition'));
      },
    },
    {
      name: 'a lease has one holder, and the fence rises with each',
      run: async ({ store, passTime }) => {
        const first = await store.acquireLease('store', 'a', LEASE_MS);
        assert.ok(first);
        assert.equal(await store.acquireLease('store', 'b', LEASE_MS), undefined);
        await passTime(LEASE_MS + 50);
        const second = await store.acquireLease('store', 'b', LEASE_MS);
        assert.ok(second && second.fence > first.fence);
      },
    },
    {
      name: 'renewing keeps a lease beyond its time',
      run: async ({ store, passTime }) => {
        const lease = await store.acquireLease('store', 'a', LEASE_MS);
        assert.ok(lease);
        for (let i = 0; i < 6; i++) {
          await passTime(LEASE_MS / 4);
          await store.renewLease(lease, LEASE_MS);
        }
        assert.equal(await store.acquireLease('store', 'b', LEASE_MS), undefined);
      },
    },
    {
      name: 'a lost lease cannot be renewed',
      run: async ({ store, passTime }) => {
        const lost = await store.acquireLease('store', 'a', LEASE_MS);
        assert.ok(lost);
        await passTime(LEASE_MS + 50);
        await store.acquireLease('store', 'b', LEASE_MS);
        await assert.rejects(store.renewLease(lost, LEASE_MS), refused('failed_precondition'));
      },
    },
    {
      name: 'a released lease is free at once, and its fence is remembered',
      run: async ({ store, reopen }) => {
        const first = await store.acquireLease('store', 'a', 60_000);
        assert.ok(first);
        await store.releaseLease(first);
        const second = await (await reopen()).acquireLease('store', 'b', 60_000);
        assert.ok(second && second.fence > first.fence);
        await store.releaseLease(first);
        assert.equal(await store.acquireLease('store', 'c', 60_000), undefined);
      },
    },
    {
      name: 'of many that want a lease one gets it',
      run: async ({ store }) => {
        const leases = await Promise.all(
          Array.from({ length: 10 }, (_, i) => store.acquireLease('store', `holder-${i}`, 60_000)),
        );
        assert.equal(leases.filter((lease) => lease !== undefined).length, 1);
      },
    },
    {
      name: 'an aborted call rejects with cancelled',
      run: async ({ store }) => {
        await assert.rejects(store.load('x', { signal: AbortSignal.abort() }), refused('cancelled'));
      },
    },
  ],
};
