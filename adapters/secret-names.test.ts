import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { plainSecretName } from './secret-names.ts';

const SMALL = /^[a-z0-9-]+$/;
const name = fc.stringMatching(/^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}$/);

describe('the plain name of a secret', () => {
  it('is the name itself where that fits', () => {
    expect(plainSecretName('webhook-key-2', SMALL)).toBe('webhook-key-2');
  });

  it('can be read, and is the same again, where it does not fit', () => {
    expect(plainSecretName('local-identity.keys', SMALL)).toBe('local-identity-keys-x6d0b78a1eba97a54');
  });

  it('fits, and is no other name’s', () => {
    fc.assert(
      fc.property(name, name, (one, other) => {
        expect(plainSecretName(one, SMALL)).toMatch(/^[a-z0-9-]{1,82}$/);
        expect(plainSecretName(one, SMALL) === plainSecretName(other, SMALL)).toBe(one === other);
      }),
    );
  });

  it('is no other name’s either where that looks like one with a hash', () => {
    const hashed = plainSecretName('a.b', SMALL);
    expect(plainSecretName(hashed, SMALL)).not.toBe(hashed);
  });
});
