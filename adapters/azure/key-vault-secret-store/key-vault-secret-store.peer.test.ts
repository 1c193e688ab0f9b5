import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { secretStoreContract } from '#core/contracts/secret-store.contract.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { failure, KeyVaultPeer, TENANT, VAULT_RESOURCE } from '#test/peers/key-vault.ts';
import { exchangesLike, goldenPairs, masked } from '#test/peers/golden-pairs.ts';
import { openKeyVault } from './client.ts';
import { keyVaultSecretStoreConfigSchema } from './config.ts';
import { KeyVaultSecretStore } from './key-vault-secret-store.ts';

interface Given {
  readonly timeoutMs?: number;
  /** The vault takes no token. */
  readonly refusing?: boolean;
  readonly requestsUntilDone?: number;
}

async function makeHarness({ refusing = false, requestsUntilDone = 1, ...settings }: Given = {}) {
  const vault = await KeyVaultPeer.start({ requestsUntilDone });
  const asked: { readonly scopes: string | string[]; readonly tenantId: string | undefined }[] = [];
  const test = {
    tlsOptions: { ca: vault.peer.ca },
    credential: {
      getToken: async (scopes: string | string[], options?: { readonly tenantId?: string }) => {
        asked.push({ scopes, tenantId: options?.tenantId });
        const token = randomUUID();
        if (!refusing) vault.tokens.add(token);
        return { token, expiresOnTimestamp: Date.now() + 3_600_000 };
      },
    },
  };
  const config = keyVaultSecretStoreConfigSchema.parse({ vaultUrl: vault.peer.url, ...settings });
  const open = async () => new KeyVaultSecretStore(config, await openKeyVault(config, test));
  const [store, other] = [await open(), await open()];
  return {
    ...{ vault, asked, store },
    reopen: () => other,
    prefix: `${randomUUID()}-`,
    [Symbol.asyncDispose]: () => vault[Symbol.asyncDispose](),
  };
}

describeContract(secretStoreContract, 'Key Vault (a peer of its REST API)', () => makeHarness());

describe('the peer of Key Vault', () => {
  it.each(goldenPairs('key-vault'))('answers as Azure documents: $example', async (pair) => {
    await using harness = await makeHarness({ requestsUntilDone: 2 });
    const { store, vault } = harness;
    await store.put('crpsecret', 'mysecretvalue');
    await store.get('crpsecret');
    await store.delete('crpsecret');
    await store.put('crpsecret', 'another');
    const alike = exchangesLike(pair, vault.peer.exchanges);
    expect(alike.map(({ answer }) => masked(answer.body))).toContainEqual(masked(pair.answer));
    expect(JSON.parse(alike[0]!.request.body || '{}')).toMatchObject(pair.request.body ?? {});
  });
});

describe('a secret of Key Vault', () => {
  it('is asked for with a token of the tenant and the resource that the vault names', async () => {
    await using harness = await makeHarness();
    await harness.store.get('key');
    expect(harness.asked).toEqual([{ scopes: [`${VAULT_RESOURCE}/.default`], tenantId: TENANT }]);
  });

  it('is another one where its name differs in capital letters alone, which the vault does not see', async () => {
    await using harness = await makeHarness();
    const { store } = harness;
    await store.put('Key', 'large');
    await store.put('key', 'small');
    expect([await store.get('Key'), await store.get('key')]).toEqual(['large', 'small']);
  });

  it('has its value also where several are put before the vault has told how to sign in', async () => {
    await using harness = await makeHarness();
    const { store, vault } = harness;
    let requests = 0;
    vault.peer.before = async () => {
      if (requests++ === 0) await sleep(200);
    };
    await Promise.all(['one', 'two', 'three'].map((name) => store.put(name, `of ${name}`)));
    expect(await store.get('one')).toBe('of one');
  });

  it('that is disabled is not absent', async () => {
    await using harness = await makeHarness();
    const { store, vault } = harness;
    await store.put('key', 'one');
    vault.disable('key');
    await expect(store.get('key')).rejects.toMatchObject({ code: 'failed_precondition' });
  });

  it('that is disabled is put anew, also by one that has not signed in yet', async () => {
    await using harness = await makeHarness();
    await harness.store.put('key', 'one');
    harness.vault.disable('key');
    await harness.reopen().put('key', 'two');
    expect(await harness.store.get('key')).toBe('two');
  });

  it('is put by a role that may write alone', async () => {
    await using harness = await makeHarness();
    const { store, vault } = harness;
    vault.denyReading();
    await expect(store.put('key', 'one')).resolves.toBeUndefined();
    await expect(store.get('key')).rejects.toMatchObject({ code: 'permission_denied' });
  });

  it('that is too large is refused, and is not in the message', async () => {
    await using harness = await makeHarness();
    const refused = await harness.store.put('key', 'v'.repeat(25_601)).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'invalid_argument' });
    expect(String(refused)).not.toContain('vvv');
  });

  it('cannot be had without a right to the vault, which is no absence', async () => {
    await using harness = await makeHarness({ refusing: true });
    const denied = { code: 'permission_denied' };
    await expect(harness.store.get('key')).rejects.toMatchObject(denied);
    await expect(harness.store.put('key', 'one')).rejects.toMatchObject(denied);
    await expect(harness.store.delete('key')).rejects.toMatchObject(denied);
  });

  it.each([
    ['Throttled', 429, 'resource_exhausted'],
    ['ForbiddenByRbac', 403, 'permission_denied'],
    ['NotFound', 404, 'not_found'],
    ['InternalServerError', 500, 'unavailable'],
    ['ServiceUnavailable', 503, 'unavailable'],
  ] as const)('answered with %s (%d) is %s, and asked for once', async (code, status, expected) => {
    await using harness = await makeHarness();
    const { store, vault } = harness;
    await store.get('key');
    const before = vault.peer.exchanges.length;
    vault.peer.disturbance = failure(status, code, 'as the vault says');
    await expect(store.get('key')).rejects.toMatchObject({ code: expected });
    expect(vault.peer.exchanges).toHaveLength(before + 1);
  });

  it('is waited for no longer than told, and the vault’s absence is no secret’s', async () => {
    await using harness = await makeHarness({ timeoutMs: 300 });
    const { store, vault } = harness;
    vault.peer.disturbance = 'hanging';
    await expect(store.get('key')).rejects.toMatchObject({ code: 'deadline_exceeded' });
    await vault[Symbol.asyncDispose]();
    await expect(store.get('key')).rejects.toMatchObject({ code: 'unavailable' });
  });
});
