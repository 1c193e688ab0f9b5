import { route, type Route } from '../http/route.ts';
import { eventsQuerySchema } from '../schemas/events.ts';
import { machineKeyOf } from './machine-access.ts';

export function eventRoutes(): readonly Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/events',
      tag: 'Live',
      summary: 'Live readings, alarms, ledger and presence as Server-Sent Events; see /asyncapi.json for their data.',
      access: 'viewer',
      query: eventsQuerySchema,
      response: {
        status: 200,
        description: 'A stream that does not end by itself',
        alternatives: ['text/event-stream'],
      },
      handle: async (call, services) => {
        const { query, principal } = call;
        const { tenant, expiresAtMs } = principal;
        const { site, metrics, topics, machine } = query;
        const key = machine === undefined ? undefined : machineKeyOf({ tenant, site, machine }, services);
        const lastEventId = call.header('last-event-id') ?? query.lastEventId;
        services.events.requireRoom(tenant);
        return {
          stream: (response) =>
            services.events.subscribe(response, {
              tenant,
              topics,
              site,
              machine: key,
              metrics,
              lastEventId,
              expiresAtMs,
              authorise: call.reauthenticate,
            }),
        };
      },
    }),
  ];
}
