import type { TenantId } from '#core/domain/ids.ts';
import { settlementOutcome } from '#core/settlement/outcomes.ts';
import type { CallOptions } from '#core/errors.ts';
import type { DeadLetter, EventOutcome } from '#core/ports/time-series-store.ts';
import { HttpProblem } from '../../shared/http/problem.ts';
import { decodeCursor, encodeCursor } from '../http/cursor.ts';
import { route, type Route } from '../http/route.ts';
import {
  deadLetterAddressSchema,
  deadLetterDetailSchema,
  deadLettersSchema,
  ledgerSchema,
  lostPageQuerySchema,
  rejectionsSchema,
  replayResultSchema,
  type DeadLetterView,
  type ReplayResult,
} from '../schemas/ledger.ts';
import type { GatewayServices } from '../services.ts';
import { placeOf } from '../views.ts';

const TAG = 'Ledger';
const MAX_PAYLOAD_SHOWN = 65_536;
const SEARCH_PAGE = 500;
const MAX_SEARCHED = 20_000;

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
      summary: 'Events that were acknowledged and could not be processed.',
      access: 'viewer',
      query: lostPageQuerySchema,
      response: { status: 200, description: 'A page of them', schema: deadLettersSchema },
      handle: async ({ query, principal: { tenant }, signal }, { store }) => {
        const [after] = query.cursor === undefined ? [] : decodeCursor('dead-letters', query.cursor, ['string']);
        const page = { tenant, limit: query.limit + 1, ...(after !== undefined && { after }) };
        const found = await store.deadLetters(page, { signal });
        const items = found.slice(0, query.limit);
        const last = found.length > query.limit ? items.at(-1) : undefined;
        const nextCursor = last && encodeCursor('dead-letters', [last.id]);
        return { json: { items: items.map(deadLetterView), ...(nextCursor !== undefined && { nextCursor }) } };
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
      handle: async ({ params, principal, signal }, services) => {
        const found = await deadLetter(principal.tenant, params.id, services, { signal });
        const { payload, acceptedAtMs } = found.event;
        const shown = Buffer.from(payload.subarray(0, MAX_PAYLOAD_SHOWN)).toString('utf8');
        return {
          json: { ...deadLetterView(found), acceptedAtMs, payload: shown, payloadBytes: payload.byteLength },
        };
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
      handle: async ({ params, principal }, services) => {
        const { id, event } = await deadLetter(principal.tenant, params.id, services);
        const outcome = settlementOutcome(event);
        if (outcome.type !== 'deadLettered') await services.store.settleDeadLetter(id, outcome);
        return { json: replayResult(id, outcome) };
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
        const items = found.slice(0, query.limit);
        const last = found.length > query.limit ? items.at(-1) : undefined;
        return {
          json: {
            items: items.map(({ id, machine, eventId, code, pointer, detail, atMs }) => {
              return { id, ...placeOf(machine), eventId, code, pointer, detail, atMs };
            }),
            ...(last && { nextCursor: encodeCursor('rejections', [last.id]) }),
          },
        };
      },
    }),
  ];
}

/** The port lists dead letters and looks none up; they are few, or something is badly wrong. */
async function deadLetter(
  tenant: TenantId,
  id: string,
  { store }: GatewayServices,
  options: CallOptions = {},
): Promise<DeadLetter> {
  let after: string | undefined;
  for (let searched = 0; searched < MAX_SEARCHED; searched += SEARCH_PAGE) {
    const page = await store.deadLetters(
      { tenant, limit: SEARCH_PAGE, ...(after !== undefined && { after }) },
      options,
    );
    const found = page.find((each) => each.id === id);
    if (found) return found;
    after = page.at(-1)?.id;
    if (page.length < SEARCH_PAGE) break;
  }
  throw new HttpProblem('not-found', {
    detail: `There is no dead letter ${id}.`,
    remedy: 'GET /v1/dead-letters lists those there are; one that was replayed is no longer among them.',
  });
}

function deadLetterView({ id, machine, stream, event, code, detail, atMs }: DeadLetter): DeadLetterView {
  const { eventId, kind, items } = event;
  return { id, ...placeOf(machine), stream, eventId, kind, items, code, detail, atMs };
}

function replayResult(id: string, outcome: EventOutcome): ReplayResult {
  switch (outcome.type) {
    case 'readings':
    case 'waveform':
    case 'document':
      return { id, outcome: 'stored' };
    case 'duplicate':
    case 'rejected':
      return { id, outcome: outcome.type };
    case 'deadLettered':
      return { id, outcome: 'deadLettered', detail: outcome.detail };
  }
}
