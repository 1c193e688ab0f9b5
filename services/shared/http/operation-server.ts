import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { PortError } from '#core/errors.ts';
import { KnownHosts } from './known-hosts.ts';
import type { Readiness } from './readiness.ts';

export interface OperationServer extends AsyncDisposable {
  readonly url: string;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** `/health/live`, `/health/ready` and `/metrics` of a service that has no other HTTP server; on loopback unless told otherwise. @throws PortError failed_precondition: the port is taken */
export async function serveOperation(options: {
  readonly host?: string;
  readonly port: number;
  readonly readiness: Readiness;
  readonly metrics: Registry;
  /** Names that it may be asked by, besides addresses, loopback's and the machine's. */
  readonly hostNames?: readonly string[];
}): Promise<OperationServer> {
  const hosts = new KnownHosts(options.hostNames && { names: options.hostNames });
  const server = createServer((request, response) => {
    void (hosts.has(request.headers.host) ? answer(request.method, request.url, options) : Promise.resolve(MISDIRECTED))
      .catch(() => ({ status: 500, type: 'text/plain', body: 'failed\n' }))
      .then(({ status, type, body }) => {
        response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
        response.end(body);
      });
  });
  const { host = '127.0.0.1', port } = options;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, resolve);
  }).catch((error: unknown) => {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    const remedy = 'stop what listens there, or set TRIBO_OPERATION_PORT or --operation-port';
    const problem = `port ${port} of ${host}, for health and metrics, cannot be listened on (${code}): ${remedy}`;
    throw new PortError('failed_precondition', problem, { cause: error });
  });
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeIdleConnections();
    });
  return { url: `http://${host}:${(server.address() as AddressInfo).port}`, close, [Symbol.asyncDispose]: close };
}

const MISDIRECTED: Answer = {
  status: 421,
  type: 'text/plain',
  body: 'not known by that name: ask by an address, or set TRIBO_HOST_NAMES to it\n',
};

async function answer(
  method: string | undefined,
  path: string | undefined,
  { readiness, metrics }: { readonly readiness: Readiness; readonly metrics: Registry },
): Promise<Answer> {
  if (method !== 'GET') return { status: 405, type: 'text/plain', body: 'GET only\n' };
  switch (path) {
    case '/health/live':
      return { status: 200, type: 'application/json', body: '{"status":"alive"}' };
    case '/health/ready': {
      const report = await readiness.report();
      return { status: report.status === 'ready' ? 200 : 503, type: 'application/json', body: JSON.stringify(report) };
    }
    case '/metrics':
      return { status: 200, type: metrics.contentType, body: await metrics.metrics() };
    default:
      return { status: 404, type: 'text/plain', body: '/health/live, /health/ready, /metrics\n' };
  }
}
