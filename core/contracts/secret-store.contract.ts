import assert from 'node:assert/strict';
import { isPortError, isRetryable } from '../errors.ts';
import type { SecretStore } from '../ports/secret-store.ts';
import type { Contract } from './contract.ts';

export interface SecretStoreHarness {
  readonly store: SecretStore;
  /** The same secrets, opened anew. */
  readonly reopen: () => SecretStore;
  /** Begin of all names of the case. */
  readonly prefix: string;
}

export const secretStoreContract: Contract<SecretStoreHarness> = {
  port: 'secret-store',
  cases: [
    {
      name: 'a secret survives a reopen, and absence is undefined',
      run: async ({ store, reopen, prefix }) => {
        await store.put(`${prefix}key`, 'päss\nword');
        assert.equal(await reopen().get(`${prefix}key`), 'päss\nword');
        assert.equal(await store.get(`${prefix}other`), undefined);
      },
    },
    {
      name: 'a put replaces, and deleting is idempotent',
      run: async ({ store, prefix }) => {
        await store.put(`${prefix}key`, 'one');
        await store.put(`${prefix}key`, 'two');
        assert.equal(await store.get(`${prefix}key`), 'two');
        await store.delete(`${prefix}key`);
        await store.delete(`${prefix}key`);
        assert.equal(await store.get(`${prefix}key`), undefined);
      },
    },
    {
      name: 'a secret that was deleted can be put again',
      run: async ({ store, prefix }) => {
        for (const value of ['one', 'two', 'three']) {
          await store.put(`${prefix}key`, value);
          assert.equal(await store.get(`${prefix}key`), value);
          await store.delete(`${prefix}key`);
          assert.equal(await store.get(`${prefix}key`), undefined);
        }
      },
    },
    {
      name: 'keeps apart names that differ in a dot, a dash or an underscore alone',
      run: async ({ store, prefix }) => {
        const names = ['a.b', 'a-b', 'a_b', 'a.b.', 'a--b'].map((name) => prefix + name);
        for (const name of names) await store.put(name, `of ${name}`);
        for (const name of names) assert.equal(await store.get(name), `of ${name}`);
      },
    },
    {
      name: 'keeps 4,096 bytes, and a name of 64 characters',
      run: async ({ store, prefix }) => {
        const name = prefix.padEnd(64, 'n');
        const value = JSON.stringify({ keys: 'k'.repeat(4085) });
        assert.equal(Buffer.byteLength(value), 4096);
        await store.put(name, value);
        assert.equal(await store.get(name), value);
      },
    },
    {
      name: 'of several that put a new secret at once one value stays, and those that fail may try again',
      run: async ({ store, prefix }) => {
        const values = ['one', 'two', 'three'];
        const puts = await Promise.allSettled(values.map((value) => store.put(`${prefix}key`, value)));
        const reasons = puts.flatMap((put) => (put.status === 'rejected' ? [put.reason as unknown] : []));
        assert.ok(reasons.length < values.length);
        for (const reason of reasons) assert.ok(isRetryable(reason), String(reason));
        assert.ok(values.includes((await store.get(`${prefix}key`)) ?? ''));
      },
    },
    {
      name: 'refuses an empty value',
      run: async ({ store, prefix }) => {
        await assert.rejects(
          store.put(`${prefix}key`, ''),
          (error) => isPortError(error) && error.code === 'invalid_argument',
        );
      },
    },
    {
      name: 'refuses a name that is a path, without saying the value',
      run: async ({ store }) => {
        for (const name of ['../x', 'a/b', '', '.', '.hidden', 'x'.repeat(65)]) {
          await assert.rejects(
            store.put(name, 'the-value'),
            (error) => isPortError(error) && error.code === 'invalid_argument' && !error.message.includes('the-value'),
            name,
          );
        }
      },
    },
    {
      name: 'an aborted call rejects with cancelled',
      run: async ({ store, prefix }) => {
        await assert.rejects(
          store.get(`${prefix}x`, { signal: AbortSignal.abort() }),
          (error) => isPortError(error) && error.code === 'cancelled',
        );
      },
    },
  ],
};
