import { createHash, randomUUID } from 'node:crypto';
import { FIGURES_KEPT_MS } from '#core/alerting/alarm-figure-reader.ts';
import type { Alarm, JournalEntry, OperatorAction, OperatorTransition } from '#core/domain/alarm.ts';
import type { AlarmId, SiteId } from '#core/domain/ids.ts';
import type { Role } from '#core/domain/role.ts';
import type { RecordedTransition } from '#core/ports/alarm-journal.ts';
import { HttpProblem } from '../../shared/http/problem.ts';
import { etagOf, expectationOf, preconditionFailed } from '../http/conditions.ts';
import { decodeCursor, pageOf } from '../http/cursor.ts';
import { route, type Call, type Reply, type Route } from '../http/route.ts';
import {
  acknowledgeRequestSchema,
  alarmAddressSchema,
  alarmCommentRequestSchema,
  alarmFiguresQuerySchema,
  alarmFiguresSchema,
  alarmJournalPageQuerySchema,
  alarmJournalSchema,
  alarmListQuerySchema,
  alarmListSchema,
  alarmSchema,
  shelveRequestSchema,
} from '../schemas/alarms.ts';
import type { GatewayServices } from '../services.ts';
import { alarmFiguresView, alarmView, journalEntryView } from '../views.ts';
import { machineKeyOf } from './machine-access.ts';

const TAG = 'Alarms';
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** What people may do to an alarm (ISA-18.2), and who may. Taking an alarm out of use by design is engineering, not operation. */
const ACTIONS: Readonly<
  Record<Exclude<OperatorAction, 'shelve'>, { readonly access: Role; readonly summary: string }>
> = {
  acknowledge: { access: 'operator', summary: 'Says that the alarm was seen, by whom, and why.' },
  unshelve: { access: 'operator', summary: 'Takes the alarm back from the shelf.' },
  reset: { access: 'operator', summary: 'Ends a latched alarm.' },
  're-alarm': { access: 'operator', summary: 'Makes an acknowledged alarm call again.' },
  suppress: { access: 'engineer', summary: 'Silences the alarm by design.' },
  unsuppress: { access: 'engineer', summary: 'Ends the suppression by design.' },
  'remove-from-service': { access: 'engineer', summary: 'Takes the alarm out of service.' },
  'return-to-service': { access: 'engineer', summary: 'Puts the alarm back into service.' },
};

export function alarmRoutes(limits: { readonly jsonBytes: number }): readonly Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/alarms',
      tag: TAG,
      summary: 'Alarms with why they were raised; by default all that are not normal.',
      access: 'viewer',
      query: alarmListQuerySchema,
      response: { status: 200, description: 'Newest first', schema: alarmListSchema },
      handle: async ({ query, principal: { tenant }, signal }, services) => {
        const { site, machine, state: states, from: fromMs, to: toMs, limit, cursor } = query;
        const key = machine === undefined ? undefined : machineKeyOf({ tenant, site, machine }, services);
        const after = cursor === undefined ? undefined : decodeCursor('alarms', cursor, ['number', 'string']);
        const found = await services.alarms.list(
          {
            tenant,
            limit: limit + 1,
            ...(key !== undefined ? { machine: key } : site !== undefined && { site: site as SiteId }),
            ...(states !== undefined && { states }),
            ...(fromMs !== undefined && { fromMs }),
            ...(toMs !== undefined && { toMs }),
            ...(after && { after: { raisedAtMs: after[0], id: after[1] as AlarmId } }),
          },
          { signal },
        );
        const positionOf = (last: Alarm) => [last.raisedAtMs, last.id];
        return { json: pageOf('alarms', found, limit, { view: alarmView, positionOf }) };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/alarms/figures',
      tag: TAG,
      summary:
        'How good the alarm system itself is: rates, floods, chattering and stale alarms of a period (ISA-18.2).',
      access: 'viewer',
      query: alarmFiguresQuerySchema,
      response: { status: 200, description: 'The figures, by default of the last day', schema: alarmFiguresSchema },
      handle: async ({ query, principal: { tenant }, signal }, { alarmFigures, clock }) => {
        const period = figurePeriod(query, clock.nowMs());
        const site = query.site === undefined ? {} : { site: query.site as SiteId };
        const figures = await alarmFigures.figures({ tenant, ...site, ...period }, { signal });
        return { json: alarmFiguresView(figures) };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/alarms/{id}',
      tag: TAG,
      summary: 'One alarm.',
      access: 'viewer',
      params: alarmAddressSchema,
      response: { status: 200, description: 'The alarm', schema: alarmSchema, etag: true },
      handle: async ({ params, principal, signal }, { alarms }) => {
        const alarm = await alarms.alarm(principal.tenant, params.id as AlarmId, { signal });
        if (!alarm) throw noSuchAlarm(params.id);
        return { json: alarmView(alarm), headers: { etag: etagOf(alarm.version) } };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/alarms/{id}/journal',
      tag: TAG,
      summary: 'Everything that happened to an alarm.',
      access: 'viewer',
      params: alarmAddressSchema,
      query: alarmJournalPageQuerySchema,
      response: { status: 200, description: 'Oldest first', schema: alarmJournalSchema },
      handle: async ({ params, query, principal, signal }, { alarms }) => {
        const id = params.id as AlarmId;
        if (!(await alarms.alarm(principal.tenant, id, { signal }))) throw noSuchAlarm(id);
        const [afterSequence] = query.cursor === undefined ? [0] : decodeCursor('journal', query.cursor, ['number']);
        const found = await alarms.journal(id, { afterSequence, limit: query.limit + 1 }, { signal });
        const positionOf = ({ sequence }: JournalEntry) => [sequence];
        return { json: pageOf('journal', found, query.limit, { view: journalEntryView, positionOf }) };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/alarms/{id}/shelve',
      tag: TAG,
      summary: 'Puts the alarm aside for a time, or until it next returns to normal.',
      access: 'operator',
      params: alarmAddressSchema,
      body: { kind: 'json', schema: shelveRequestSchema, maxBytes: limits.jsonBytes, optional: true },
      response: { status: 200, description: 'The alarm as it is now', schema: alarmSchema, etag: true },
      handle: async (call, services) => {
        const { forMinutes, comment } = call.body;
        const atMs = services.clock.nowMs();
        const until = forMinutes === undefined ? {} : { untilMs: atMs + forMinutes * MINUTE_MS };
        return act({ ...transitionFacts(call, atMs), comment, type: 'shelve', ...until }, call, services);
      },
    }),
    ...Object.entries(ACTIONS).map(([action, { access, summary }]) =>
      route({
        method: 'POST',
        path: `/v1/alarms/{id}/${action}`,
        tag: TAG,
        summary,
        access,
        params: alarmAddressSchema,
        body: {
          ...{ kind: 'json', maxBytes: limits.jsonBytes },
          ...(action === 'acknowledge'
            ? { schema: acknowledgeRequestSchema }
            : { schema: alarmCommentRequestSchema, optional: true }),
        },
        response: { status: 200, description: 'The alarm as it is now', schema: alarmSchema, etag: true },
        handle: async (call, services) => {
          const type = action as keyof typeof ACTIONS;
          const { comment } = call.body;
          return act({ ...transitionFacts(call, services.clock.nowMs()), comment, type }, call, services);
        },
      }),
    ),
  ];
}

/** @throws HttpProblem for a period that is empty, or begins before what is kept for figures. */
function figurePeriod(
  { from, to }: { readonly from?: number | undefined; readonly to?: number | undefined },
  nowMs: number,
) {
  const toMs = to ?? nowMs;
  const fromMs = from ?? toMs - DAY_MS;
  if (toMs <= fromMs) {
    throw new HttpProblem('invalid-request', {
      detail: 'to is not after from.',
      pointer: 'query:to',
      remedy: 'The period is half open, from <= time < to: give a later to.',
    });
  }
  // A client's clock may be a little behind ours.
  if (fromMs < nowMs - FIGURES_KEPT_MS - MINUTE_MS) {
    throw new HttpProblem('invalid-request', {
      detail: 'Figures reach back 31 days.',
      pointer: 'query:from',
      remedy: 'Give a later from; for older times read the journals of the alarms.',
    });
  }
  return { fromMs, toMs };
}

type AlarmCall = Call<{ id: string }>;

/** The journal records an id once for ever: a repeated request with its Idempotency-Key changes nothing, even after a restart. */
function transitionFacts({ params, principal, idempotencyKey }: AlarmCall, atMs: number) {
  const id = idempotencyKey === undefined ? randomUUID() : createHash('sha256').update(idempotencyKey).digest('hex');
  return { id, atMs, alarmId: params.id as AlarmId, by: principal.subject };
}

async function act(transition: OperatorTransition, call: AlarmCall, services: GatewayServices): Promise<Reply> {
  const { alarms, notifyOfChanges } = services;
  const { id } = call.params;
  if (!(await alarms.alarm(call.principal.tenant, id as AlarmId))) throw noSuchAlarm(id);
  const expectation = expectationOf(call);
  if (expectation === 'absent') throw preconditionFailed('The alarm is there.');
  const condition = typeof expectation === 'object' ? { expectedVersion: expectation.version } : {};
  const [result] = await alarms.record([transition], { ...condition, ...(notifyOfChanges && { notifyOfChanges }) });
  const alarm = outcomeOf(result, id);
  return { json: alarmView(alarm), headers: { etag: etagOf(alarm.version) } };
}

function outcomeOf(result: RecordedTransition | undefined, id: string) {
  switch (result?.outcome) {
    case 'recorded':
    case 'duplicate':
      return result.alarm;
    case 'conflict':
      throw preconditionFailed(`At present its ETag is ${etagOf(result.alarm.version)}.`);
    case 'illegal':
      throw new HttpProblem('conflict', {
        detail: `The alarm does not allow that now: ${result.reason}.`,
        remedy: 'Read the alarm again; its state says what can be done.',
      });
    case 'not_found':
    case undefined:
      throw noSuchAlarm(id);
  }
}

function noSuchAlarm(id: string): HttpProblem {
  return new HttpProblem('not-found', {
    detail: `There is no alarm ${id}.`,
    remedy: 'GET /v1/alarms lists those there are.',
  });
}
