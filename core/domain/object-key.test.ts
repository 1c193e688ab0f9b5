import { describe, expect, it } from '@jest/globals';
import { checkObjectKey } from './object-key.ts';

describe('the key of an object', () => {
  it.each(['a', 'tenant/waveforms/2026-01-02/x.waveform', 'a=b/c+d@e', '..a', `${'x'.repeat(200)}/y`])(
    'may be %s',
    (key) => {
      expect(() => checkObjectKey(key)).not.toThrow();
    },
  );

  it.each([
    '',
    '/',
    'a/',
    '/a',
    'a//b',
    '.',
    '../a',
    'a/..',
    'a\\b',
    'a\0',
    'ü',
    'a b',
    'x'.repeat(201),
    'abcd/'.repeat(210) + 'x',
  ])('may not be %j', (key) => {
    expect(() => checkObjectKey(key)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });
});
