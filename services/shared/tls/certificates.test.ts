import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  certificateAuthority,
  issuedCertificate,
  selfSignedCertificate,
  type TestCertificate,
} from '#test/support/self-signed-certificate.ts';
import { authorityFile } from './authority.ts';
import { Certificates, readTls } from './certificates.ts';

let folder: string;
let tlsCert: string;
let tlsKey: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tribo-certificates-'));
  tlsCert = join(folder, 'tribo.pem');
  tlsKey = join(folder, 'tribo.key');
});
afterEach(() => rmSync(folder, { recursive: true }));

function write({ cert, key }: Partial<TestCertificate>): void {
  if (cert !== undefined) writeFileSync(tlsCert, cert);
  if (key !== undefined) writeFileSync(tlsKey, key);
}

describe('the certificate files', () => {
  const right = selfSignedCertificate();
  it.each([
    [
      'a certificate that is not there',
      { key: right.key },
      /tribo\.pem cannot be read \(ENOENT\): correct TRIBO_TLS_CERT$/,
    ],
    ['a key that is not there', { cert: right.cert }, /tribo\.key cannot be read \(ENOENT\): correct TRIBO_TLS_KEY$/],
    [
      'no certificate in the file',
      { cert: 'x', key: right.key },
      /tribo\.pem holds no PEM certificate \(.+\): correct TRIBO_TLS_CERT$/,
    ],
    [
      'no key in the file',
      { cert: right.cert, key: 'x' },
      /tribo\.key holds no PEM private key without a passphrase \(.+\): correct TRIBO_TLS_KEY$/,
    ],
    [
      'the key of another',
      { cert: right.cert, key: selfSignedCertificate().key },
      /tribo\.key is not the key of .*tribo\.pem: set TRIBO_TLS_CERT and TRIBO_TLS_KEY/,
    ],
  ])('are refused with %s, and what to do', (_what, files, message) => {
    write(files);
    expect(() => readTls({ tlsCert, tlsKey })).toThrow(message);
  });

  it('are told to the servers when they were renewed, and stay as they were when they cannot be used', () => {
    write(right);
    const certificates = new Certificates({ tlsCert, tlsKey });
    const told: TestCertificate[] = [];
    certificates.onRenewal((renewed) => told.push(renewed));
    const next = selfSignedCertificate();
    write({ key: next.key });
    expect(() => certificates.renew()).toThrow('is not the key of');
    expect({ told, current: certificates.current }).toEqual({ told: [], current: right });
    write({ cert: next.cert });
    certificates.renew();
    expect({ told, current: certificates.current }).toEqual({ told: [next], current: next });
  });
});

describe('the authority that clients are to trust', () => {
  it('is the configured one, else a certificate that is its own, else one that systems know', () => {
    const authority = certificateAuthority();
    const issued = issuedCertificate(authority);
    const own = selfSignedCertificate();
    expect(authorityFile({ tlsCert, tlsCaFile: join(folder, 'ca.pem') }, issued)).toBe(join(folder, 'ca.pem'));
    expect(authorityFile({ tlsCert, tlsCaFile: undefined }, own)).toBe(tlsCert);
    expect(authorityFile({ tlsCert, tlsCaFile: undefined }, issued)).toBeUndefined();
    expect(authorityFile({ tlsCert: undefined, tlsCaFile: undefined }, undefined)).toBeUndefined();
  });
});
