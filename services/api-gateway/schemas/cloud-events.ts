import { z } from 'zod';

/** Events that leave the platform: CloudEvents 1.0, structured JSON. One schema a type; the key is the type. */
function cloudEventSchema<Data extends z.ZodType>(id: string, type: string, data: Data, about: string) {
  return z
    .object({
      specversion: z.literal('1.0'),
      id: z
        .string()
        .meta({ description: 'Stable over attempts: drop what you have seen. Also in Idempotency-Key and webhook-id' }),
      source: z
        .string()
        .meta({ examples: ['/tenants/demo/devices/gw-1', '/tenants/demo/sites/akron/machines/press-7'] }),
      type: z.literal(type),
      subject: z.string(),
      time: z.iso.datetime(),
      datacontenttype: z.literal('application/json'),
      data,
    })
    .meta({ id, description: about });
}

const machineShape = { tenant: z.string(), site: z.string(), machine: z.string() };

const alarmData = z.object({
  change: z.string(),
  tenant: z.string(),
  site: z.string(),
  page: z.string().optional().meta({ description: 'Where the machine is shown' }),
  alarm: z.record(z.string(), z.unknown()).meta({ description: 'The alarm with its parts, values and reasons' }),
  partsLeftOut: z.int().optional(),
  by: z.string().optional(),
  comment: z.string().optional(),
});

const deviceData = z.object({
  change: z.enum(['online', 'offline']),
  tenant: z.string(),
  device: z.string(),
  by: z.enum(['connection', 'status', 'restart']).meta({
    description:
      'Its connection, of all its machines; its status topic, of one machine, while it stays connected; or that it did not come back after a restart of the platform',
  }),
  machines: z.array(z.object({ site: z.string(), machine: z.string() })).meta({ description: 'At most 100' }),
  machinesLeftOut: z.int().optional(),
});

const predictionData = z.object({
  ...machineShape,
  sensor: z.string(),
  verdict: z.enum(['healthy', 'degraded', 'alarm']),
  before: z.enum(['healthy', 'degraded', 'alarm']).optional().meta({ description: 'The verdict that was told before' }),
  values: z.record(z.string(), z.number()),
  model: z.object({ name: z.string(), version: z.int(), sha256: z.string() }).optional(),
  threshold: z.number().optional(),
  contributions: z.array(z.object({ feature: z.string(), z: z.number(), ratio: z.number().optional() })).optional(),
  waveformId: z.string().optional(),
});

const ALARM_CALLS = 'An alarm that calls for attention';
const ON_REQUEST = 'on request (alarm-change in TRIBO_WEBHOOK_EVENTS)';
const PRESENCE =
  'told once it has lasted (TRIBO_PRESENCE_SETTLE_MS); of a device that comes and goes ever later, about six times an hour at most';

/** What is posted to the webhook, by message name. */
export const CLOUD_EVENTS = {
  alarmRaised: cloudEventSchema('AlarmRaised', 'io.tribo.alarm.raised', alarmData, `${ALARM_CALLS}, or calls again`),
  alarmChanged: cloudEventSchema('AlarmChanged', 'io.tribo.alarm.changed', alarmData, `${ALARM_CALLS} after a change`),
  alarmUnsilenced: cloudEventSchema(
    'AlarmUnsilenced',
    'io.tribo.alarm.unsilenced',
    alarmData,
    `${ALARM_CALLS} again after silence`,
  ),
  alarmAcknowledged: cloudEventSchema(
    'AlarmAcknowledged',
    'io.tribo.alarm.acknowledged',
    alarmData,
    `Somebody acknowledged an alarm; ${ON_REQUEST}`,
  ),
  alarmReturned: cloudEventSchema(
    'AlarmReturned',
    'io.tribo.alarm.returned',
    alarmData,
    `An alarm's conditions are normal again, before it was acknowledged; ${ON_REQUEST}`,
  ),
  alarmCleared: cloudEventSchema(
    'AlarmCleared',
    'io.tribo.alarm.cleared',
    alarmData,
    `An alarm is over; ${ON_REQUEST}`,
  ),
  alarmSilenced: cloudEventSchema(
    'AlarmSilenced',
    'io.tribo.alarm.silenced',
    alarmData,
    `An alarm was shelved, suppressed or taken out of service; ${ON_REQUEST}`,
  ),
  deviceOnline: cloudEventSchema(
    'DeviceOnline',
    'io.tribo.device.online',
    deviceData,
    `A device is connected; ${PRESENCE}`,
  ),
  deviceOffline: cloudEventSchema(
    'DeviceOffline',
    'io.tribo.device.offline',
    deviceData,
    `A device is away; ${PRESENCE}`,
  ),
  predictionMade: cloudEventSchema(
    'PredictionMade',
    'io.tribo.prediction.made',
    predictionData,
    'The model judges a sensor otherwise than before: on request (TRIBO_WEBHOOK_EVENTS), at most once a minute a sensor, and not for imported data',
  ),
} as const;
