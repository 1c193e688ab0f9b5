import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { mayAct, ROLES } from '#core/domain/role.ts';
import { GatewayPlatform } from '#test/support/gateway-platform.ts';
import { apiGatewayConfigSchema } from './config.ts';
import type { Route } from './http/route.ts';
import { routeTable } from './routes/route-table.ts';

/** What anybody may call. A route that is to join them must be added here on purpose. */
const PUBLIC = [
  'GET /.well-known/jwks.json',
  'GET /.well-known/openid-configuration',
  'GET /asyncapi.json',
  'GET /health/live',
  'GET /health/ready',
  'GET /metrics',
  'GET /openapi.json',
  'GET /v1/sign-in-issuers',
  'GET /v1/sign-in/{issuer}',
  'GET /v1/sign-in/{issuer}/callback',
  'POST /v1/session',
];

const routes = routeTable(apiGatewayConfigSchema.parse({}));
const nameOf = ({ method, path }: Route) => `${method} ${path}`;
const guarded = routes.filter((route) => route.access !== 'public');

/** A path with names that nothing has, so that nobody does anything by it. */
const pathOf = ({ path }: Route) => path.replaceAll(/\{\w+\}/g, 'nothing-of-that-name');

const shapeOf = (schema: unknown): z.ZodRawShape => (schema instanceof z.ZodObject ? schema.shape : {});

let platform: GatewayPlatform;
beforeAll(async () => {
  platform = await GatewayPlatform.start({ rateLimits: { failuresPerAddress: 100_000 } });
});
afterAll(async () => {
  await platform[Symbol.asyncDispose]();
});

describe('route table', () => {
  it('has the listed public routes and no other', () => {
    expect(
      routes
        .filter((route) => route.access === 'public')
        .map(nameOf)
        .sort(),
    ).toEqual(PUBLIC);
  });

  it('has each route once', () => {
    expect(new Set(routes.map(nameOf)).size).toBe(routes.length);
  });

  it('takes a body only with a bound, and only to write', () => {
    for (const { method, body } of routes) {
      if (body) expect([method, body.maxBytes > 0]).toEqual([expect.stringMatching(/POST|PUT/), true]);
    }
  });

  it('pages every list, in one envelope', () => {
    const lists = routes.filter(({ response }) => shapeOf(response.schema)['items'] instanceof z.ZodArray);
    expect(lists.length).toBeGreaterThan(10);
    for (const list of lists) {
      expect([nameOf(list), Object.keys(shapeOf(list.query))]).toEqual([
        nameOf(list),
        expect.arrayContaining(['limit', 'cursor']),
      ]);
      expect([nameOf(list), Object.keys(shapeOf(list.response.schema))]).toEqual([
        nameOf(list),
        expect.arrayContaining(['items', 'nextCursor']),
      ]);
    }
  });

  it.each(guarded.map((route) => [nameOf(route), route] as const))(
    '%s refuses whoever is not signed in',
    async (_name, route) => {
      const answers = await Promise.all([
        platform.call('nobody', route.method, pathOf(route)),
        platform.call('nobody', route.method, pathOf(route), {
          headers: { authorization: 'Bearer forged.token.here' },
        }),
        platform.call('nobody', route.method, pathOf(route), { headers: { cookie: 'tribo_session=forged.cookie' } }),
      ]);
      for (const answer of answers) {
        expect(answer.status).toBe(401);
        expect(answer.json).toMatchObject({ type: 'urn:tribo:problem:unauthenticated', status: 401 });
        expect(answer.headers.get('content-type')).toContain('application/problem+json');
        expect(answer.headers.get('www-authenticate')).toContain('Bearer');
      }
    },
  );

  it.each(guarded.flatMap((route) => ROLES.map((role) => [role, nameOf(route), route] as const)))(
    'lets %s call %s exactly where the role allows it',
    async (role, _name, route) => {
      if (route.path === '/v1/events' && mayAct([role], 'viewer')) return;
      const { status } = await platform.call(role, route.method, pathOf(route));
      if (mayAct([role], route.access as never)) expect([401, 403, 500]).not.toContain(status);
      else expect(status).toBe(403);
    },
  );
});
