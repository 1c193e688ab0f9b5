import { hostname } from 'node:os';
import { describe, expect, it } from '@jest/globals';
import { selfSignedCertificate } from '#test/support/self-signed-certificate.ts';
import { KnownHosts } from './known-hosts.ts';

describe('the hosts that a server is known by', () => {
  const { cert } = selfSignedCertificate({ names: ['tribo.test', '*.plant.test'] });
  const hosts = new KnownHosts({ names: ['tribo', 'Tribo.Plant.example'] });

  it.each([
    ...['127.0.0.1:8080', '10.1.2.3', '[::1]:8080', 'localhost', 'LOCALHOST:8080', 'issuer.tribo.localhost:80'],
    ...['tribo:8080', 'tribo.plant.example', 'TRIBO.plant.example.:8443', hostname(), undefined],
  ])('include %s', (host) => {
    expect(hosts.has(host)).toBe(true);
  });

  it.each([
    ...[
      'attacker.example',
      'localhost.attacker.example',
      'notlocalhost',
      'xtribo',
      'tribo.plant.example.attacker.example',
    ],
    ...['', 'a@127.0.0.1', '127.0.0.1/x', 'evil.example#localhost', '127.0.0.1.attacker.example', 'x y', ':80'],
  ])('do not include %p', (host) => {
    expect(hosts.has(host)).toBe(false);
  });

  it('include those of the certificate that is presented now', () => {
    const presented: { certificate?: string } = {};
    const presenting = new KnownHosts({ certificate: () => presented.certificate });
    expect(presenting.has('tribo.test')).toBe(false);
    presented.certificate = cert;
    expect(['tribo.test:8443', 'a.plant.test', 'plant.test', 'other.test'].map((host) => presenting.has(host))).toEqual(
      [true, true, false, false],
    );
  });
});
