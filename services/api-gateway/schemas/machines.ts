import { z } from 'zod';
import { MACHINE_EVENT_KINDS } from '#core/domain/machine-history.ts';
import { describedMachineSchema, machineSchema, plantSchema as describedPlantSchema } from '#core/domain/plant.ts';
import { alarmPrioritySchema } from './alarms.ts';
import {
  commaListSchema,
  instantMsSchema,
  instantQuerySchema,
  nameSchema,
  pageQuerySchema,
  pageSchema,
  siteQuerySchema,
} from './common.ts';

export const machineDescriptionSchema = describedMachineSchema.meta({
  id: 'Machine',
  examples: [
    {
      id: 'press-7',
      name: 'Moulding press 7',
      class: 'press',
      powerKw: 75,
      nominalRpm: 1480,
      support: 'rigid',
      bearings: [
        { id: 'drive-end', designation: '6205', elements: 9, elementDiameterMm: 7.94, pitchDiameterMm: 39.04 },
      ],
      sensors: [{ id: 'acc-de', kind: 'acceleration', unit: 'g', sampleRateHz: 25_600, bearing: 'drive-end' }],
      metrics: [{ name: 'velocity_rms', unit: 'mm/s' }],
      operatingState: { from: 'threshold', metric: 'rpm', runningAbove: 100 },
    },
  ],
});

export const operatingStateSchema = z.enum(['running', 'stopped', 'maintenance', 'unknown']).meta({
  id: 'OperatingState',
  description:
    'maintenance: noted in the machine’s history, or told by its tag. unknown: nothing that tells it has been received since the platform started',
});

export const healthSchema = z
  .object({
    status: z.enum(['critical', 'warning', 'ok', 'unknown']).meta({
      description:
        'The worst open alarm decides; unknown: no data, or older than the machine’s staleness limit. Never guessed.',
    }),
    reasons: z
      .array(z.string())
      .meta({ description: 'Why, worst first, at most 3', examples: [['Bearing outer race energy above limit']] }),
    sinceMs: instantMsSchema
      .optional()
      .meta({ description: 'Since when: the worst alarm was raised, or the last data received' }),
    action: z.string().optional().meta({ description: 'What to do about the worst of it' }),
  })
  .meta({ id: 'Health' });

export const openAlarmsSchema = z
  .object({
    total: z.int(),
    unacknowledged: z.int(),
    highestPriority: alarmPrioritySchema.optional(),
  })
  .meta({ id: 'OpenAlarms' });

export const liveValueSchema = z
  .object({
    metric: z.string(),
    value: z.number(),
    unit: z.string().optional(),
    quality: z.enum(['good', 'uncertain', 'bad']),
    tsMs: instantMsSchema,
  })
  .meta({ id: 'LiveValue' });

export const fleetMachineSchema = z
  .object({
    site: z.string(),
    machine: z.string(),
    name: z.string().optional(),
    class: machineSchema.shape.class,
    area: z.string().optional(),
    line: z.string().optional(),
    health: healthSchema,
    operatingState: operatingStateSchema,
    lastSeenMs: instantMsSchema.optional().meta({ description: 'When its newest data was received; absent: never' }),
    stale: z.boolean().meta({ description: 'Nothing received for longer than the limit, or ever' }),
    openAlarms: openAlarmsSchema,
  })
  .meta({
    id: 'FleetMachine',
    examples: [
      {
        site: 'akron',
        machine: 'press-7',
        name: 'Moulding press 7',
        class: 'press',
        line: 'line-2',
        health: {
          status: 'warning',
          reasons: ['Velocity RMS in ISO zone C'],
          sinceMs: 1_795_219_200_000,
          action: 'Plan an inspection of balance and alignment.',
        },
        operatingState: 'running',
        lastSeenMs: 1_795_222_800_000,
        stale: false,
        openAlarms: { total: 1, unacknowledged: 1, highestPriority: 'high' },
      },
    ],
  });

export const fleetQuerySchema = z.object({
  site: siteQuerySchema,
  status: z.enum(['critical', 'warning', 'ok', 'unknown']).optional(),
  search: z.string().max(64).optional().meta({ description: 'Part of the id, name, line or area, in any case' }),
  ...pageQuerySchema(500, 100),
});

export const fleetSchema = pageSchema(fleetMachineSchema)
  .extend({
    totals: z
      .object({ machines: z.int(), critical: z.int(), warning: z.int(), ok: z.int(), unknown: z.int(), stale: z.int() })
      .meta({ description: 'Over all machines that the query matches, not only this page' }),
    refreshedMs: instantMsSchema.meta({ description: 'How old this summary is: refreshed about once a second' }),
  })
  .meta({ id: 'Fleet', description: 'Worst first' });

export const machineAddressSchema = z.object({ machine: nameSchema });
export const machineSiteQuerySchema = z.object({ site: siteQuerySchema });

export const maintenanceSchema = z
  .object({
    fromMs: instantMsSchema,
    untilMs: instantMsSchema,
    endNoted: z.boolean().meta({ description: 'false: no end was noted yet, and it ends by itself at `untilMs`' }),
    by: z.string(),
    text: z.string(),
  })
  .meta({ id: 'Maintenance' });

export const unjudgedReadingSchema = z
  .object({
    rule: z.string(),
    metric: z.string(),
    readingUnit: z.string().meta({ description: 'As it was sent, else the catalogue’s', examples: ['C'] }),
    ruleUnit: z.string().meta({ examples: ['Cel'] }),
  })
  .meta({ id: 'UnjudgedReading' });

export const machineDeviceSchema = z
  .object({
    id: z.string(),
    online: z.boolean(),
    sinceMs: instantMsSchema.meta({ description: 'Since when it is so' }),
    by: z.enum(['connection', 'status']).meta({
      description: 'Known by its connection, or by what the device, while connected, said of this machine',
    }),
  })
  .meta({ id: 'MachineDevice' });

export const learningSchema = z
  .object({
    by: z.enum(['rule', 'model']),
    id: z.string().meta({ description: 'Of the rule; `health` for the model', examples: ['iso-above-baseline'] }),
    sensor: z.string().optional(),
    metric: z.string().optional(),
    learnt: z.int().optional().meta({ description: 'Values so far, of those that are `needed`' }),
    needed: z.int().optional(),
    sinceMs: instantMsSchema.optional().meta({ description: 'Of the first of them; absent: none yet' }),
    detail: z
      .string()
      .optional()
      .meta({ description: 'Why it does not get on, or how far a model is; absent while values come' }),
  })
  .meta({ id: 'Learning' });

export const machineDetailSchema = z
  .object({
    ...fleetMachineSchema.shape,
    revision: z.int().meta({ description: 'Of the description; also the ETag' }),
    description: machineDescriptionSchema,
    latest: z.array(liveValueSchema).meta({ description: 'The newest value of each metric, by name' }),
    unjudged: z.array(unjudgedReadingSchema).optional().meta({
      description:
        'The first 20 rules that do not judge a newest value, as its unit does not convert to the rule’s: send the unit’s UCUM code, or change the rule. Absent while the rules cannot be read',
    }),
    operatingStateProblem: z
      .string()
      .optional()
      .meta({
        description: 'Why the newest reading that should tell the operating state does not',
        examples: ['the reading rpm = 25 rev is left out: rev does not convert to /min'],
      }),
    devices: z
      .array(machineDeviceSchema)
      .meta({ description: 'Devices that speak for it and have connected by MQTT, by id' }),
    learning: z.array(learningSchema).optional().meta({
      description:
        'Rules and models that do not judge it yet, as they learn what is normal for it; absent where that is not to be had now',
    }),
    maintenance: maintenanceSchema.optional().meta({ description: 'That is under way by the machine’s history' }),
  })
  .meta({ id: 'MachineDetail' });

export const registeredMachineSchema = z
  .object({ site: z.string(), machine: z.string(), revision: z.int(), description: machineDescriptionSchema })
  .meta({ id: 'RegisteredMachine' });

export const plantQuerySchema = z.object({ site: nameSchema });

export const plantSchema = z
  .object({ site: z.string(), machines: z.array(machineDescriptionSchema) })
  .meta({ id: 'SitePlant', description: 'All machines of a site, in order of id' });

export const putPlantRequestSchema = describedPlantSchema
  .omit({ tenant: true })
  .extend({ tenant: nameSchema.optional().meta({ description: 'Where given, it must be your own' }) })
  .superRefine(({ machines }, context) => {
    const seen = new Set<string>();
    for (const [index, { id }] of machines.entries()) {
      if (seen.has(id))
        context.addIssue({ code: 'custom', path: ['machines', index, 'id'], message: `${id} is there twice` });
      seen.add(id);
    }
  })
  .meta({ id: 'Plant', description: 'Creates or replaces the machines it names; others are left alone' });

export const putPlantResponseSchema = z
  .object({ site: z.string(), machines: z.array(z.object({ machine: z.string(), revision: z.int() })) })
  .meta({ id: 'PlantResult' });

export const quarantinedMachineSchema = z
  .object({
    site: z.string(),
    machine: z.string(),
    device: z.string().meta({ description: 'Who sent for it' }),
    messages: z.int(),
    firstMs: instantMsSchema,
    lastMs: instantMsSchema,
    sample: z.string().meta({ description: 'Up to 1 KiB of what it sent last' }),
  })
  .meta({ id: 'QuarantinedMachine' });

export const quarantineListQuerySchema = z.object(pageQuerySchema(500, 100));
export const quarantineSchema = pageSchema(quarantinedMachineSchema).meta({
  id: 'Quarantine',
  description: 'Latest sighting first',
});

export const quarantineAddressSchema = z.object({ site: nameSchema, machine: nameSchema });

export const adoptRequestSchema = z
  .strictObject({
    name: z.string().max(120).optional(),
    class: machineSchema.shape.class.default('other'),
  })
  .meta({
    id: 'AdoptRequest',
    description: 'Makes a machine of what was quarantined; the rest of its description can follow by PUT',
  });

export const machineEventSchema = z
  .object({
    id: z.string(),
    kind: z.enum(MACHINE_EVENT_KINDS),
    atMs: instantMsSchema,
    by: z.string(),
    text: z.string(),
    remark: z
      .string()
      .optional()
      .meta({
        description: 'What there is to know of an event that did not do what its kind says',
        examples: ['No maintenance was under way then: it changes nothing unless a start before it is noted.'],
      }),
  })
  .meta({ id: 'MachineEvent' });

export const machineEventsQuerySchema = z.object({ ...machineSiteQuerySchema.shape, ...pageQuerySchema(500, 500) });
export const machineEventsSchema = pageSchema(machineEventSchema).meta({ id: 'MachineEvents' });

export const addMachineEventRequestSchema = z
  .strictObject({
    kind: machineEventSchema.shape.kind,
    atMs: instantMsSchema.optional().meta({ description: 'Absent: now' }),
    text: z.string().max(2000).default(''),
  })
  .meta({
    id: 'AddMachineEvent',
    description:
      'From a maintenance-start to the next maintenance-end, which may lie ahead, the machine is neither judged nor learned from. Without an end it is over after 24 hours; an end counts for 7 days after the newest start.',
    examples: [{ kind: 'bearing-change', text: 'drive end, 6205 by 6205-C3' }],
  });

export const seriesQuerySchema = z.object({
  site: siteQuerySchema,
  metric: z.string().min(1).max(128),
  unit: z
    .string()
    .min(1)
    .max(32)
    .optional()
    .meta({
      description: 'Of the points; by default the catalogue’s, else the newest that was sent',
      examples: ['mm/s'],
    }),
  from: instantQuerySchema,
  to: instantQuerySchema,
  step: z
    .string()
    .regex(/^\d{1,12}(ms|s|m|h|d)?$/, 'must be milliseconds, or a number with ms, s, m, h or d, such as 1m')
    .default('0')
    .meta({ description: 'Bucket width: milliseconds, or with ms, s, m, h, d; 0 gives raw points', examples: ['1m'] }),
  aggregate: commaListSchema(z.enum(['mean', 'min', 'max', 'count']), 4)
    .optional()
    .meta({ description: 'Of mean, min, max, count; by default mean, min and max. Without effect on raw points' }),
  limit: z.coerce.number().int().min(1).max(200_000).default(10_000).meta({ description: 'Points at most' }),
});

export const seriesSchema = z
  .object({
    site: z.string(),
    machine: z.string(),
    metric: z.string(),
    unit: z.string().optional().meta({ description: 'Of the points; absent where nobody said one' }),
    leftOut: z.array(z.string().nullable()).meta({
      description:
        'Units of values that are not among the points, as they do not convert to `unit`; null: sent without one',
    }),
    source: z.enum(['raw', '1m', '1h', 'mixed']).meta({ description: 'The tier that answered' }),
    stepMs: z.number(),
    fromMs: instantMsSchema,
    toMs: instantMsSchema,
    truncated: z.boolean().meta({ description: 'There were more points than `limit`' }),
    ts: z.array(instantMsSchema).meta({ description: 'Ascending; the start of each bucket' }),
    columns: z
      .record(z.string(), z.array(z.number()))
      .meta({ description: 'One column an aggregate, each as long as `ts`; `value` for raw points' }),
  })
  .meta({
    id: 'Series',
    examples: [
      {
        site: 'akron',
        machine: 'press-7',
        metric: 'velocity_rms',
        unit: 'mm/s',
        leftOut: [],
        source: '1m',
        stepMs: 60_000,
        fromMs: 1_795_222_800_000,
        toMs: 1_795_222_920_000,
        truncated: false,
        ts: [1_795_222_800_000, 1_795_222_860_000],
        columns: { mean: [2.31, 2.33], min: [2.2, 2.21], max: [2.4, 2.5] },
      },
    ],
  });

export type FleetMachine = z.infer<typeof fleetMachineSchema>;
export type Fleet = z.infer<typeof fleetSchema>;
export type Health = z.infer<typeof healthSchema>;
export type LiveValue = z.infer<typeof liveValueSchema>;
export type LearningView = z.infer<typeof learningSchema>;
export type MachineDetail = z.infer<typeof machineDetailSchema>;
export type QuarantinedMachineView = z.infer<typeof quarantinedMachineSchema>;
export type MachineEventView = z.infer<typeof machineEventSchema>;
export type Series = z.infer<typeof seriesSchema>;
