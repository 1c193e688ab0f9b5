import { describe, expect, it } from '@jest/globals';
import { blobObjectStoreConfigSchema } from './config.ts';
import { Markers } from './markers.ts';

describe('the configuration', () => {
  const accountUrl = 'https://akron.blob.core.windows.net';
  const onThisMachine = 'AccountName=a;AccountKey=b;BlobEndpoint=http://127.0.0.1:10000/a;';

  it.each([
    ['an account', { accountUrl }],
    ['an emulator on this machine', { emulatorConnectionString: onThisMachine }],
  ])('takes %s', (_what, place) => {
    expect(blobObjectStoreConfigSchema.safeParse({ container: 'tribo', ...place }).success).toBe(true);
  });

  it.each([
    ['neither', {}],
    ['both', { accountUrl, emulatorConnectionString: onThisMachine }],
    ['an account without TLS', { accountUrl: 'http://akron.blob.core.windows.net' }],
    ['a key of an account', { emulatorConnectionString: `AccountName=a;AccountKey=b;BlobEndpoint=${accountUrl}` }],
    ['a container by a name that Azure refuses', { accountUrl, container: 'Tribo_' }],
  ])('refuses %s', (_what, place) => {
    expect(blobObjectStoreConfigSchema.safeParse({ container: 'tribo', ...place }).success).toBe(false);
  });
});

describe('markers of pages', () => {
  it('are those of the newest, by prefix and last key', () => {
    const markers = new Markers(2);
    markers.keep('a/', 'a/1', 'first');
    markers.keep('b/', 'a/1', 'second');
    expect([markers.at('a/', 'a/1'), markers.at('b/', 'a/1')]).toEqual(['first', 'second']);
    markers.keep('a/', 'a/2', 'third');
    expect([markers.at('a/', 'a/1'), markers.at('a/', 'a/2')]).toEqual([undefined, 'third']);
  });
});
