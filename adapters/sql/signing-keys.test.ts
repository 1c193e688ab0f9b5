import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { KeyRing } from './signing-keys.ts';

describe('a ring of keys that cannot be read', () => {
  it.each([
    ['a quote lost', '[{"kid":"a","jwk":{"y":"yy","d":PRIVATE"}}]'],
    ['a key of another form', '[{"kid":"a","jwk":{"d":"PRIVATE"}}]'],
  ])('is told without anything of it: %s', (_what, json) => {
    let told: unknown;
    try {
      KeyRing.parse(json);
    } catch (error) {
      told = error;
    }
    expect(told).toMatchObject({ code: 'data_loss' });
    expect(inspect(told, { depth: Infinity })).not.toContain('PRIV');
  });
});
