import type { AuditEntry } from '#core/ports/audit-trail.ts';
import { decodeCursor, pageOf } from '../http/cursor.ts';
import { route, type Route } from '../http/route.ts';
import { auditListQuerySchema, auditSchema, type AuditEntryView } from '../schemas/audit.ts';

export function auditRoutes(): readonly Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/audit',
      tag: 'Access',
      summary: 'Who changed what: sign-ins, devices, tokens, machines, rules, models and alarms.',
      access: 'admin',
      query: auditListQuerySchema,
      response: { status: 200, description: 'Newest first', schema: auditSchema },
      handle: async ({ query, principal: { tenant }, signal }, { auditTrail }) => {
        const { from: fromMs, to: toMs, actor, action, target, limit, cursor } = query;
        const [before] = cursor === undefined ? [] : decodeCursor('audit', cursor, ['number']);
        const wanted = Object.fromEntries(
          Object.entries({ fromMs, toMs, actor, action, target, before }).filter(([, value]) => value !== undefined),
        );
        const found = await auditTrail.list({ tenant, limit: limit + 1, ...wanted }, { signal });
        return { json: pageOf('audit', found, limit, { view: entryView, positionOf: ({ id }) => [id] }) };
      },
    }),
  ];
}

function entryView({ tenant: _own, before, after, outcome, ...entry }: AuditEntry): AuditEntryView {
  return {
    ...entry,
    outcome: outcome ?? 'unknown',
    ...(before !== undefined && { before: JSON.parse(before) as Record<string, unknown> }),
    ...(after !== undefined && { after: JSON.parse(after) as Record<string, unknown> }),
  };
}
