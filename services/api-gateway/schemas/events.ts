import { z } from 'zod';
import { alarmSchema } from './alarms.ts';
import { commaListSchema, instantMsSchema, nameSchema, siteQuerySchema } from './common.ts';
import { ledgerSchema } from './ledger.ts';
import { operatingStateSchema } from './machines.ts';

/**
 * `GET /v1/events`, Server-Sent Events. Each event has `event: <name>` of {@link SSE_EVENTS} and `data: <JSON>` of its schema; an alarm's also has
 * `id: <cursor>`, which EventSource sends back as Last-Event-ID, so that no change of an alarm is missed over a reconnection. Lines that begin
 * with `:` are heartbeats.
 */
export const eventsQuerySchema = z.object({
  topics: commaListSchema(z.enum(['readings', 'alarms', 'ledger', 'presence']), 4)
    .default(['readings', 'alarms', 'ledger', 'presence'])
    .meta({ description: 'What to send' }),
  site: siteQuerySchema,
  machine: nameSchema
    .optional()
    .meta({ description: 'Readings of this machine alone; without it, of all machines of the tenant' }),
  metrics: commaListSchema(z.string().min(1).max(128), 50)
    .optional()
    .meta({ description: 'Readings of these metrics alone' }),
  lastEventId: z
    .string()
    .max(256)
    .optional()
    .meta({ description: 'As the header Last-Event-ID, for clients that cannot set it' }),
});

export const helloEventSchema = z
  .object({
    serverTimeMs: instantMsSchema,
    heartbeatMs: z
      .int()
      .meta({ description: 'Something comes at least this often; call the connection lost after twice that' }),
    topics: z.array(z.string()),
  })
  .meta({ id: 'HelloEvent', description: 'First on every connection' });

export const readingsEventSchema = z
  .object({
    atMs: instantMsSchema,
    machines: z.array(
      z.object({
        site: z.string(),
        machine: z.string(),
        tsMs: instantMsSchema.meta({ description: 'The device’s time of the values' }),
        receivedMs: instantMsSchema,
        operatingState: operatingStateSchema,
        metrics: z.record(z.string(), z.number()),
      }),
    ),
  })
  .meta({
    id: 'ReadingsEvent',
    description:
      'The newest reading of each machine that sent something since the last one: a sample, about one a second, not the record (see series)',
    examples: [
      {
        atMs: 1_795_222_801_000,
        machines: [
          {
            site: 'akron',
            machine: 'press-7',
            tsMs: 1_795_222_800_000,
            receivedMs: 1_795_222_800_020,
            operatingState: 'running',
            metrics: { velocity_rms: 2.31, temperature: 61.2 },
          },
        ],
      },
    ],
  });

export const alarmEventSchema = z
  .object({
    change: z
      .string()
      .meta({ description: 'The journal entry’s action', examples: ['raised', 'acknowledged', 'returned', 'shelved'] }),
    alarm: alarmSchema,
  })
  .meta({ id: 'AlarmEvent', description: 'An alarm after a change. Its event id goes into Last-Event-ID.' });

export const presenceEventSchema = z
  .object({
    device: z.string(),
    machines: z.array(z.object({ site: z.string(), machine: z.string() })),
    by: z
      .enum(['connection', 'status'])
      .meta({ description: 'Its connection, of all its machines; or the status topic of one machine' }),
    online: z.boolean(),
    atMs: instantMsSchema,
  })
  .meta({ id: 'PresenceEvent', description: 'A device, or a machine behind it, came or went' });

export const resyncEventSchema = z
  .object({ topic: z.literal('alarms'), reason: z.string() })
  .meta({ id: 'ResyncEvent', description: 'Changes were missed that cannot be sent again: read the list anew' });

export const goodbyeEventSchema = z
  .object({
    reason: z.enum(['slow-client', 'session-ended', 'shutting-down']),
    detail: z.string(),
    reconnectAfterMs: z.int().optional().meta({ description: 'Absent: do not come back by yourself' }),
  })
  .meta({ id: 'GoodbyeEvent', description: 'Last on a connection that the gateway ends' });

/** Event name -> schema of its data. */
export const SSE_EVENTS = {
  hello: helloEventSchema,
  readings: readingsEventSchema,
  alarm: alarmEventSchema,
  ledger: ledgerSchema,
  presence: presenceEventSchema,
  resync: resyncEventSchema,
  goodbye: goodbyeEventSchema,
} as const;

export type SseEventName = keyof typeof SSE_EVENTS;
export type SseEventData<Name extends SseEventName> = z.infer<(typeof SSE_EVENTS)[Name]>;
export type ReadingsEvent = z.infer<typeof readingsEventSchema>;
export type AlarmEvent = z.infer<typeof alarmEventSchema>;
