import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { GatewayPlatform, NORTH, SITE, SOUTH } from '#test/support/gateway-platform.ts';
import { apiGatewayConfigSchema } from './config.ts';
import type { Route } from './http/route.ts';
import { routeTable } from './routes/route-table.ts';
import type { CreatedToken } from './schemas/access.ts';
import type { WaveformList } from './schemas/waveforms.ts';

/** Routes that need more than a gateway: their own tests ask as another tenant, too. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  '/v1/models/': 'models.test.ts',
  '/v1/dead-letters/': 'dead-letters.test.ts',
  '/v1/machines/{machine}/commands': 'commands.test.ts',
};

/** Issuers are the site's, and asked before anybody has a tenant: sign-in.test.ts. */
const OF_NO_TENANT = '/v1/sign-in/';

const COMMENT = { comment: 'not mine' };
/** A body that is right but for whose thing it is about. */
const BODIES: Readonly<Record<string, unknown>> = {
  'PUT /v1/machines/{machine}': { id: 'motor-1', class: 'fan' },
  'POST /v1/quarantine/{site}/{machine}/adopt': { class: 'fan' },
  'POST /v1/machines/{machine}/events': { kind: 'repair', text: 'not mine' },
  'PUT /v1/rules/{id}': {
    ...{ kind: 'threshold', id: 'mine', text: 'Theirs', metric: 'a', direction: 'above', limit: 1 },
  },
  'PUT /v1/devices/{device}/machines': { machines: [{ site: SITE, machine: 'press-7' }] },
  ...Object.fromEntries(
    [
      ...['acknowledge', 'shelve', 'unshelve', 'reset', 're-alarm', 'suppress', 'unsuppress', 'remove-from-service'],
      'return-to-service',
    ].map((action) => [`POST /v1/alarms/{id}/${action}`, COMMENT]),
  ),
};

const nameOf = ({ method, path }: Pick<Route, 'method' | 'path'>) => `${method} ${path}`;
const routes = routeTable(apiGatewayConfigSchema.parse({})).filter(
  ({ path }) =>
    path.includes('{') && ![...Object.keys(ELSEWHERE), OF_NO_TENANT].some((begin) => path.startsWith(begin)),
);

let platform: GatewayPlatform;
/** Of what is the north's alone, by the route's path up to its first name. */
let ids: Readonly<Record<string, string>>;

beforeAll(async () => {
  platform = await GatewayPlatform.start({ rateLimits: { apiPerCaller: 100_000, apiPerTenant: 100_000 } });
  const put = (path: string, body: unknown) =>
    platform.call('admin', 'PUT', path, { body, headers: { 'if-none-match': '*' } });
  await put(`/v1/machines/motor-1?site=${SITE}`, { id: 'motor-1', class: 'motor' });
  await put('/v1/rules/mine', { ...(BODIES['PUT /v1/rules/{id}'] as object), text: 'Mine' });
  const machines = [{ site: SITE, machine: 'motor-1' }];
  await platform.call('admin', 'POST', '/v1/devices', { body: { id: 'mine', machines } });
  await platform.send([{ ts: Date.now(), metrics: { rpm: 1 } }], NORTH, 'stray-1');
  const { id: token } = (
    await platform.call('admin', 'POST', '/v1/tokens', { body: { name: 'mine', roles: ['viewer'], lifetimeDays: 1 } })
  ).json as CreatedToken;
  const query = new URLSearchParams({
    ...{ site: SITE, machine: 'press-7', sensor: 'de', sampleRateHz: '2560', unit: 'g', encoding: 'f32le' },
    ts: String(Date.now()),
  });
  const bytes = new Uint8Array(Float32Array.from({ length: 2560 }, (_, i) => Math.sin(i)).buffer);
  const raw = { type: 'application/octet-stream', bytes };
  await platform.call('ingest', 'POST', `/v1/waveforms?${query.toString()}`, { raw });
  await platform.settled();
  const { items } = (await platform.call('viewer', 'GET', `/v1/machines/press-7/waveforms?site=${SITE}`))
    .json as WaveformList;
  ids = {
    '/v1/machines/': 'motor-1',
    '/v1/rules/': 'mine',
    '/v1/devices/': 'mine',
    '/v1/tokens/': token,
    '/v1/alarms/': await platform.raise('mine'),
    '/v1/waveforms/': items[0]!.id,
    '/v1/quarantine/': 'stray-1',
  };
});
afterAll(async () => {
  await platform[Symbol.asyncDispose]();
});

function pathOf({ path }: Route): string {
  const id = ids[path.slice(0, path.indexOf('{'))];
  if (id === undefined) throw new Error(`${path} names something that this test does not have: add it to the ids`);
  const filled = path.replace('{site}', SITE).replaceAll(/\{\w+\}/g, encodeURIComponent(id));
  const query = new URLSearchParams({
    ...(path.startsWith('/v1/machines/') && { site: SITE }),
    ...(path.endsWith('/series') && { metric: 'rpm', from: '1', to: '2' }),
  });
  return `${filled}?${query.toString()}`;
}

/** All that the north can read of its own. */
async function readings(): Promise<readonly unknown[]> {
  const own = routes.filter(({ method, path }) => method === 'GET' && !path.endsWith('/spectrum'));
  return Promise.all(
    own.map(async (route) => {
      const { status, text } = await platform.call('admin', 'GET', pathOf(route));
      return [nameOf(route), status, text];
    }),
  );
}

describe('what belongs to another tenant', () => {
  it.each(routes.map((route) => [nameOf(route), route] as const))(
    'is not there by its id for %s, and stays as it is',
    async (name, route) => {
      const before = await readings();
      for (const [, status] of before as [string, number][]) expect(status).toBe(200);
      const body = BODIES[name];
      if (route.body && body === undefined) throw new Error(`${name} needs a body in this test`);
      const headers = { 'if-match': '*' };
      const options = {
        ...(route.body && { body }),
        ...(route.method !== 'POST' && route.method !== 'GET' && { headers }),
      };
      const answer = await platform.call('admin', route.method, pathOf(route), options, SOUTH);
      // A PUT says by its condition that there is nothing to replace.
      if (answer.status === 412)
        expect([route.method, answer.json]).toEqual(['PUT', expect.objectContaining({ detail: 'There is none.' })]);
      else
        expect([answer.status, answer.json]).toEqual([
          404,
          expect.objectContaining({ type: 'urn:tribo:problem:not-found' }),
        ]);
      expect(await readings()).toEqual(before);
    },
  );
});
