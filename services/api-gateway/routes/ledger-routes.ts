import { decodeCursor, pageOf } from '../http/cursor.ts';
import { route, type Route } from '../http/route.ts';
import {
  deadLetterAddressSchema,
  deadLetterDetailSchema,
  deadLettersSchema,
  ledgerSchema,
  lostPageQuerySchema,
  rejectionsSchema,
  replayResultSchema,
} from '../schemas/ledger.ts';
import { placeOf } from '../views.ts';

const TAG = 'Ledger';

export function ledgerRoutes(): readonly Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/ledger',
      tag: TAG,
      summary: 'What became of every acknowledged item of the tenant.',
      access: 'viewer',
      response: { status: 200, description: 'The sum', schema: ledgerSchema },
      handle: async ({ principal }, { ledger }) => ({ json: await ledger.of(principal.tenant) }),
    }),
    route({
      method: 'GET',
      path: '/v1/dead-letters',
      tag: TAG,
      summary: 'What was acknowledged and no stage could process, and notifications that nobody could be told.',
      access: 'viewer',
      query: lostPageQuerySchema,
      response: { status: 200, description: 'A page of them', schema: deadLettersSchema },
      handle: async ({ query, principal: { tenant }, signal }, { deadLetters }) => {
        return { json: await deadLetters.list(tenant, query, { signal }) };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/dead-letters/{id}',
      tag: TAG,
      summary: 'One dead letter with its payload.',
      access: 'engineer',
      params: deadLetterAddressSchema,
      response: { status: 200, description: 'The dead letter', schema: deadLetterDetailSchema },
      handle: async ({ params, principal, signal }, { deadLetters }) => {
        return { json: await deadLetters.one(principal.tenant, params.id, { signal }) };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/dead-letters/{id}/replay',
      tag: TAG,
      summary: 'Processes a dead letter again, keeping its event id; its items move to their new outcome.',
      access: 'engineer',
      params: deadLetterAddressSchema,
      response: { status: 200, description: 'What became of it', schema: replayResultSchema },
      handle: async ({ params, principal }, { deadLetters, logger }) => {
        const result = await deadLetters.replay(principal.tenant, params.id);
        logger.info({ by: principal.subject, tenant: principal.tenant, ...result }, 'dead letter replayed');
        return { json: result };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/rejections',
      tag: TAG,
      summary: 'Items that were acknowledged and rejected, with the reasons.',
      access: 'viewer',
      query: lostPageQuerySchema,
      response: { status: 200, description: 'Newest first', schema: rejectionsSchema },
      handle: async ({ query, principal: { tenant }, signal }, { store }) => {
        const [after] = query.cursor === undefined ? [] : decodeCursor('rejections', query.cursor, ['string']);
        const page = { tenant, limit: query.limit + 1, ...(after !== undefined && { after }) };
        const found = await store.rejections(page, { signal });
        return {
          json: pageOf('rejections', found, query.limit, {
            view: ({ id, machine, eventId, code, pointer, detail, atMs }) => {
              return { id, ...placeOf(machine), eventId, code, pointer, detail, atMs };
            },
            positionOf: ({ id }) => [id],
          }),
        };
      },
    }),
  ];
}
