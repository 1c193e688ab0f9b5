import { hash } from 'node:crypto';
import type { AlarmId, DeviceId, RuleId } from '#core/domain/ids.ts';
import { machineIfFound } from '../routes/machine-access.ts';
import type { Call, Route } from '../http/route.ts';
import type { GatewayServices } from '../services.ts';

/** How a call that changes something is told in the audit trail. No part of it may hold a secret. */
export interface AuditedChange {
  /** What kind of thing, and what is done to it. */
  readonly action: string;
  /** Which one. */
  readonly target: (call: Call) => string;
  /** The target in a few words: asked before and after the change. */
  readonly state?: (call: Call, services: GatewayServices) => Promise<object | undefined>;
  /** What the answer tells of it, in place of the state afterwards. */
  readonly result?: (answer: never) => object;
}

/** How the call of a route is told; of one that the table does not know, its method and path. Undefined where nothing is changed, or it is data. */
export function auditedChange({ method, path, allowance }: Route): AuditedChange | undefined {
  const name = `${method} ${path}`;
  const known = CHANGES[name];
  if (known) return known;
  if (method === 'GET' || allowance === 'telemetry') return undefined;
  return { action: name, target: (call) => Object.values(texts(call.params)).join('/') };
}

const device: Pick<AuditedChange, 'target' | 'state'> = {
  target: named('device'),
  state: async (call, { devices }) => {
    const found = await devices.getDevice(texts(call.params)['device'] as DeviceId);
    if (found?.tenant !== call.principal.tenant) return undefined;
    return { enabled: found.enabled, machines: found.machines };
  },
};

const machine: Pick<AuditedChange, 'target' | 'state'> = {
  target: (call) => placeOf(call),
  state: async (call, services) => {
    const { site = texts(call.query)['site'], machine: id = '' } = texts(call.params);
    const key = machineIfFound({ tenant: call.principal.tenant, site, machine: id }, services);
    const found = key && (await services.machines.getMachine(key));
    return found && { revision: found.revision, sha256: digest(found.machine) };
  },
};

const rule: Pick<AuditedChange, 'target' | 'state'> = {
  target: named('id'),
  state: async (call, { rules }) => {
    const found = await rules.get(call.principal.tenant, texts(call.params)['id'] as RuleId);
    return found && { version: found.version, sha256: digest(found.rule) };
  },
};

const alarm: Pick<AuditedChange, 'target' | 'state'> = {
  target: named('id'),
  state: async (call, { alarms }) => {
    const found = await alarms.alarm(call.principal.tenant, texts(call.params)['id'] as AlarmId);
    return found && { state: found.state, version: found.version };
  },
};

const model: Pick<AuditedChange, 'target' | 'result'> = {
  target: (call) => [texts(call.params)['id'], ...Object.values(texts(call.query))].join('/'),
  result: ({ version, promotedVersion, sha256 }: Record<string, unknown>) => ({ version, promotedVersion, sha256 }),
};

const ALARM_ACTIONS = [
  ...['acknowledge', 'shelve', 'unshelve', 'reset', 're-alarm'],
  ...['suppress', 'unsuppress', 'remove-from-service', 'return-to-service'],
];

const CHANGES: Readonly<Record<string, AuditedChange>> = {
  'POST /v1/devices': {
    action: 'device.add',
    target: (call) => texts(call.body)['id'] ?? '',
    result: ({ device: { enabled, machines } }: { device: Record<string, unknown> }) => ({ enabled, machines }),
  },
  'PUT /v1/devices/{device}/machines': { action: 'device.bind', ...device },
  'POST /v1/devices/{device}/secret': { action: 'device.replace-secret', ...device },
  'POST /v1/devices/{device}/enable': { action: 'device.enable', ...device },
  'POST /v1/devices/{device}/disable': { action: 'device.disable', ...device },
  'DELETE /v1/devices/{device}': { action: 'device.remove', ...device },
  'PUT /v1/machines/{machine}': { action: 'machine.put', ...machine },
  'DELETE /v1/machines/{machine}': { action: 'machine.remove', ...machine },
  'POST /v1/quarantine/{site}/{machine}/adopt': { action: 'machine.adopt', ...machine },
  'POST /v1/machines/{machine}/events': {
    action: 'machine.note',
    target: placeOf,
    result: ({ id, kind, atMs }: Record<string, unknown>) => ({ id, kind, atMs }),
  },
  'POST /v1/machines/{machine}/commands': {
    action: 'machine.command',
    target: placeOf,
    result: ({ id, expiresMs }: Record<string, unknown>) => ({ id, expiresMs }),
  },
  'PUT /v1/plant': {
    action: 'plant.put',
    target: (call) => texts(call.body)['site'] ?? '',
    result: ({ machines }: { machines: readonly object[] }) => ({
      machines: machines.length,
      sha256: digest(machines),
    }),
  },
  'PUT /v1/rules/{id}': { action: 'rule.put', ...rule },
  'DELETE /v1/rules/{id}': { action: 'rule.remove', ...rule },
  'POST /v1/models/{id}/versions': { action: 'model.register', ...model },
  'POST /v1/models/{id}/promote': { action: 'model.promote', ...model },
  'POST /v1/models/{id}/rollback': { action: 'model.rollback', ...model },
  'POST /v1/tokens': {
    action: 'token.issue',
    target: (call) => texts(call.body)['name'] ?? '',
    result: ({ id, roles, expiresMs }: Record<string, unknown>) => ({ id, roles, expiresMs }),
  },
  'DELETE /v1/tokens/{id}': {
    action: 'token.revoke',
    target: named('id'),
    state: async (call, { issuer }) => {
      const issued = (await issuer?.listTokens(call.principal.tenant)) ?? [];
      const found = issued.find(({ id }) => id === texts(call.params)['id']);
      return found && { name: found.subject, roles: found.roles, revoked: found.revoked };
    },
  },
  'POST /v1/sign-in-links': {
    action: 'sign-in-link.make',
    target: (call) => texts(call.body)['subject'] ?? '',
    result: ({ expiresMs }: Record<string, unknown>) => ({ expiresMs }),
  },
  'POST /v1/session': { action: 'session.begin', target: () => '' },
  'GET /v1/sign-in/{issuer}/callback': { action: 'session.begin', target: () => '' },
  'DELETE /v1/session': { action: 'session.end', target: (call) => call.principal.subject },
  'POST /v1/dead-letters/{id}/replay': {
    action: 'dead-letter.replay',
    target: named('id'),
    result: ({ outcome }: Record<string, unknown>) => ({ outcome }),
  },
  ...Object.fromEntries(
    ALARM_ACTIONS.map((action) => [`POST /v1/alarms/{id}/${action}`, { action: `alarm.${action}`, ...alarm }]),
  ),
};

function named(parameter: string): AuditedChange['target'] {
  return (call) => texts(call.params)[parameter] ?? '';
}

/** Site and machine, the site where it was named. */
function placeOf({ params, query }: Call): string {
  const { site, machine: id = '' } = { ...texts(query), ...texts(params) };
  return site === undefined ? id : `${site}/${id}`;
}

/** The parts of validated input that are text. */
function texts(input: unknown): Readonly<Record<string, string>> {
  const parts = Object.entries({ ...(input as Record<string, unknown> | undefined) });
  return Object.fromEntries(parts.filter((part): part is [string, string] => typeof part[1] === 'string'));
}

function digest(value: unknown): string {
  return hash('sha256', JSON.stringify(value), 'hex').slice(0, 32);
}
