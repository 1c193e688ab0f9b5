import type { RuleId } from '#core/domain/ids.ts';
import { isPortError } from '#core/errors.ts';
import type { VersionedRule } from '#core/domain/rule.ts';
import { HttpProblem } from '../../shared/http/problem.ts';
import { etagOf, expectedVersion, preconditionFailed } from '../http/conditions.ts';
import { decodeCursor, encodeCursor } from '../http/cursor.ts';
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
        const items = found.slice(0, query.limit);
        const last = found.length > query.limit ? items.at(-1) : undefined;
        return {
          json: { items: items.map(ruleView), ...(last && { nextCursor: encodeCursor('rules', [last.rule.id]) }) },
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
      response: { status: 200, description: 'Newest first', schema: ruleHistorySchema },
      handle: async ({ params, principal, signal }, { rules }) => {
        const found = await rules.history(principal.tenant, params.id as RuleId, { signal });
        if (found.length === 0) throw noSuchRule(params.id);
        return { json: { items: found } };
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

/** Somebody else may have been faster between the reading and the writing. */
async function conditional<Result>(write: () => Promise<Result>): Promise<Result> {
  try {
    return await write();
  } catch (error) {
    if (isPortError(error) && error.code === 'failed_precondition') throw preconditionFailed(error.message);
    throw error;
  }
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
