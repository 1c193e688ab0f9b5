import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { secretStoreContract } from '#core/contracts/secret-store.contract.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { asDocumented, goldenErrors, goldenPairs, newestLike } from '#test/peers/golden-pairs.ts';
import { SecretManagerPeer } from '#test/peers/secret-manager.ts';
import { openSecretManager } from './client.ts';
import { secretManagerSecretStoreConfigSchema } from './config.ts';
import { SecretManagerSecretStore } from './secret-manager-secret-store.ts';

const PROJECT = 'projects/plant-akron';

interface Given {
  readonly timeoutMs?: number;
  readonly locations?: readonly string[];
  /** Secret Manager takes no token. */
  readonly refusing?: boolean;
}

async function makeHarness({ refusing = false, ...settings }: Given = {}) {
  const peer = await SecretManagerPeer.start();
  const config = secretManagerSecretStoreConfigSchema.parse({ projectId: 'plant-akron', ...settings });
  const openCalls = () =>
    openSecretManager(config, {
      ...{ apiEndpoint: '127.0.0.1', port: peer.port },
      sslCreds: refusing ? peer.refusedCredentials : peer.credentials,
    });
  const calls = await openCalls();
  const store = new SecretManagerSecretStore(config, calls);
  const other = new SecretManagerSecretStore(config, await openCalls());
  return {
    ...{ peer, store, calls },
    statesOf: (id: string) => peer.secrets.get(`${PROJECT}/secrets/${id}`)!.versions.map(({ state }) => state),
    reopen: () => other,
    prefix: `${randomUUID()}-`,
    [Symbol.asyncDispose]: async () => {
      await store.close();
      await other.close();
      await peer[Symbol.asyncDispose]();
    },
  };
}

describeContract(secretStoreContract, 'Secret Manager (a peer of its gRPC API)', () => makeHarness());

/** Of each error that Google documents. */
const CODES: Readonly<Record<string, string>> = {
  PERMISSION_DENIED: 'permission_denied',
  RESOURCE_EXHAUSTED: 'resource_exhausted',
  FAILED_PRECONDITION: 'failed_precondition',
  INTERNAL: 'unavailable',
  UNAVAILABLE: 'unavailable',
  UNAUTHENTICATED: 'permission_denied',
};

describe('the peer of Secret Manager', () => {
  it.each(goldenPairs('secret-manager'))('is asked and answers as Google documents: $example', async (pair) => {
    await using harness = await makeHarness();
    const { store, peer, calls } = harness;
    await store.get('webhook-key');
    for (let version = 1; version <= 3; version++) await store.put('webhook-key', 'one');
    await store.get('webhook-key');
    await expect(calls.create('tribo-webhook-key', AbortSignal.timeout(5000))).rejects.toMatchObject({ code: 6 });
    await store.delete('webhook-key');
    expect(newestLike(pair, peer.exchanges)).toMatchObject(asDocumented(pair));
  });
});

describe('a secret of Secret Manager', () => {
  it('is asked for and made as Google’s reference says, in the resource names of its samples', async () => {
    await using harness = await makeHarness();
    const { store, peer } = harness;
    await store.put('webhook-key', 'one');
    await store.get('webhook-key');
    await store.delete('webhook-key');
    const name = `${PROJECT}/secrets/tribo-webhook-key`;
    const payload = { data: Buffer.from('one') };
    expect(peer.calls).toMatchObject([
      { method: 'addSecretVersion', request: { parent: name, payload } },
      {
        method: 'createSecret',
        request: { parent: PROJECT, secretId: 'tribo-webhook-key', secret: { replication: { automatic: {} } } },
      },
      { method: 'addSecretVersion', request: { parent: name, payload } },
      { method: 'accessSecretVersion', request: { name: `${name}/versions/latest` } },
      { method: 'deleteSecret', request: { name } },
    ]);
  });

  it('is waited for no longer than told', async () => {
    await using harness = await makeHarness({ timeoutMs: 300 });
    const { store, peer } = harness;
    peer.disturbance = 'hanging';
    await expect(store.get('key')).rejects.toMatchObject({ code: 'deadline_exceeded' });
  });

  it('is kept where it is told to', async () => {
    await using harness = await makeHarness({ locations: ['europe-west3', 'europe-west4'] });
    await harness.store.put('key', 'one');
    expect(harness.peer.secrets.get(`${PROJECT}/secrets/tribo-key`)!.replication).toMatchObject({
      userManaged: { replicas: [{ location: 'europe-west3' }, { location: 'europe-west4' }] },
    });
  });

  it('keeps the version before the one that is put, and destroys older ones', async () => {
    await using harness = await makeHarness();
    for (const value of ['one', 'two', 'three', 'four']) await harness.store.put('key', value);
    expect(harness.statesOf('tribo-key')).toEqual(['DESTROYED', 'DESTROYED', 'ENABLED', 'ENABLED']);
  });

  it('whose latest version an operator has disabled is not absent', async () => {
    await using harness = await makeHarness();
    const { store, peer } = harness;
    await store.put('key', 'one');
    peer.secrets.get(`${PROJECT}/secrets/tribo-key`)!.versions[0]!.state = 'DISABLED';
    await expect(store.get('key')).rejects.toMatchObject({ code: 'failed_precondition' });
  });

  it('that a process made and died before its first version is absent, and can be put', async () => {
    await using harness = await makeHarness();
    const { store, peer } = harness;
    peer.secrets.set(`${PROJECT}/secrets/tribo-key`, { replication: { automatic: {} }, versions: [] });
    expect(await store.get('key')).toBeUndefined();
    await store.put('key', 'one');
    expect(await store.get('key')).toBe('one');
  });

  it('that is too large is refused, and is not in the message', async () => {
    await using harness = await makeHarness();
    const refused = await harness.store.put('key', 'v'.repeat(65_537)).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'invalid_argument' });
    expect(String(refused)).not.toContain('vvv');
  });

  it('cannot be had without a token that is good, which is no absence', async () => {
    await using harness = await makeHarness({ refusing: true });
    const denied = { code: 'permission_denied' };
    await expect(harness.store.get('key')).rejects.toMatchObject(denied);
    await expect(harness.store.put('key', 'one')).rejects.toMatchObject(denied);
    await expect(harness.store.delete('key')).rejects.toMatchObject(denied);
  });

  it.each(goldenErrors('secret-manager').map((error) => [error.example, CODES[error.example], error] as const))(
    'that is answered with %s is %s, and asked for once',
    async (_example, expected, { answer }) => {
      await using harness = await makeHarness();
      const { store, peer } = harness;
      const { code, message: details } = answer as { readonly code: number; readonly message: string };
      peer.disturbance = { code, details };
      await expect(store.get('key')).rejects.toMatchObject({ code: expected });
      expect(peer.calls).toHaveLength(1);
    },
  );
});
