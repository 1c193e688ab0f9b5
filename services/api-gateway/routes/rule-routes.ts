import type { RuleId } from '#core/domain/ids.ts';
import type { VersionedRule } from '#core/domain/rule.ts';
import type { RuleHistoryEntry } from '#core/ports/rule-store.ts';
import { HttpProblem } from '../../shared/http/problem.ts';
import { conditional, etagOf, expectedVersion } from '../http/conditions.ts';
import { decodeCursor, pageOf } from '../http/cursor.ts';
import { route, type Reply, type Route } from '../http/route.ts';
import {
  ruleAddressSchema,
  ruleDefinitionSchema,
  ruleHistorySchema,
  ruleListQuerySchema,
  ruleListSchema,
  ruleSchema,
} from '../schemas/rules.ts';
import { ruleView } from '../views.ts';

const TAG = 'Rules';

export function ruleRoutes(limits: { readonly jsonBytes: number }): readonly Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/rules',
      tag: TAG,
      summary: 'The rules in force, disabled ones included.',
      access: 'viewer',
      query: ruleListQuerySchema,
      response: { status: 200, description: 'In order of id', schema: ruleListSchema },
      handle: async ({ query, principal: { tenant }, signal }, { rules }) => {
        const [id] = query.cursor === undefined ? [] : decodeCursor('rules', query.cursor, ['string']);
        const after = id === undefined ? {} : { after: { tenant, id: id as RuleId } };
        const found = await rules.list({ tenant, limit: query.limit + 1, ...after }, { signal });
        return {
          json: pageOf('rules', found, query.limit, { view: ruleView, positionOf: ({ rule }) => [rule.id] }),
        };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/rules/{id}',
      tag: TAG,
      summary: 'One rule.',
      access: 'viewer',
      params: ruleAddressSchema,
      response: { status: 200, description: 'The rule', schema: ruleSchema, etag: true },
      handle: async ({ params, principal, signal }, { rules }) => {
        const found = await rules.get(principal.tenant, params.id as RuleId, { signal });
        if (!found) throw noSuchRule(params.id);
        return ruleReply(found);
      },
    }),
    route({
      method: 'GET',
      path: '/v1/rules/{id}/history',
      tag: TAG,
      summary: 'Every version that a rule ever had, with who made it.',
      access: 'viewer',
      params: ruleAddressSchema,
      query: ruleListQuerySchema,
      response: { status: 200, description: 'Newest first', schema: ruleHistorySchema },
      handle: async ({ params, query, principal, signal }, { rules }) => {
        const [before] = query.cursor === undefined ? [] : decodeCursor('rule-history', query.cursor, ['number']);
        const page = { limit: query.limit + 1, ...(before !== undefined && { before }) };
        const found = await rules.history(principal.tenant, params.id as RuleId, page, { signal });
        if (found.length === 0 && before === undefined) throw noSuchRule(params.id);
        const positionOf = ({ version }: RuleHistoryEntry) => [version];
        return { json: pageOf('rule-history', found, query.limit, { view: (entry) => entry, positionOf }) };
      },
    }),
    route({
      method: 'PUT',
      path: '/v1/rules/{id}',
      tag: TAG,
      summary: 'Creates or changes a rule; it takes effect at once. Changing needs If-Match.',
      access: 'engineer',
      params: ruleAddressSchema,
      body: { kind: 'json', schema: ruleDefinitionSchema, maxBytes: limits.jsonBytes },
      response: { status: 200, description: 'As it is in force now', schema: ruleSchema, etag: true },
      handle: async (call, { rules }) => {
        const { params, principal, body } = call;
        if (body.id !== params.id) throw idsDiffer(body.id, params.id);
        const present = await rules.get(principal.tenant, params.id as RuleId);
        const version = expectedVersion(call, present?.version ?? 0);
        const change = { by: principal.subject, expectedVersion: version };
        return ruleReply(await conditional(() => rules.put(principal.tenant, body, change)));
      },
    }),
    route({
      method: 'DELETE',
      path: '/v1/rules/{id}',
      tag: TAG,
      summary: 'Takes a rule out of force. Needs If-Match.',
      access: 'engineer',
      params: ruleAddressSchema,
      response: { status: 204, description: 'It is no longer in force', etag: true },
      handle: async (call, { rules }) => {
        const { params, principal } = call;
        const present = await rules.get(principal.tenant, params.id as RuleId);
        if (!present) throw noSuchRule(params.id);
        const version = expectedVersion(call, present.version);
        const change = { by: principal.subject, expectedVersion: version };
        await conditional(() => rules.delete(principal.tenant, params.id as RuleId, change));
        return { empty: true };
      },
    }),
  ];
}

function ruleReply(rule: VersionedRule): Reply {
  return { json: ruleView(rule), headers: { etag: etagOf(rule.version) } };
}

function idsDiffer(inBody: string, inPath: string): HttpProblem {
  return new HttpProblem('invalid-request', {
    detail: `The body is the rule ${inBody}, the path names ${inPath}.`,
    pointer: '/id',
    remedy: 'Make them the same.',
  });
}

function noSuchRule(id: string): HttpProblem {
  return new HttpProblem('not-found', {
    detail: `There is no rule ${id}.`,
    remedy: 'GET /v1/rules lists those there are.',
  });
}
