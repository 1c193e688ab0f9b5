import { describe, expect, it } from '@jest/globals';
import { RememberedSecrets } from '../contracts/remembered-secrets.ts';
import { PortError } from '../errors.ts';
import { AgreedSecret } from './agreed-secret.ts';

const BASE = 'service.key';

const agreedOver = (secrets = new RememberedSecrets()) => {
  const told: string[] = [];
  const agreed = new AgreedSecret(secrets, BASE, 'start anew');
  return { agreed, secrets, told, tidy: () => agreed.tidy((what) => void told.push(what)) };
};

describe('a secret that is agreed on', () => {
  it('is put under a name of its own, within the 64 characters of a name', async () => {
    const { agreed, secrets } = agreedOver();
    for (const version of ['one', 'two']) await agreed.put(agreed.propose(version, version));
    expect(secrets.names).toEqual(['service.key.one', 'service.key.two']);
  });

  it('is read by whoever proposed it though it is not shown, and by nobody else', async () => {
    const { agreed, secrets } = agreedOver();
    const { name } = agreed.propose('one', 'value');
    expect(await agreed.read([name], () => true)).toEqual({ name, value: 'value' });
    await expect(agreedOver(secrets).agreed.read([name], () => true)).rejects.toMatchObject({
      code: 'unavailable',
      message:
        'the secret service.key.one is absent: the secret store may show it later; if it was lost, bring it back, or start anew',
    });
  });

  it('is the first of its names that has what was agreed on, and no value is told', async () => {
    const { agreed, secrets } = agreedOver();
    await secrets.put(BASE, 'PRIVATE');
    const names = ['service.key.one', BASE];
    expect(await agreed.read(names, (value) => value === 'PRIVATE')).toEqual({ name: BASE, value: 'PRIVATE' });
    const other = agreed.read(names, (value) => value === 'other');
    await expect(other).rejects.toThrow(
      /^the secret service\.key\.one is absent, and service\.key is not what was agreed on: /,
    );
    await expect(other).rejects.not.toThrow(/PRIVATE/);
  });

  it.each([
    { case: 'keeps what was agreed on', settled: 'service.key.one', left: ['service.key.one', 'service.key.two'] },
    { case: 'deletes what lost to another', settled: 'service.key.two', left: ['service.key.two'] },
  ])('$case of what was proposed, once it is settled', async ({ settled, left }) => {
    const { agreed, secrets, tidy, told } = agreedOver();
    await secrets.put('service.key.two', 'of another');
    await agreed.put(agreed.propose('one', 'value'));
    await tidy();
    agreed.settle(settled);
    await tidy();
    expect([...secrets.names].sort()).toEqual(left);
    expect(agreed.pending).toBeUndefined();
    expect(told).toEqual([]);
  });

  it('deletes what was proposed before something else was, and not what is proposed again', async () => {
    const { agreed, secrets, tidy } = agreedOver();
    for (const version of ['one', 'two', 'two']) await agreed.put(agreed.propose(version, 'value'));
    await tidy();
    expect(secrets.names).toEqual(['service.key.two']);
  });

  it('tells by its name what could not be deleted, and deletes the rest', async () => {
    class Stubborn extends RememberedSecrets {
      override async delete(name: string): Promise<void> {
        if (name.endsWith('one')) throw new PortError('permission_denied', 'not allowed');
        return super.delete(name);
      }
    }
    const { agreed, secrets, tidy, told } = agreedOver(new Stubborn());
    for (const version of ['one', 'two', 'three']) await agreed.put(agreed.propose(version, 'value'));
    await tidy();
    expect(secrets.names).toEqual(['service.key.one', 'service.key.three']);
    expect(told).toEqual(['deleting the secret service.key.one, which nobody needs any more,']);
  });
});
