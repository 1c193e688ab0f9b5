import assert from 'node:assert/strict';
import { isPortError } from '../errors.ts';
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
