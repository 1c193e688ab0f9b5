import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { secretStoreContract } from '#core/contracts/secret-store.contract.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { Moto } from '#test/peers/moto.ts';
import { openSsm } from './client.ts';
import { ssmSecretStoreConfigSchema } from './config.ts';
import { SsmSecretStore } from './ssm-secret-store.ts';

let moto: Moto;

beforeAll(async () => {
  moto = await Moto.start();
}, 300_000);

afterAll(() => moto[Symbol.asyncDispose]());

const region = 'eu-central-1';

async function makeHarness(given: { readonly timeoutMs?: number } = {}) {
  const place = { endpoint: moto.endpoint, region, prefix: '/tribo/akron/' };
  const config = ssmSecretStoreConfigSchema.parse({ ...place, ...given });
  const parameters = await openSsm(config);
  return {
    store: new SsmSecretStore(config, parameters),
    reopen: () => new SsmSecretStore(config, parameters),
    prefix: `${randomUUID()}-`,
    [Symbol.asyncDispose]: async () => parameters.close(),
  };
}

describeContract(secretStoreContract, 'Parameter Store (moto)', makeHarness);

describe('a secret of Parameter Store', () => {
  it('is a SecureString, which nobody reads without asking for its decryption', async () => {
    await using harness = await makeHarness();
    const { store, prefix } = harness;
    await store.put(`${prefix}key`, 'the-value');
    const { SSM } = await import('@aws-sdk/client-ssm');
    const ssm = new SSM({ region, endpoint: moto.endpoint });
    const { Parameter } = await ssm.getParameter({ Name: `/tribo/akron/${prefix}key` });
    ssm.destroy();
    expect(Parameter).toMatchObject({ Type: 'SecureString', Version: 1 });
    expect(Parameter?.Value).not.toBe('the-value');
  });

  it('can be put more often than Parameter Store keeps versions', async () => {
    await using harness = await makeHarness();
    const { store, prefix } = harness;
    for (let version = 1; version <= 105; version++) await store.put(`${prefix}key`, `v${version}`);
    expect(await store.get(`${prefix}key`)).toBe('v105');
  });

  it('is waited for no longer than told, and what it is put with is in no message', async () => {
    await using harness = await makeHarness({ timeoutMs: 300 });
    const { store, prefix } = harness;
    moto.pause();
    const late = await store.put(`${prefix}key`, 'the-value').catch((error: unknown) => error);
    moto.goOn();
    expect(late).toMatchObject({ code: 'deadline_exceeded' });
    expect(String(late)).not.toContain('the-value');
  });
});
