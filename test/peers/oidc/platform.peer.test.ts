import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { attention, unreadiness } from '#test/support/edge-requests.ts';
import { PlatformProcess, SITE, until } from '#test/support/platform-process.ts';
import { OidcIssuer } from '#test/support/oidc-issuer.ts';
import { OidcProvider } from '../oidc-provider.ts';

const MACHINE = 'm-0';

let provider: OidcProvider;
let folder: string;
let platform: PlatformProcess;

beforeAll(async () => {
  provider = await OidcProvider.start();
  const identityVerifiers = {
    ...{ adapter: 'oidc', issuer: provider.endpoint, audience: 'api://tribo', tokens: 'at+jwt' },
    claims: { clientScopes: 'tribo/' },
    ...{ keysMaxAgeMs: 1000, trustMs: 0 },
  };
  folder = mkdtempSync(join(tmpdir(), 'tribo-ports-'));
  const portsFile = join(folder, 'ports.json');
  writeFileSync(portsFile, JSON.stringify({ identityVerifiers }));
  platform = await PlatformProcess.start({ env: { TRIBO_PORTS_FILE: portsFile, TRIBO_LOG_LEVEL: 'silent' } });
  await platform.addDevices([MACHINE], 1);
}, 300_000);

afterAll(async () => {
  await platform[Symbol.asyncDispose]();
  await provider[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

function call(token: string, path: string, body?: object) {
  return fetch(new URL(path, platform.url), {
    method: body ? 'POST' : 'GET',
    headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
}

it('takes readings from a client of the site’s OpenID provider, and shows them to another, each by its scopes', async () => {
  const sender = await provider.accessToken('historian', { scope: 'tribo/ingest' });
  const reader = await provider.accessToken('stranger', { scope: 'tribo/viewer' });
  const ts = Date.now();
  const telemetry = { site: SITE, machine: MACHINE, messages: [{ ts, metrics: { temperature: 61.2 } }] };
  expect((await call(reader, '/v1/telemetry', telemetry)).status).toBe(403);
  expect((await call(sender, '/v1/telemetry', telemetry)).status).toBe(202);
  const query = { site: SITE, metric: 'temperature', from: String(ts), to: String(ts + 1000) };
  const series = `/v1/machines/${MACHINE}/series?${new URLSearchParams(query).toString()}`;
  expect((await call(sender, series)).status).toBe(403);
  expect((await call(reader, series)).status).toBe(200);
  await until('the reading is shown', async () => (await (await call(reader, series)).text()).includes('61.2'));
});

it('goes on taking the tokens of its own issuer, and tells why it refuses those of a third', async () => {
  await platform.api.request('GET', '/v1/machines');
  await using stranger = await OidcIssuer.open();
  const iat = Math.floor(Date.now() / 1000);
  const claims = { iss: stranger.issuer, aud: 'api://tribo', sub: 'x', tenant: 'demo', roles: ['admin'] };
  const refused = await call(await stranger.sign({ ...claims, iat, exp: iat + 60 }), '/v1/machines');
  expect(refused.status).toBe(401);
  expect(await refused.text()).toContain('is none that this site trusts');
  expect(stranger.requests).toEqual([]);
});

it('says that an issuer is away and that nobody is let in by its tokens, and stays ready for all others', async () => {
  const token = await provider.accessToken('historian', { scope: 'tribo/viewer' });
  expect((await call(token, '/v1/machines')).status).toBe(200);
  expect(await attention(platform)).not.toHaveProperty('issuers');
  await provider[Symbol.asyncDispose]();
  await until('its keys are too old', async () => (await call(token, '/v1/machines')).status === 503);
  let issuers: string | undefined;
  // A report is given to all that ask within half a second.
  await until('it is told', async () => (issuers = (await attention(platform))['issuers']) !== undefined);
  expect(issuers).toMatch(/cannot be fetched .*nobody is let in by a token of it/);
  expect(issuers).toContain(provider.endpoint);
  expect((await platform.command('doctor')).stdout).toContain('cannot be fetched');
  await platform.api.request('GET', '/v1/machines');
  expect(await unreadiness(platform)).toEqual({});
});
