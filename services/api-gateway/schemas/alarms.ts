import { z } from 'zod';
import { ALARM_STATES } from '#core/domain/alarm.ts';
import { ALARM_PRIORITIES } from '#core/domain/rule.ts';
import {
  commaListSchema,
  instantMsSchema,
  instantQuerySchema,
  nameSchema,
  pageQuerySchema,
  pageSchema,
  siteQuerySchema,
} from './common.ts';

/** The states of ISA-18.2 / IEC 62682. */
export const alarmStateSchema = z.enum(ALARM_STATES).meta({
  id: 'AlarmState',
  description: 'rtn is "return to normal": the condition went before anybody acknowledged it',
});

export const alarmPrioritySchema = z.enum(ALARM_PRIORITIES).meta({ id: 'AlarmPriority' });

export const alarmPartSchema = z
  .object({
    kind: z.enum(['threshold', 'missing-data', 'iso-zone', 'iso-baseline', 'feature', 'model-score']),
    source: z
      .object({ kind: z.enum(['rule', 'model']), id: z.string(), version: z.union([z.int(), z.string()]) })
      .meta({ description: 'What judged' }),
    title: z.string(),
    message: z.string().meta({ examples: ['velocity_rms 7.4 mm/s is above 7.1 mm/s'] }),
    consequence: z.string().meta({ description: 'What happens when nobody acts' }),
    response: z.string().meta({ description: 'What the operator does' }),
    priority: alarmPrioritySchema,
    active: z.boolean(),
    occurrences: z.int().meta({ description: 'How often its condition came' }),
    metric: z.string().optional(),
    sensor: z.string().optional(),
    value: z.number().optional(),
    limit: z.number().optional(),
    unit: z.string().optional(),
    baseline: z.number().optional().meta({ description: 'What it was compared with, where the limit is relative' }),
    baselineFromMs: instantMsSchema
      .optional()
      .meta({ description: 'Of the first data that the baseline was taken from' }),
    baselineToMs: instantMsSchema.optional().meta({ description: 'Of the last' }),
    boundary: z
      .number()
      .optional()
      .meta({ description: 'Between the zones B and C of ISO 20816-3, in mm/s, where the limit depends on it' }),
    zone: z.string().optional().meta({ description: 'ISO 20816-3' }),
    basis: z
      .string()
      .optional()
      .meta({ description: 'The standard, and what it assumes of the machine, where the limit is a standard’s' }),
    fromMs: instantMsSchema.meta({ description: 'When the condition began' }),
    toMs: instantMsSchema.meta({ description: 'When it was decided' }),
    waveformId: z.string().optional().meta({ description: 'See /v1/waveforms/{id}/spectrum' }),
    documentId: z.string().optional(),
  })
  .meta({ id: 'AlarmPart', description: 'One reason for the alarm: what judged, the values and the window' });

export const alarmSchema = z
  .object({
    id: z.string(),
    site: z.string(),
    machine: z.string(),
    title: z.string(),
    consequence: z.string(),
    response: z.string(),
    priority: alarmPrioritySchema,
    severity: z.int().meta({ description: 'OPC UA Part 9: 1 to 1000' }),
    state: alarmStateSchema,
    active: z.boolean().meta({ description: 'The condition holds now' }),
    acknowledged: z.boolean(),
    replayed: z.boolean().meta({ description: 'Raised by an import that was judged in its own time' }),
    raisedMs: instantMsSchema,
    changedMs: instantMsSchema,
    returnedMs: instantMsSchema.optional(),
    acknowledgedBy: z.string().optional(),
    acknowledgedMs: instantMsSchema.optional(),
    comment: z.string().optional().meta({ description: 'What was said at the last acknowledgement' }),
    shelvedUntilMs: instantMsSchema.optional(),
    parts: z
      .array(alarmPartSchema)
      .meta({ description: 'Why: anomalies of one machine in one window are one alarm with its parts' }),
    version: z.int().meta({ description: 'Journal entries so far; also the ETag' }),
  })
  .meta({ id: 'Alarm' });

export const alarmListQuerySchema = z.object({
  site: siteQuerySchema,
  machine: nameSchema.optional(),
  state: commaListSchema(alarmStateSchema, 8).optional().meta({ description: 'By default all but normal' }),
  from: instantQuerySchema.optional().meta({ description: 'Raised at or after' }),
  to: instantQuerySchema.optional().meta({ description: 'Raised before' }),
  ...pageQuerySchema(500, 100),
});

export const alarmListSchema = pageSchema(alarmSchema).meta({ id: 'AlarmList', description: 'Newest first' });
export const alarmAddressSchema = z.object({ id: z.string().min(1).max(256) });

export const journalEntrySchema = z
  .object({
    sequence: z.int(),
    action: z.string().meta({ examples: ['raised', 'acknowledged', 'returned'] }),
    atMs: instantMsSchema.meta({ description: 'When it was written down' }),
    ofMs: instantMsSchema.meta({ description: 'When it happened: of a condition, by the time of the data' }),
    by: z.string().meta({ description: 'A person, or the rule or model' }),
    comment: z.string().optional(),
    stateAfter: alarmStateSchema,
  })
  .meta({ id: 'JournalEntry' });

export const alarmJournalPageQuerySchema = z.object(pageQuerySchema(1000, 500));

export const alarmJournalSchema = pageSchema(journalEntrySchema).meta({
  id: 'AlarmJournal',
  description: 'Append-only, oldest first; the alarm’s state is its fold',
});

export const alarmFiguresQuerySchema = z.object({
  site: siteQuerySchema.meta({ description: 'Of this site alone; by default of all sites as one operating position' }),
  from: instantQuerySchema.optional().meta({ description: 'By default a day before `to`; at most 31 days ago' }),
  to: instantQuerySchema.optional().meta({ description: 'By default now' }),
});

export const alarmFiguresSchema = z
  .object({
    fromMs: instantMsSchema.meta({ description: 'Later than asked for where more was recorded than is kept in mind' }),
    toMs: instantMsSchema,
    calls: z.int().meta({ description: 'Times that an alarm called for attention' }),
    callsPerDay: z.number().meta({ description: 'About 150 is manageable for one operator, 300 the most' }),
    callsPerHour: z.number().meta({ description: 'About 6, at most 12' }),
    callsPerTenMinutes: z.number().meta({ description: 'About 1, at most 2' }),
    mostInTenMinutes: z.int(),
    floodShare: z
      .number()
      .meta({ description: 'Part of the ten-minute intervals with more than 10 calls, 0 to 1; under 0.01 is good' }),
    chattering: z
      .array(z.object({ site: z.string(), machine: z.string(), condition: z.string(), times: z.int() }))
      .meta({ description: 'Conditions that came at least three times within a minute, worst first, at most 50' }),
    stale: z.int().meta({ description: 'Alarms active for more than a day and still active now; under 5 is good' }),
    shares: z
      .record(alarmPrioritySchema, z.number())
      .meta({ description: 'Part of the calls by priority: about 0.8 low and medium, 0.15 high, 0.05 critical' }),
  })
  .meta({ id: 'AlarmFigures', description: 'The figures by which ISA-18.2 / IEC 62682 judge an alarm system' });

const comment = z.string().max(1000).default('').meta({ description: 'Why; kept in the journal' });

const SEEN = 'say what you saw: an acknowledgement is kept with who and why';

export const acknowledgeRequestSchema = z
  .strictObject({
    comment: z
      .string({ error: SEEN })
      .trim()
      .min(1, SEEN)
      .max(1000)
      .meta({ description: 'What was seen; kept in the journal' }),
  })
  .meta({ id: 'AcknowledgeRequest', examples: [{ comment: 'seen, greased' }] });
export const alarmCommentRequestSchema = z.strictObject({ comment }).meta({ id: 'AlarmComment' });
export const shelveRequestSchema = z
  .strictObject({
    comment,
    forMinutes: z
      .number()
      .positive()
      .max(10_080)
      .optional()
      .meta({ description: 'Timed shelving; without it, until the alarm next returns to normal (one-shot)' }),
  })
  .meta({ id: 'ShelveRequest', examples: [{ forMinutes: 60, comment: 'sensor is being replaced' }] });

export type AlarmFiguresView = z.infer<typeof alarmFiguresSchema>;
export type AlarmView = z.infer<typeof alarmSchema>;
export type AlarmPartView = z.infer<typeof alarmPartSchema>;
export type JournalEntryView = z.infer<typeof journalEntrySchema>;
