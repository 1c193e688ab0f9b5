import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { objectStoreContract } from '#core/contracts/object-store.contract.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { FileObjectStore } from './file-object-store.ts';

async function makeHarness() {
  const directory = mkdtempSync(join(tmpdir(), 'tribo-objects-'));
  return {
    directory,
    store: new FileObjectStore({ directory }),
    prefix: 'tenant-a/waveforms/',
    [Symbol.asyncDispose]: async () => rmSync(directory, { recursive: true }),
  };
}

describeContract(objectStoreContract, 'files', makeHarness);

describe('objects as files', () => {
  it('leaves nothing behind in its incoming folder', async () => {
    await using harness = await makeHarness();
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => harness.store.put(`a/${i % 3}`, new Uint8Array(100), { ifAbsent: true })),
    );
    expect(readdirSync(join(harness.directory, '.incoming'))).toEqual([]);
  });
});
