import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { PortError } from '#core/errors.ts';
import { GatewayPlatform, NORTH } from '#test/support/gateway-platform.ts';
import { auditedChange } from './audit/audited-changes.ts';
import { apiGatewayConfigSchema } from './config.ts';
import { routeTable } from './routes/route-table.ts';
import type { AuditEntryView } from './schemas/audit.ts';

let platform: GatewayPlatform;
let trailIsFull = false;
let isCutOff = false;
beforeAll(async () => {
  platform = await GatewayPlatform.start({}, (dependencies) => {
    const { auditTrail } = dependencies;
    const begin: typeof auditTrail.begin = async (attempt) => {
      if (trailIsFull) throw new PortError('resource_exhausted', 'the disk is full');
      return auditTrail.begin(attempt);
    };
    const [list, finish] = [auditTrail.list.bind(auditTrail), auditTrail.finish.bind(auditTrail)];
    const [forget, close] = [auditTrail.forget.bind(auditTrail), auditTrail.close.bind(auditTrail)];
    const removeDevice: typeof dependencies.devices.removeDevice = async (...given) => {
      await dependencies.devices.removeDevice(...given);
      if (isCutOff) throw new PortError('unavailable', 'the answer did not come');
    };
    const devices = new Proxy(dependencies.devices, {
      get: (of, name) => {
        const member: unknown = name === 'removeDevice' ? removeDevice : Reflect.get(of, name);
        return typeof member === 'function' ? (member.bind(of) as unknown) : member;
      },
    });
    return { ...dependencies, devices, auditTrail: { begin, finish, list, forget, close } };
  });
});
afterAll(async () => {
  await platform[Symbol.asyncDispose]();
});

const audit = async (query: string): Promise<readonly AuditEntryView[]> => {
  const { json } = await platform.call('admin', 'GET', `/v1/audit?${query}`);
  return (json as { items: AuditEntryView[] }).items;
};
const told = ({ actor, action, target, outcome, reason, before, after }: AuditEntryView) => {
  return { actor, action, target, outcome, reason, before, after };
};

describe('the audit trail', () => {
  it('tells who added, changed and removed a device, with what it was and is, and never its secret', async () => {
    const machines = [{ site: 'akron', machine: 'press-7' }];
    const added = await platform.call('engineer', 'POST', '/v1/devices', { body: { id: 'gate-1', machines } });
    const replaced = await platform.call('engineer', 'POST', '/v1/devices/gate-1/secret');
    for (const [method, path, body] of [
      ['POST', '/v1/devices/gate-1/disable', undefined],
      ['PUT', '/v1/devices/gate-1/machines', { machines: [...machines, { site: 'akron', machine: 'pump-2' }] }],
      ['DELETE', '/v1/devices/gate-1', undefined],
      ['DELETE', '/v1/devices/gate-1', undefined],
    ] as const)
      await platform.call('engineer', method, path, body && { body });
    const bound = { machines: ['north/akron/press-7'] };
    const enabled = { enabled: true, ...bound };
    const disabled = { enabled: false, ...bound };
    const rebound = { enabled: false, machines: ['north/akron/press-7', 'north/akron/pump-2'] };
    const entries = await audit('target=gate-1');
    expect(entries.map(told).reverse()).toEqual([
      expect.objectContaining({
        action: 'device.add',
        outcome: 'done',
        after: expect.objectContaining({ enabled: true }),
      }),
      expect.objectContaining({ action: 'device.replace-secret', outcome: 'done', before: enabled, after: enabled }),
      expect.objectContaining({ action: 'device.disable', outcome: 'done', before: enabled, after: disabled }),
      expect.objectContaining({ action: 'device.bind', outcome: 'done', before: disabled, after: rebound }),
      expect.objectContaining({ action: 'device.remove', outcome: 'done', before: rebound, after: undefined }),
      expect.objectContaining({ action: 'device.remove', outcome: 'refused', reason: 'not-found' }),
    ]);
    expect(new Set(entries.map(({ actor }) => actor))).toEqual(new Set(['engineer-client']));
    const secrets = [added, replaced].map(({ json }) => (json as { secret: string }).secret);
    for (const secret of secrets) expect(JSON.stringify(entries)).not.toContain(secret);
  });

  it('tells who issued and revoked a token, and never the token', async () => {
    const { json } = await platform.call('admin', 'POST', '/v1/tokens', {
      body: { name: 'historian', roles: ['viewer'] },
    });
    const { id, token } = json as { id: string; token: string };
    await platform.call('admin', 'DELETE', `/v1/tokens/${id}`);
    const [issued] = await audit('action=token.issue');
    const [revoked] = await audit('action=token.revoke');
    expect(issued).toMatchObject({
      actor: 'admin-client',
      target: 'historian',
      outcome: 'done',
      after: { id, roles: ['viewer'] },
    });
    expect(revoked).toMatchObject({
      ...{ actor: 'admin-client', target: id, outcome: 'done' },
      ...{ before: { name: 'historian', revoked: false }, after: { name: 'historian', revoked: true } },
    });
    expect(JSON.stringify([issued, revoked])).not.toContain(token);
  });

  it('tells of rules by version and digest, also where a change was refused', async () => {
    const rule = { kind: 'threshold', id: 'hot', text: 'Hot', metric: 'heat', direction: 'above', limit: 80 };
    await platform.call('engineer', 'PUT', '/v1/rules/hot', { body: rule });
    await platform.call('engineer', 'PUT', '/v1/rules/hot', {
      body: { ...rule, limit: 90 },
      headers: { 'if-match': '"7"' },
    });
    const entries = await audit('action=rule.put&target=hot');
    const first = { version: 1, sha256: expect.stringMatching(/^[0-9a-f]{32}$/) };
    expect(entries.map(told)).toEqual([
      expect.objectContaining({ outcome: 'refused', reason: 'precondition-failed', before: first, after: undefined }),
      expect.objectContaining({ outcome: 'done', before: undefined, after: first }),
    ]);
  });

  it('tells that a machine was forgotten, also where its site was not named', async () => {
    const body = { id: 'motor-3', class: 'motor' };
    await platform.call('engineer', 'PUT', '/v1/machines/motor-3?site=akron', { body });
    const headers = { 'if-match': '"1"' };
    expect((await platform.call('engineer', 'DELETE', '/v1/machines/motor-3', { headers })).status).toBe(204);
    const [removed] = await audit('action=machine.remove');
    expect(removed).toMatchObject({ target: 'motor-3', outcome: 'done', before: { revision: 1 } });
    expect(removed).not.toHaveProperty('after');
  });

  it('tells who signed in, and not by which code', async () => {
    const link = await platform.call('admin', 'POST', '/v1/sign-in-links', {
      body: { subject: 'maria', roles: ['operator'] },
    });
    const code = new URL((link.json as { url: string }).url).searchParams.get('code') ?? '';
    await platform.call('nobody', 'POST', '/v1/session', { body: { code } });
    const entries = await audit('target=maria');
    expect(entries.map(({ actor, action, outcome }) => [actor, action, outcome])).toEqual([
      ['maria', 'session.begin', 'done'],
      ['admin-client', 'sign-in-link.make', 'done'],
    ]);
    expect(JSON.stringify(entries)).not.toContain(code);
  });

  it('is read page by page, by admins, and of their own tenant alone', async () => {
    const all = await audit('limit=500');
    const { json } = await platform.call('admin', 'GET', '/v1/audit?limit=2');
    const { items, nextCursor } = json as { items: AuditEntryView[]; nextCursor: string };
    expect([...items, ...(await audit(`limit=500&cursor=${nextCursor}`))]).toEqual(all);
    expect((await platform.call('engineer', 'GET', '/v1/audit')).status).toBe(403);
    const foreign = await platform.dependencies.auditTrail.list({ tenant: 'south' as never, limit: 10 });
    expect(foreign).toEqual([]);
    expect(await audit(`from=${Date.now() + 60_000}`)).toEqual([]);
  });

  it('keeps a change from being made that it cannot record', async () => {
    trailIsFull = true;
    const body = { id: 'gate-2', machines: [{ site: 'akron', machine: 'press-7' }] };
    const { status } = await platform.call('engineer', 'POST', '/v1/devices', { body });
    trailIsFull = false;
    expect(status).toBeGreaterThanOrEqual(429);
    expect(await platform.dependencies.devices.getDevice('gate-2' as never)).toBeUndefined();
    expect(await audit('target=gate-2')).toEqual([]);
  });

  it('does not say that nothing was changed where that is not known', async () => {
    const body = { id: 'gate-3', machines: [{ site: 'akron', machine: 'press-7' }] };
    await platform.call('engineer', 'POST', '/v1/devices', { body });
    isCutOff = true;
    const { status } = await platform.call('engineer', 'DELETE', '/v1/devices/gate-3');
    isCutOff = false;
    expect(status).toBe(503);
    const [entry] = await audit('target=gate-3');
    expect(entry).toMatchObject({ action: 'device.remove', outcome: 'unknown', reason: 'unavailable' });
  });

  it('forgets what is older than it is kept', async () => {
    const { auditTrail } = platform.dependencies;
    const old = { tenant: NORTH, atMs: 1000, actor: 'asha', action: 'device.add', target: 'old' };
    await auditTrail.begin(old);
    await using again = await GatewayPlatform.start({ auditMs: 60_000 }, (dependencies) => ({
      ...dependencies,
      auditTrail,
    }));
    expect(again).toBeDefined();
    expect(await audit('target=old')).toEqual([]);
  });
});

describe('every call that changes something', () => {
  const changing = routeTable(apiGatewayConfigSchema.parse({})).filter(
    ({ method, allowance }) => method !== 'GET' && allowance !== 'telemetry',
  );

  it.each(changing.map((route) => [`${route.method} ${route.path}`, route] as const))(
    '%s has a name in the audit trail',
    (_name, route) => {
      expect(auditedChange(route)?.action).toMatch(/^[a-z-]+\.[a-z-]+$/);
    },
  );
});
