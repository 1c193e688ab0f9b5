import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { newRun } from '#core/contracts/verification.ts';
import { PortError } from '#core/errors.ts';
import { FileSecretStore } from './embedded/file-secret-store/file-secret-store.ts';
import { secretsVerification } from './secrets-verification.ts';

const folder = mkdtempSync(join(tmpdir(), 'tribo-verified-secrets-'));

afterAll(() => rmSync(folder, { recursive: true }));

/** Does not answer the next that writes the secret with the names. */
class FailingStore extends FileSecretStore {
  fails = true;

  override async put(name: string, value: string): Promise<void> {
    const isFailing = this.fails && name.endsWith('-index');
    if (isFailing) this.fails = false;
    if (isFailing) throw new PortError('unavailable', 'socket hang up');
    await super.put(name, value);
  }
}

describe('the verification of a secret store', () => {
  it('goes on after a name could not be noted once, and leaves nothing', async () => {
    const directory = mkdtempSync(join(folder, 'store-'));
    const run = newRun(Date.now());
    const open = async () => new FailingStore({ directory });
    const verification = await secretsVerification(open, { run, where: directory, needs: 'nothing' });
    const failed: unknown[] = [];
    for (const each of verification.contracts.flatMap(({ cases }) => cases))
      await each.run().catch((error: unknown) => failed.push(error));
    expect(failed).toEqual([expect.objectContaining({ code: 'unavailable' })]);
    await verification.sweep((each) => each === run);
    expect(readdirSync(directory)).toEqual([]);
  });
});
