import { hash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { SqliteCheckpointStore } from '#adapters/embedded/sqlite-checkpoint-store/sqlite-checkpoint-store.ts';
import { systemClock } from '#core/clock.ts';
import { LaggingSecrets } from '#core/contracts/lagging-secrets.ts';
import { RememberedSecrets } from '#core/contracts/remembered-secrets.ts';
import { PortError } from '#core/errors.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';
import { LateSecrets } from '#test/support/late-secrets.ts';
import { cookieKey, type CookieKeyStores } from './cookie-key.ts';
import { CookieSeal } from './cookie-seal.ts';

const NAME = 'api-gateway.session-key';
const OWN_NAME = /^api-gateway\.session-key\.[0-9a-f]{16}$/;

let folder: string;
let checkpoints: SqliteCheckpointStore;
let told: string[];
beforeEach(async () => {
  told = [];
  folder = mkdtempSync(join(tmpdir(), 'tribo-seal-'));
  checkpoints = await SqliteCheckpointStore.open({ databasePath: join(folder, 'state.db') }, systemClock);
});
afterEach(async () => {
  await checkpoints.close();
  rmSync(folder, { recursive: true });
});

const onProblem = (what: string) => void told.push(what);
const keyOf = (stores: CookieKeyStores, readableWithinMs = 100) => cookieKey(stores, { readableWithinMs, onProblem });
const agreedOn = async () => JSON.parse(Buffer.from((await checkpoints.load(NAME))!.state).toString('utf8')) as unknown;

class KeptSecrets extends RememberedSecrets {
  override delete(): Promise<void> {
    return Promise.reject(new PortError('permission_denied', 'not allowed'));
  }
}

describe('copies of the gateway', () => {
  it.each([
    { secrets: new RememberedSecrets(), shown: 'at once' },
    { secrets: new LaggingSecrets(300), shown: 'later' },
  ])('that start together have one key where secrets are shown $shown: what one seals, each reads', async (given) => {
    const stores = { checkpoints, secrets: given.secrets };
    const seals = await Promise.all(Array.from({ length: 6 }, () => CookieSeal.open(stores, { onProblem })));
    const sealed = seals[0]!.seal('session', { id: 'one' });
    for (const seal of [...seals, await CookieSeal.open(stores, { onProblem })])
      expect(seal.unseal('session', sealed)).toEqual({ id: 'one' });
  });

  it('make no other key because they do not see it: they wait, and say for what and what to do', async () => {
    const secrets = new LaggingSecrets();
    const stores = { checkpoints, secrets };
    const key = await keyOf(stores);
    await expect(keyOf(stores)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(
        /^the secret api-gateway\.session-key\.[0-9a-f]{16} is absent.* delete the checkpoint/,
      ),
    });
    await secrets.show();
    expect(await keyOf(stores)).toEqual(key);
  });

  it('take no key but the one that was agreed on', async () => {
    const stores = { checkpoints, secrets: new RememberedSecrets() };
    await keyOf(stores);
    await stores.secrets.put(stores.secrets.names[0]!, Buffer.alloc(32, 1).toString('base64url'));
    await expect(keyOf(stores)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('is not what was agreed on'),
    });
  });

  it('go on with the key of before copies agreed on one, and keep none of it but its name and SHA-256', async () => {
    const stores = { checkpoints, secrets: new RememberedSecrets() };
    const before = Buffer.alloc(32, 7);
    await stores.secrets.put(NAME, before.toString('base64url'));
    expect(await keyOf(stores)).toEqual(before);
    expect(await keyOf(stores)).toEqual(before);
    expect(await agreedOn()).toEqual({
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      secret: expect.stringMatching(OWN_NAME),
    });
    await stores.secrets.put(NAME, Buffer.alloc(32, 1).toString('base64url'));
    expect(await keyOf(stores)).toEqual(before);
  });

  it('go on with the key that copies agreed on before keys had names of their own', async () => {
    const stores = { checkpoints, secrets: new RememberedSecrets() };
    const before = Buffer.alloc(32, 7).toString('base64url');
    await stores.secrets.put(NAME, before);
    await checkpoints.save(NAME, Buffer.from(JSON.stringify({ sha256: hash('sha256', before, 'hex') })), 0);
    expect((await keyOf(stores)).toString('base64url')).toBe(before);
    expect(stores.secrets.names).toEqual([NAME]);
  });

  it('keep their key when another comes that a copy had given up to put', async () => {
    const secrets = new LateSecrets();
    const stores = { checkpoints, secrets };
    secrets.isSlow = true;
    await expect(keyOf(stores, 300)).rejects.toMatchObject({ code: 'deadline_exceeded' });
    secrets.isSlow = false;
    const key = await keyOf(stores);
    await secrets.arrive();
    expect(secrets.names).toHaveLength(2);
    expect(await keyOf(stores)).toEqual(key);
  });

  it('have one secret where putting it succeeds at a further try, and what was given up comes later', async () => {
    const secrets = new LateSecrets();
    const stores = { checkpoints, secrets };
    secrets.isSlow = true;
    const first = keyOf(stores, 5_000);
    setTimeout(() => (secrets.isSlow = false), 300);
    const key = await first;
    await secrets.arrive();
    expect(secrets.names).toEqual([expect.stringMatching(OWN_NAME)]);
    expect(await keyOf(stores)).toEqual(key);
  });

  it.each([
    { lost: 'the answer', isSaved: true },
    { lost: 'what they agree on', isSaved: false },
  ])('have one secret where $lost is lost after it was put', async ({ isSaved }) => {
    const secrets = new RememberedSecrets();
    let cuts = 1;
    const cut = savingBy(async (...save) => {
      if (cuts-- <= 0) return checkpoints.save(...save);
      if (isSaved) await checkpoints.save(...save);
      throw new PortError('unavailable', 'the connection was cut');
    });
    const key = await keyOf({ checkpoints: cut, secrets }, 5_000);
    expect(secrets.names).toEqual([expect.stringMatching(OWN_NAME)]);
    expect(await keyOf({ checkpoints, secrets })).toEqual(key);
  });

  it('go on where one ended between putting a key and saying so', async () => {
    const secrets = new RememberedSecrets();
    const ending = savingBy(() => Promise.reject(new Error('the process ended')));
    await expect(keyOf({ checkpoints: ending, secrets })).rejects.toThrow('the process ended');
    const key = await keyOf({ checkpoints, secrets });
    expect(await keyOf({ checkpoints, secrets })).toEqual(key);
    expect(secrets.names).toHaveLength(2);
  });

  it.each([
    { deleting: 'delete their own', secrets: new RememberedSecrets(), left: 1, tells: [] },
    {
      deleting: 'tell that they cannot delete their own',
      secrets: new KeptSecrets(),
      left: 2,
      tells: [expect.stringMatching(/^deleting the secret api-gateway\.session-key\.[0-9a-f]{16}, which nobody needs/)],
    },
  ])('take the key of another that was first, and $deleting', async ({ secrets, left, tells }) => {
    const other = { name: `${NAME}.0123456789abcdef`, value: Buffer.alloc(32, 7).toString('base64url') };
    await secrets.put(other.name, other.value);
    const made = { sha256: hash('sha256', other.value, 'hex'), secret: other.name };
    const overtaken = savingBy(async (...save) => {
      await checkpoints.save(NAME, Buffer.from(JSON.stringify(made)), 0);
      return checkpoints.save(...save);
    });
    const key = await keyOf({ checkpoints: overtaken, secrets }, 5_000);
    expect(key.toString('base64url')).toBe(other.value);
    expect(secrets.names).toHaveLength(left);
    expect(told).toEqual(tells);
  });
});

/** The checkpoint store, but for its saves. */
function savingBy(save: CheckpointStore['save']): CheckpointStore {
  return {
    save,
    load: (...call) => checkpoints.load(...call),
    acquireLease: (...call) => checkpoints.acquireLease(...call),
    renewLease: (...call) => checkpoints.renewLease(...call),
    releaseLease: (...call) => checkpoints.releaseLease(...call),
  };
}
