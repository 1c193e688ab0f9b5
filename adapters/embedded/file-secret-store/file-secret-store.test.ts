import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { secretStoreContract } from '#core/contracts/secret-store.contract.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { FileSecretStore } from './file-secret-store.ts';

async function makeHarness() {
  const directory = mkdtempSync(join(tmpdir(), 'tribo-secrets-'));
  const reopen = () => new FileSecretStore({ directory });
  return {
    directory,
    store: reopen(),
    reopen,
    prefix: 'case-',
    [Symbol.asyncDispose]: async () => rmSync(directory, { recursive: true }),
  };
}

describeContract(secretStoreContract, 'files', makeHarness);

it('lets its owner alone read a secret', async () => {
  await using harness = await makeHarness();
  await harness.store.put('key', 'value');
  expect(statSync(join(harness.directory, 'key')).mode & 0o777).toBe(0o600);
  expect(statSync(harness.directory).mode & 0o777).toBe(0o700);
});
