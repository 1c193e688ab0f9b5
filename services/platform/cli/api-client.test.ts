import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  certificateAuthority,
  issuedCertificate,
  selfSignedCertificate,
  type TestCertificate,
} from '#test/support/self-signed-certificate.ts';
import { apiClient } from './api-client.ts';

describe('a command that talks to a platform by HTTPS', () => {
  let folder: string;
  let server: Server | undefined;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tribo-client-'));
  });
  afterEach(() => {
    server?.close();
    server?.closeAllConnections();
    rmSync(folder, { recursive: true });
  });

  async function ask(served: TestCertificate, trusted: string | undefined): Promise<unknown> {
    server = createServer(served, (_request, response) => response.end('{"exact":true}')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const caFile = join(folder, 'authority.pem');
    if (trusted !== undefined) writeFileSync(caFile, trusted);
    const trust = trusted === undefined ? {} : { caFile };
    return apiClient({ dataDir: folder, url, token: 't', ...trust }).request('GET', '/v1/ledger');
  }

  it('trusts the authority that it is told, besides those that systems know', async () => {
    const authority = certificateAuthority();
    expect(await ask(issuedCertificate(authority), authority.cert)).toEqual({ exact: true });
  });

  it('trusts a certificate that is its own authority', async () => {
    const own = selfSignedCertificate();
    expect(await ask(own, own.cert)).toEqual({ exact: true });
  });

  const other = selfSignedCertificate({ names: ['tribo.example'] });
  const past = selfSignedCertificate({ toMs: Date.now() - 60_000 });
  it.each([
    ['of an authority that it does not know', selfSignedCertificate(), undefined, /^set TRIBO_TLS_CA_FILE/],
    ['for another host', other, other.cert, /^use an address that the certificate names, set TRIBO_PUBLIC_URL/],
    ['that has expired', past, past.cert, /^renew the certificate, then send the platform SIGHUP$/],
  ])('does not take a certificate %s, and says what to do', async (_what, served, trusted, remedy) => {
    await expect(ask(served, trusted)).rejects.toMatchObject({
      kind: 'unreachable',
      message: expect.stringContaining('no answer from https://127.0.0.1:'),
      remedy: expect.stringMatching(remedy),
    });
  });

  it('says which authority it cannot read', () => {
    const caFile = join(folder, 'none.pem');
    expect(() => apiClient({ dataDir: folder, url: 'https://x.example', token: 't', caFile })).toThrow(caFile);
  });
});
