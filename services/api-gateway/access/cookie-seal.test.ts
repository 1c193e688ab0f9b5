import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { SqliteCheckpointStore } from '#adapters/embedded/sqlite-checkpoint-store/sqlite-checkpoint-store.ts';
import { systemClock } from '#core/clock.ts';
import { LaggingSecrets } from '#core/contracts/lagging-secrets.ts';
import { RememberedSecrets } from '#core/contracts/remembered-secrets.ts';
import { cookieKey } from './cookie-key.ts';
import { CookieSeal } from './cookie-seal.ts';

const NAME = 'api-gateway.session-key';

let folder: string;
let checkpoints: SqliteCheckpointStore;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tribo-seal-'));
  checkpoints = await SqliteCheckpointStore.open({ databasePath: join(folder, 'state.db') }, systemClock);
});
afterEach(async () => {
  await checkpoints.close();
  rmSync(folder, { recursive: true });
});

describe('copies of the gateway', () => {
  it.each([
    { secrets: new RememberedSecrets(), shown: 'at once' },
    { secrets: new LaggingSecrets(300), shown: 'later' },
  ])('that start together have one key where secrets are shown $shown: what one seals, each reads', async (given) => {
    const stores = { checkpoints, secrets: given.secrets };
    const seals = await Promise.all(Array.from({ length: 6 }, () => CookieSeal.open(stores)));
    const sealed = seals[0]!.seal('session', { id: 'one' });
    for (const seal of [...seals, await CookieSeal.open(stores)])
      expect(seal.unseal('session', sealed)).toEqual({ id: 'one' });
  });

  it('make no other key because they do not see it: they wait, and say for what and what to do', async () => {
    const secrets = new LaggingSecrets();
    const stores = { checkpoints, secrets };
    const key = await cookieKey(stores);
    await expect(cookieKey(stores, 100)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/^the secret api-gateway\.session-key is absent.* delete the checkpoint/),
    });
    await secrets.show();
    expect(await cookieKey(stores, 100)).toEqual(key);
  });

  it('take no key but the one that was agreed on', async () => {
    const stores = { checkpoints, secrets: new RememberedSecrets() };
    await cookieKey(stores);
    await stores.secrets.put(NAME, Buffer.alloc(32, 1).toString('base64url'));
    await expect(cookieKey(stores, 100)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('is not the one that the copies agreed on'),
    });
  });

  it('go on with the key of before copies agreed on one, and keep none of it but its SHA-256', async () => {
    const stores = { checkpoints, secrets: new RememberedSecrets() };
    const before = Buffer.alloc(32, 7);
    await stores.secrets.put(NAME, before.toString('base64url'));
    expect(await cookieKey(stores)).toEqual(before);
    expect(await cookieKey(stores)).toEqual(before);
    const { state } = (await checkpoints.load(NAME))!;
    expect(JSON.parse(Buffer.from(state).toString('utf8'))).toEqual({
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });
});
