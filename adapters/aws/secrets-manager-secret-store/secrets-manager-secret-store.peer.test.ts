import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { secretStoreContract } from '#core/contracts/secret-store.contract.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { Moto } from '#test/peers/moto.ts';
import { openSecretsManager, type SecretsManagerCalls } from './client.ts';
import { secretsManagerSecretStoreConfigSchema } from './config.ts';
import { SecretsManagerSecretStore } from './secrets-manager-secret-store.ts';

let moto: Moto;

beforeAll(async () => {
  moto = await Moto.start();
}, 300_000);

afterAll(() => moto[Symbol.asyncDispose]());

async function makeHarness(given: { readonly recoveryDays?: number } = {}) {
  const place = { endpoint: moto.endpoint, region: 'eu-central-1', prefix: 'tribo/akron/' };
  const config = secretsManagerSecretStoreConfigSchema.parse({ ...place, ...given });
  const secrets = await openSecretsManager(config);
  return {
    secrets,
    store: new SecretsManagerSecretStore(config, asAws(secrets)),
    reopen: () => new SecretsManagerSecretStore(config, secrets),
    prefix: `${randomUUID()}-`,
    [Symbol.asyncDispose]: async () => secrets.close(),
  };
}

/** AWS refuses to replace a deleted secret; moto does not. */
function asAws(secrets: SecretsManagerCalls): SecretsManagerCalls {
  const replace: SecretsManagerCalls['replace'] = async (id, value, signal) => {
    if (!(await secrets.isDeleted(id, signal))) return secrets.replace(id, value, signal);
    throw Object.assign(new Error('the secret was marked for deletion'), { name: 'InvalidRequestException' });
  };
  return { ...secrets, replace };
}

describeContract(secretStoreContract, 'Secrets Manager (moto)', makeHarness);
describeContract(secretStoreContract, 'Secrets Manager without recovery (moto)', () =>
  makeHarness({ recoveryDays: 0 }),
);

describe('a deleted secret', () => {
  it('can be restored by an operator, and is restored by a put with the new value', async () => {
    await using harness = await makeHarness();
    const { store, secrets, prefix } = harness;
    const [name, signal] = [`${prefix}key`, AbortSignal.timeout(10_000)];
    await store.put(name, 'one');
    await store.delete(name);
    await secrets.restore(`tribo/akron/${name}`, signal);
    expect(await store.get(name)).toBe('one');
    await store.delete(name);
    await store.put(name, 'two');
    expect(await store.get(name)).toBe('two');
  });
});

describe('two that put a new secret at once', () => {
  it('both succeed, and one of the values stays', async () => {
    await using harness = await makeHarness();
    const { store, prefix } = harness;
    await Promise.all(['one', 'two', 'three'].map((value) => store.put(`${prefix}key`, value)));
    expect(['one', 'two', 'three']).toContain(await store.get(`${prefix}key`));
  });
});
