import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { until } from '#core/contracts/until.ts';
import { PortError, type CallOptions } from '#core/errors.ts';
import { createLogger } from '#services/shared/observability/logger.ts';
import { GatewayPlatform } from '#test/support/gateway-platform.ts';
import type { ApiGatewayDependencies } from './services.ts';
import type { Problem } from '../shared/http/problem-types.ts';

let platform: GatewayPlatform;
beforeAll(async () => {
  platform = await GatewayPlatform.start();
});
afterAll(async () => {
  await platform[Symbol.asyncDispose]();
});

/** What comes back for the bytes, until the gateway closes the connection. */
function exchange(bytes: string | Buffer, { gateway } = platform): Promise<string> {
  const { hostname, port } = new URL(gateway.url);
  const socket = connect(Number(port), hostname);
  let answer = '';
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')));
  return new Promise((resolve, reject) => {
    socket.on('close', () => resolve(answer)).on('error', reject);
    socket.write(bytes);
  });
}

describe('what is no HTTP request', () => {
  const mqttConnect = Buffer.from([0x10, 12, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, 0]);

  it.each([
    ['an MQTT CONNECT', mqttConnect, 400, 'malformed-request'],
    ['a TLS handshake', Buffer.from([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3]), 400, 'malformed-request'],
    [
      'a body of two lengths',
      'POST /v1/telemetry HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
      'malformed-request',
    ],
    [
      'a header of 40 KB',
      `GET /health/live HTTP/1.1\r\nHost: localhost\r\nX: ${'a'.repeat(40_000)}\r\n\r\n`,
      431,
      'headers-too-large',
    ],
  ])('such as %s is answered with problem details, and the connection closed', async (_what, bytes, status, type) => {
    const [head = '', body = ''] = (await exchange(bytes)).split('\r\n\r\n');
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} .*content-type: application/problem\\+json`, 's'));
    expect(JSON.parse(body) as Problem).toMatchObject({
      type: `urn:tribo:problem:${type}`,
      status,
      remedy: expect.any(String),
    });
  });
});

describe('a page of somebody else that has a browser ask this machine under its own name', () => {
  const ask = async (path: string, host: string, at = platform) => {
    const answer = await exchange(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`, at);
    return { status: Number(answer.split(' ', 2)[1]), answer };
  };

  it.each(['/health/live', '/health/ready', '/metrics', '/openapi.json', '/', '/assets/page.js', '/v1/machines'])(
    'reads nothing at %s',
    async (path) => {
      const { status, answer } = await ask(path, 'attacker.example:8080');
      expect(status).toBe(421);
      const [, body = ''] = answer.split('\r\n\r\n');
      expect(JSON.parse(body)).toMatchObject({
        type: 'urn:tribo:problem:misdirected-request',
        pointer: 'header:host',
        detail: expect.stringContaining('attacker.example:8080'),
        remedy: expect.stringContaining('TRIBO_HOST_NAMES'),
      });
    },
  );

  it('does not keep a probe out that asks by address, nor who asks by a name that is configured', async () => {
    await using named = await GatewayPlatform.start({
      ...{ publicUrl: 'https://tribo.plant.example:8443', hostNames: ['tribo.monitoring.svc'] },
    });
    const asked = ['10.0.3.17:8080', 'localhost', 'tribo.plant.example:8443', 'tribo.monitoring.svc', 'tribo'];
    const statuses = await Promise.all(asked.map(async (host) => (await ask('/health/live', host, named)).status));
    expect(statuses).toEqual([200, 200, 200, 200, 421]);
  });
});

describe('a request that does not come whole in time', () => {
  it.each([
    ['its headers', 'Content-Le'],
    ['its body', 'Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"site":'],
  ])('because %s stop in the middle is answered with 408, and the connection closed', async (_what, rest) => {
    await using impatient = await GatewayPlatform.start({ headersWithinMs: 100, requestWithinMs: 200 });
    const authorization = `Authorization: Bearer ${await impatient.token('ingest')}`;
    const begun = `POST /v1/telemetry HTTP/1.1\r\nHost: localhost\r\n${authorization}\r\n${rest}`;
    const [head = '', body = ''] = (await exchange(begun, impatient)).split('\r\n\r\n');
    expect(head).toMatch(/^HTTP\/1.1 408 .*content-type: application\/problem\+json/s);
    expect(JSON.parse(body)).toMatchObject({
      type: 'urn:tribo:problem:request-timeout',
      detail: expect.stringContaining('headers within 0.1 s, all of it within 0.2 s'),
    });
  });
});

describe('HEAD', () => {
  it('of the event stream ends, so that what follows on the connection is answered', async () => {
    const authorization = `Authorization: Bearer ${await platform.token('viewer')}`;
    const answer = await exchange(
      `HEAD /v1/events HTTP/1.1\r\nHost: localhost\r\n${authorization}\r\n\r\n` +
        'GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
    );
    expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200']);
  });
});

describe('answers', () => {
  it.each(['/v1/machines', '/v1/machines/nobody', '/v1/nothing'])('of %s are kept by no cache', async (path) => {
    expect((await platform.call('viewer', 'GET', path)).headers.get('cache-control')).toBe('no-store');
  });
});

describe('a query', () => {
  const refusalOf = async (query: string) => {
    const { status, json } = await platform.call('viewer', 'GET', `/v1/machines/press-7/series?${query}`);
    const { pointer, detail, errors } = json as Problem;
    return { status, pointer, detail, errors };
  };

  it.each([
    ['lacks a parameter', 'metric=a&from=1', 'query:to', 'is required'],
    ['has a text for a number', 'metric=a&from=1&to=2&limit=many', 'query:limit', 'must be a number'],
    ['has a parameter twice', 'metric=a&from=1&to=2&limit=1&limit=2', 'query:limit', 'is given more than once'],
    [
      'has a name that is none',
      'metric=a&from=1&to=2&site=../etc',
      'query:site',
      expect.stringContaining('1 to 64 of'),
    ],
  ])('that %s is told so, once and plainly', async (_what, query, pointer, detail) => {
    expect(await refusalOf(query)).toEqual({ status: 422, pointer, detail, errors: undefined });
  });

  it('takes a date for its begin in UTC', async () => {
    const { status, json } = await platform.call(
      'viewer',
      'GET',
      '/v1/machines/press-7/series?metric=a&from=2026-11-21&to=2026-11-22',
    );
    const bounds = { fromMs: Date.UTC(2026, 10, 21), toMs: Date.UTC(2026, 10, 22) };
    expect([status, json]).toEqual([200, expect.objectContaining(bounds)]);
  });

  it.each([
    ['without an offset, whose zone nobody can know', '2026-11-21T15:00:00'],
    ['of a day that no calendar has', '2026-02-30T00:00:00Z'],
    ['as people write it', 'Nov 21'],
    ['whose + was read as a space', '2026-11-21T15:00:00+02:00'],
  ])('with a time %s is refused', async (_what, from) => {
    expect(await refusalOf(`metric=a&from=${from}&to=${Date.now()}`)).toMatchObject({
      status: 422,
      pointer: 'query:from',
      detail: expect.stringMatching(/RFC 3339 with an offset.*%2B/),
    });
  });
});

describe('a client that leaves before it is answered', () => {
  it('leaves no error in the log', async () => {
    const lines: string[] = [];
    const logger = createLogger({
      ...{ service: 'test', level: 'debug' },
      destination: { write: (line: string) => void lines.push(line) },
    });
    let isAsked = false;
    let hasStopped = false;
    const waiting = (dependencies: ApiGatewayDependencies): ApiGatewayDependencies => ({
      ...dependencies,
      logger,
      store: Object.assign(Object.create(dependencies.store) as typeof dependencies.store, {
        series: (_query: unknown, { signal }: CallOptions = {}) => {
          isAsked = true;
          return new Promise<never>((_resolve, reject) => {
            signal?.addEventListener('abort', () => {
              reject(new PortError('cancelled', 'the caller stopped waiting'));
              hasStopped = true;
            });
          });
        },
      }),
    });
    await using slow = await GatewayPlatform.start({}, waiting);
    const client = new AbortController();
    const headers = { authorization: `Bearer ${await slow.token('viewer')}` };
    const asked = fetch(
      new URL('/v1/machines/press-7/series?site=akron&metric=heat&from=0&to=1000', slow.gateway.url),
      {
        headers,
        signal: client.signal,
      },
    );
    await until(() => isAsked, 'the store is asked');
    client.abort();
    await expect(asked).rejects.toThrow();
    await until(() => hasStopped, 'the store is told');
    await slow.call('viewer', 'GET', '/v1/machines');
    expect(lines.filter((line) => line.includes('"level":"error"'))).toEqual([]);
  });
});
