import { describe, expect, it } from '@jest/globals';
import { LINK_ADDRESSES, linkAddressesIn } from './link-address.ts';

describe('addresses of links', () => {
  it.each([
    ['ml.tribo.internal:9443', { host: 'ml.tribo.internal', port: 9443 }],
    ['[::1]:9443', { host: '::1', port: 9443 }],
    ['wss://ml-1-ew.a.run.app', { url: 'wss://ml-1-ew.a.run.app' }],
    ['wss://front.example:8443/links/ml', { url: 'wss://front.example:8443/links/ml' }],
    ['ws://[::1]:8080/', { url: 'ws://[::1]:8080/' }],
  ])('may be %s', (place, address) => {
    expect(linkAddressesIn(`ml-service=${place}`)).toEqual(new Map([['ml-service', [address]]]));
  });

  it('are several of a service, and of several services', () => {
    const list = 'ml-service=a:1,alert-engine=wss://b,ml-service=wss://c/d';
    expect(LINK_ADDRESSES.test(list)).toBe(true);
    expect(linkAddressesIn(list)).toEqual(
      new Map<string, unknown>([
        ['ml-service', [{ host: 'a', port: 1 }, { url: 'wss://c/d' }]],
        ['alert-engine', [{ url: 'wss://b' }]],
      ]),
    );
  });

  it.each([
    'ml-service=wss://me@b',
    'ml-service=wss://b?c',
    'ml-service=wss://',
    'ml-service=b',
    'wss://b',
    'ml-service=wss://b,',
  ])('are not %s', (list) => {
    expect(LINK_ADDRESSES.test(list)).toBe(false);
  });

  it.each(['ml-service=a:1', 'ml-service=[::1]:9443', 'ml-service=wss://b', 'ml-service=ws://[::1]:8080/x-y_z~/1'])(
    'are %s',
    (list) => {
      expect(LINK_ADDRESSES.test(list)).toBe(true);
    },
  );
});
