import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
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
import { PROBLEM_TYPES } from '#services/shared/http/problem-types.ts';
import { apiClient } from './api-client.ts';
import { CommandError } from './output.ts';

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

describe('a request that the platform refuses', () => {
  async function refusedWith(status: number, body: string): Promise<CommandError> {
    const server = createHttpServer((_request, response) => response.writeHead(status).end(body));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      await apiClient({ dataDir: 'none', url, token: 't' }).request('GET', '/v1/ledger');
    } catch (error) {
      if (error instanceof CommandError) return error;
      throw error;
    } finally {
      server.close();
      server.closeAllConnections();
    }
    throw new Error('it was not refused');
  }

  it.each(Object.entries(PROBLEM_TYPES))(
    'as %s ends the command with the code of its status',
    async (name, problem) => {
      const type = `urn:tribo:problem:${name}`;
      const body = { type, ...problem, detail: 'It is so', remedy: 'Do this.', pointer: '/machines/0/id' };
      const error = await refusedWith(problem.status, JSON.stringify(body));
      expect(error.exitCode).toBe(EXIT_CODE_OF_STATUS[problem.status]);
      expect(error).toMatchObject({
        message: `${problem.title} (/machines/0/id): It is so`,
        remedy: 'Do this.',
        problem: { type, errors: [{ pointer: '/machines/0/id', detail: 'It is so' }] },
      });
    },
  );

  it('in words that are not the platform’s still has the code of its status', async () => {
    expect(await refusedWith(503, '<html>')).toMatchObject({ exitCode: 75, message: 'the platform answered 503' });
  });
});

const EXIT_CODE_OF_STATUS: Readonly<Record<number, number>> = {
  ...{ 400: 65, 413: 65, 415: 65, 422: 65, 404: 66, 409: 73, 412: 73, 401: 77, 403: 77, 429: 75, 503: 75 },
  ...{ 408: 75, 421: 78, 431: 65 },
  ...{ 405: 70, 406: 70, 428: 70, 500: 70, 501: 70, 504: 70 },
};
