import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { selfSignedCertificate } from '#test/support/self-signed-certificate.ts';

const PROGRAM = join(import.meta.dirname, 'check-health.ts');

const answering =
  (status: number): RequestListener =>
  (request, response) =>
    response.writeHead(request.url === '/health/live' ? status : 404).end();

it.each<[string, () => Server, number]>([
  ['is alive, by HTTP', () => createServer(answering(200)), 0],
  ['is alive, by HTTPS', () => createTlsServer(selfSignedCertificate(), answering(200)), 0],
  ['says that it is not, by HTTP', () => createServer(answering(503)), 1],
  ['says that it is not, by HTTPS', () => createTlsServer(selfSignedCertificate(), answering(503)), 1],
  ['takes connections and does not answer', () => createServer(() => undefined), 1],
])('of a process that %s', async (_what, serve, code) => {
  const server = serve().listen(0, '127.0.0.1');
  await once(server, 'listening');
  expect((await check(String((server.address() as AddressInfo).port))).code).toBe(code);
  server.closeAllConnections();
  server.close();
});

it('is 1 where nothing listens', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  expect((await check(String(port))).code).toBe(1);
});

it('asks for a port', async () => {
  expect(await check('http://127.0.0.1')).toEqual({ code: 64, words: expect.stringContaining('must be a number') });
});

function check(port: string): Promise<{ readonly code: number; readonly words: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [PROGRAM, port], (_error, _said, words) =>
      resolve({ code: child.exitCode ?? -1, words }),
    );
  });
}
