import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { GatewayPlatform, NORTH, SOUTH } from '#test/support/gateway-platform.ts';
import { selfSignedCertificate } from '#test/support/self-signed-certificate.ts';
import { startApiGateway } from './api-gateway.ts';
import type { CreatedToken, Session, SignInLink, TokenView } from './schemas/access.ts';

let platform: GatewayPlatform;
let folder = '';
let skewMs = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tribo-page-'));
  mkdirSync(join(folder, 'assets'));
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>Tribo</title>');
  writeFileSync(join(folder, 'assets', 'index-abc.js'), 'export {};');
  platform = await GatewayPlatform.start(
    { staticFolder: folder, rateLimits: { failuresPerAddress: 1000 } },
    (dependencies) => ({
      ...dependencies,
      clock: { nowMs: () => Date.now() + skewMs, monotonicMs: () => performance.now() },
    }),
  );
});
afterAll(async () => {
  await platform[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const codeOf = (link: string) => new URL(link).searchParams.get('code') ?? '';
const redeem = (code: string) => platform.call('nobody', 'POST', '/v1/session', { body: { code } });

async function signIn(given?: string) {
  const answer = await redeem(codeOf(given ?? (await platform.gateway.signInLink())));
  const setCookie = answer.headers.get('set-cookie') ?? '';
  const cookie = setCookie.split(';', 1)[0] ?? '';
  return { answer, setCookie, session: answer.json as Session, headers: { cookie } };
}

describe('signing in', () => {
  it('takes a one-time link, posted by the page, for an HttpOnly cookie', async () => {
    const link = await platform.gateway.signInLink();
    expect(link).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/sign-in\?code=[\w-]{43}$/);
    const { answer, setCookie, session, headers } = await signIn(link);
    expect(answer.status).toBe(201);
    expect(setCookie).toMatch(/^tribo_session=[^;]+; Max-Age=604800; Path=\/; HttpOnly; SameSite=Strict$/);
    expect(session).toMatchObject({ subject: 'admin', tenant: NORTH, roles: ['admin'] });
    expect((await platform.call('nobody', 'GET', '/v1/session', { headers })).json).toEqual(session);
    expect((await platform.call('nobody', 'GET', '/v1/machines', { headers })).status).toBe(200);
  });

  it('works once', async () => {
    const code = codeOf(await platform.gateway.signInLink());
    expect((await redeem(code)).status).toBe(201);
    const again = await redeem(code);
    expect([again.status, again.json]).toEqual([
      401,
      expect.objectContaining({ type: 'urn:tribo:problem:sign-in-code-invalid' }),
    ]);
  });

  it('is not used up by fetching the link, which shows the page', async () => {
    const link = await platform.gateway.signInLink();
    const page = await platform.call('nobody', 'GET', link);
    expect([page.status, page.text]).toEqual([200, expect.stringContaining('<title>Tribo</title>')]);
    expect(page.headers.get('set-cookie')).toBeNull();
    expect(page.headers.get('cache-control')).toBe('no-store');
    expect(page.headers.get('referrer-policy')).toBe('no-referrer');
    expect((await redeem(codeOf(link))).status).toBe(201);
  });

  it('is over after ten minutes', async () => {
    const code = codeOf(await platform.gateway.signInLink());
    skewMs = 600_001;
    const { status } = await redeem(code);
    skewMs = 0;
    expect(status).toBe(401);
  });

  it.each([[''], ['x'], ['../..'], ['x'.repeat(300)]])('refuses the code %j', async (code) => {
    expect([401, 422]).toContain((await redeem(code)).status);
  });

  it('invites others with the roles that an admin gives them', async () => {
    const made = await platform.call('admin', 'POST', '/v1/sign-in-links', {
      body: { subject: 'maria', roles: ['operator'] },
    });
    const { session } = await signIn((made.json as SignInLink).url);
    expect(session).toMatchObject({ subject: 'maria', tenant: NORTH, roles: ['operator'] });
    const elsewhere = await platform.call(
      'admin',
      'POST',
      '/v1/sign-in-links',
      { body: { subject: 'ola', roles: ['admin'] } },
      SOUTH,
    );
    expect((await signIn((elsewhere.json as SignInLink).url)).session.tenant).toBe(SOUTH);
    const foreign = { subject: 'eve', roles: ['admin'], tenant: NORTH };
    expect((await platform.call('admin', 'POST', '/v1/sign-in-links', { body: foreign }, SOUTH)).status).toBe(422);
  });
});

describe('a session', () => {
  const write = (headers: Record<string, string>) =>
    platform.call('nobody', 'POST', '/v1/machines/press-7/events', { headers, body: { kind: 'note', text: 'x' } });

  it('writes only with its CSRF token', async () => {
    const { session, headers } = await signIn();
    const { session: another } = await signIn();
    expect((await write(headers)).json).toMatchObject({ type: 'urn:tribo:problem:csrf-token-missing', status: 403 });
    expect((await write({ ...headers, 'x-csrf-token': 'x' })).status).toBe(403);
    expect((await write({ ...headers, 'x-csrf-token': another.csrfToken })).status).toBe(403);
    expect((await write({ ...headers, 'x-csrf-token': session.csrfToken })).status).toBe(201);
  });

  it('ends when somebody signs out, and does not come back', async () => {
    const { session, headers } = await signIn();
    const answer = await platform.call('nobody', 'DELETE', '/v1/session', {
      headers: { ...headers, 'x-csrf-token': session.csrfToken },
    });
    expect([answer.status, answer.json, answer.headers.get('set-cookie')]).toEqual([
      ...[200, {}],
      expect.stringMatching(/^tribo_session=; Max-Age=0;/),
    ]);
    expect((await platform.call('nobody', 'GET', '/v1/session', { headers })).status).toBe(401);
  });

  it('is over after its life', async () => {
    const { headers } = await signIn();
    skewMs = 8 * 86_400_000;
    const { status } = await platform.call('nobody', 'GET', '/v1/session', { headers });
    skewMs = 0;
    expect(status).toBe(401);
  });

  it('cannot be forged or changed', async () => {
    const { headers } = await signIn();
    const [content = '', mac = ''] = headers.cookie.replace('tribo_session=', '').split('.');
    const changed = Buffer.from(Buffer.from(content, 'base64url').toString().replace('north', 'south')).toString(
      'base64url',
    );
    for (const cookie of [`${changed}.${mac}`, content, `${content}.`, `${content}.${mac}.x`, '.', '', 'x.y']) {
      const answer = await platform.call('nobody', 'GET', '/v1/session', {
        headers: { cookie: `tribo_session=${cookie}` },
      });
      expect(answer.status).toBe(401);
    }
  });

  it('outlives a restart of the gateway', async () => {
    const { headers } = await signIn();
    const { createMetricsRegistry } = await import('../shared/observability/metrics.ts');
    const metrics = createMetricsRegistry('second', { processMetrics: false });
    const second = await startApiGateway({ port: 0 }, { ...platform.dependencies, metrics });
    const response = await fetch(`${second.url}/v1/session`, { headers });
    await second.close();
    expect(response.status).toBe(200);
  });
});

describe('signing out', () => {
  it('is not undone by a restart of the gateway, and leaves other sessions alone', async () => {
    const [first, second, kept] = [await signIn(), await signIn(), await signIn()];
    const signOut = ({ headers, session }: Awaited<ReturnType<typeof signIn>>) =>
      platform.call('nobody', 'DELETE', '/v1/session', { headers: { ...headers, 'x-csrf-token': session.csrfToken } });
    const answers = await Promise.all([signOut(first), signOut(second)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    const { createMetricsRegistry } = await import('../shared/observability/metrics.ts');
    const metrics = createMetricsRegistry('again', { processMetrics: false });
    const again = await startApiGateway({ port: 0 }, { ...platform.dependencies, metrics });
    const statuses = [];
    for (const { headers } of [first, second, kept]) {
      statuses.push((await fetch(`${again.url}/v1/session`, { headers })).status);
    }
    await again.close();
    expect(statuses).toEqual([401, 401, 200]);
  });
});

describe('tokens', () => {
  it('are issued with a role, listed without their secret, and refused once revoked', async () => {
    const made = await platform.call('admin', 'POST', '/v1/tokens', {
      body: { name: 'historian', roles: ['viewer'], lifetimeDays: 1 },
    });
    const { token, id } = made.json as CreatedToken;
    const headers = { authorization: `Bearer ${token}` };
    expect((await platform.call('nobody', 'GET', '/v1/machines', { headers })).status).toBe(200);
    expect((await platform.call('nobody', 'GET', '/v1/tokens', { headers })).status).toBe(403);
    const list = await platform.call('admin', 'GET', '/v1/tokens');
    expect(list.json).toMatchObject({
      items: expect.arrayContaining([expect.objectContaining({ id, name: 'historian', revoked: false })]),
    });
    expect(list.text).not.toContain(token);
    expect((await platform.call('admin', 'DELETE', `/v1/tokens/${id}`, {}, SOUTH)).status).toBe(404);
    expect((await platform.call('admin', 'DELETE', `/v1/tokens/${id}`)).status).toBe(204);
    expect((await platform.call('nobody', 'GET', '/v1/machines', { headers })).status).toBe(401);
  });

  it('are listed page by page, newest first, each once', async () => {
    const names = Array.from({ length: 5 }, (_unused, i) => `paged-${i}`);
    for (const name of names) {
      expect((await platform.call('admin', 'POST', '/v1/tokens', { body: { name, roles: ['viewer'] } })).status).toBe(
        201,
      );
    }
    const seen: TokenView[] = [];
    for (let cursor = ''; ;) {
      const page = (await platform.call('admin', 'GET', `/v1/tokens?limit=2${cursor}`)).json as {
        items: TokenView[];
        nextCursor?: string;
      };
      expect(page.items.length).toBeLessThanOrEqual(2);
      seen.push(...page.items);
      if (page.nextCursor === undefined) break;
      cursor = `&cursor=${page.nextCursor}`;
    }
    expect(
      seen
        .map(({ name }) => name)
        .filter((name) => name.startsWith('paged-'))
        .sort(),
    ).toEqual(names);
    const times = seen.map(({ createdMs }) => createdMs);
    expect(times).toEqual(times.toSorted((a, b) => b - a));
  });

  it('of an expired life, another audience or another issuer are refused', async () => {
    skewMs = 3_600_000;
    const { status } = await platform.call('nobody', 'GET', '/v1/machines', {
      headers: { authorization: 'Bearer e30.e30.e30' },
    });
    skewMs = 0;
    expect(status).toBe(401);
  });
});

describe('limits', () => {
  it('answer a caller above its allowance with 429 and the time to wait, and leave others alone', async () => {
    await using own = await GatewayPlatform.start({ rateLimits: { apiPerCaller: 2 } });
    const answers = await Promise.all(Array.from({ length: 40 }, () => own.call('viewer', 'GET', '/v1/ledger')));
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(0);
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(2);
    expect(refused[0]?.headers.get('retry-after')).toBe('1');
    expect(refused[0]?.json).toMatchObject({ type: 'urn:tribo:problem:rate-limited' });
    expect((await own.call('operator', 'GET', '/v1/ledger')).status).toBe(200);
  });

  it('answer repeated failures of an address with 429', async () => {
    await using own = await GatewayPlatform.start({ rateLimits: { failuresPerAddress: 3 } });
    const statuses = [];
    for (let i = 0; i < 5; i++) statuses.push((await own.call('nobody', 'GET', '/v1/machines')).status);
    expect(statuses).toEqual([401, 401, 401, 429, 429]);
    expect((await own.call('viewer', 'GET', '/v1/machines')).status).toBe(200);
  });
});

describe('over TLS', () => {
  it('is served with a cookie that only HTTPS carries', async () => {
    const tls = selfSignedCertificate();
    await using secure = await GatewayPlatform.start({ host: '127.0.0.1', tls });
    const link = await secure.gateway.signInLink();
    expect(link).toMatch(/^https:/);
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const headers = { 'content-type': 'application/json' };
      const outgoing = request(
        `${secure.gateway.url}/v1/session`,
        { method: 'POST', headers, ca: tls.cert, agent: false },
        resolve,
      );
      outgoing.on('error', reject).end(JSON.stringify({ code: codeOf(link) }));
    });
    answer.resume();
    expect(answer.statusCode).toBe(201);
    expect(answer.headers['set-cookie']?.[0]).toMatch(
      /^__Host-tribo_session=[^;]+; .*; HttpOnly; Secure; SameSite=Strict$/,
    );
    await expect(fetch(`${secure.gateway.url.replace('https', 'http')}/health/live`)).rejects.toThrow();
  });

  it('that something before it ends, is known by the public address: links, cookies, and no way back to HTTP', async () => {
    await using behind = await GatewayPlatform.start({ publicUrl: 'https://tribo.example' });
    const link = await behind.gateway.signInLink();
    expect(link).toMatch(/^https:\/\/tribo\.example\/sign-in\?code=/);
    const { headers } = await behind.call('nobody', 'POST', '/v1/session', { body: { code: codeOf(link) } });
    expect(headers.get('set-cookie')).toMatch(/^__Host-tribo_session=[^;]+; .*; Secure; /);
    expect(headers.get('strict-transport-security')).toContain('max-age=31536000');
    expect((await behind.call('nobody', 'GET', '/.well-known/openid-configuration')).json).toMatchObject({
      jwks_uri: 'https://tribo.example/.well-known/jwks.json',
    });
  });

  it.each([undefined, 'http://tribo.example', 'https://tribo.example:8443'])(
    'does not speak for other ports of the host (%s)',
    async (publicUrl) => {
      await using other = await GatewayPlatform.start({ publicUrl });
      const { headers } = await other.call('nobody', 'GET', '/health/live');
      expect(headers.get('strict-transport-security')).toBeNull();
    },
  );
});

describe('listening', () => {
  it.each(['0.0.0.0', '::', '192.168.1.10', 'tribo.example'])('off loopback (%s) needs TLS', async (host) => {
    await expect(startApiGateway({ host, port: 0 }, platform.dependencies)).rejects.toMatchObject({
      code: 'failed_precondition',
      message: expect.stringContaining('TRIBO_TLS_CERT'),
    });
  });

  it('says which port is taken and how to choose another', async () => {
    const port = Number(new URL(platform.gateway.url).port);
    const { createMetricsRegistry } = await import('../shared/observability/metrics.ts');
    const metrics = createMetricsRegistry('other', { processMetrics: false });
    await expect(startApiGateway({ port }, { ...platform.dependencies, metrics })).rejects.toMatchObject({
      code: 'failed_precondition',
      message: expect.stringContaining(`port ${port}`),
    });
  });
});

describe('the page', () => {
  it('is served with assets that may be kept for ever', async () => {
    const asset = await platform.call('nobody', 'GET', '/assets/index-abc.js');
    expect([asset.status, asset.headers.get('cache-control')]).toEqual([200, 'public, max-age=31536000, immutable']);
    expect((await platform.call('nobody', 'GET', '/')).text).toContain('Tribo');
  });

  it.each(['/assets/../index.html.map', '/assets/%2e%2e/%2e%2e/etc/passwd', '/.env', '/assets/'])(
    'does not serve %s',
    async (path) => {
      expect([403, 404, 422]).toContain((await platform.call('nobody', 'GET', path)).status);
    },
  );
});
