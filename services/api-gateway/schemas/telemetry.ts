import { z } from 'zod';
import { flagQuerySchema, instantMsSchema, nameSchema } from './common.ts';

export const metricReadingSchema = z
  .union([
    z.number(),
    z.object({
      value: z.number(),
      unit: z
        .string()
        .max(32)
        .optional()
        .meta({ description: 'UCUM code; absent: the machine’s metric catalogue decides', examples: ['mm/s'] }),
      quality: z.enum(['good', 'uncertain', 'bad']).optional(),
    }),
  ])
  .meta({ id: 'MetricReading', description: 'A finite number, or an object with its unit and quality' });

export const telemetryMessageSchema = z
  .object({
    id: z
      .string()
      .max(128)
      .optional()
      .meta({ description: 'Unique within the machine; assigned when absent. The same id twice is stored once.' }),
    ts: z
      .union([z.string(), z.number()])
      .meta({ description: 'RFC 3339, or epoch milliseconds', examples: ['2026-11-21T01:00:00.000Z'] }),
    metrics: z.record(z.string(), metricReadingSchema).meta({ description: 'Values by metric name' }),
  })
  .meta({
    id: 'TelemetryMessage',
    description: 'A message with one bad metric keeps its good ones; the bad one is rejected by name with a reason.',
    examples: [{ ts: '2026-11-21T01:00:00.000Z', metrics: { velocity_rms: 2.31, temperature: 61.2, rpm: 1797 } }],
  });

/**
 * `POST /v1/telemetry` as JSON. The gateway checks the envelope only; messages are judged one by one, as those of a device are, and what is
 * wrong with one is told in the receipt. As NDJSON (`application/x-ndjson`) each line is a message, with `site` and `machine` in the line or
 * in the query.
 */
export const telemetryRequestSchema = z
  .strictObject({
    site: nameSchema,
    machine: nameSchema,
    messages: z.array(z.unknown()).min(1).max(10_000).meta({ description: 'Each a TelemetryMessage' }),
  })
  .meta({
    id: 'TelemetryRequest',
    examples: [
      {
        site: 'akron',
        machine: 'press-7',
        messages: [{ ts: '2026-11-21T01:00:00.000Z', metrics: { velocity_rms: 2.31, temperature: 61.2, rpm: 1797 } }],
      },
    ],
  });

export const telemetryQuerySchema = z.object({
  site: nameSchema.optional().meta({ description: 'NDJSON: the site of lines that do not name one' }),
  machine: nameSchema.optional().meta({ description: 'NDJSON: the machine of lines that do not name one' }),
  import: flagQuerySchema.optional().meta({
    description:
      'true: old data on purpose. Any age is accepted, and none of it raises a live alarm. Needs the role engineer or ingest.',
  }),
});

export const intakeReceiptSchema = z
  .object({
    accepted: z.int().meta({ description: 'Items (metric values or waveforms) that are durable now' }),
    duplicate: z.int().meta({ description: 'Items that were accepted before' }),
    rejected: z
      .array(
        z.object({
          code: z.string().meta({ examples: ['not_finite'] }),
          pointer: z.string().meta({
            description: 'JSON pointer into the body; for NDJSON `/<line from 0>/...`',
            examples: ['/messages/0/metrics/temperature'],
          }),
          detail: z.string(),
        }),
      )
      .meta({ description: 'Items that will not be stored, each with the reason; the first 1,000' }),
    rejectedItems: z.int().meta({ description: 'How many items were rejected' }),
  })
  .meta({ id: 'IntakeReceipt', examples: [{ accepted: 3, duplicate: 0, rejected: [], rejectedItems: 0 }] });

export const waveformQuerySchema = z.object({
  site: nameSchema,
  machine: nameSchema,
  sensor: nameSchema,
  sampleRateHz: z.coerce
    .number()
    .positive()
    .meta({ examples: [25600] }),
  unit: z
    .string()
    .min(1)
    .max(32)
    .meta({ description: 'UCUM code', examples: ['g'] }),
  encoding: z.enum(['f32le', 'i16le']),
  ts: z.string().max(40).meta({ description: 'Time of the first sample: RFC 3339, or epoch milliseconds' }),
  id: z.string().max(128).optional(),
  scale: z.coerce.number().optional().meta({ description: 'What a sample is multiplied by to give the unit' }),
  rpm: z.coerce.number().optional(),
  import: flagQuerySchema.optional(),
});

export const waveformAddressSchema = z.object({ id: z.string().min(1).max(256) });

export const waveformMetadataSchema = z
  .object({
    id: z.string(),
    site: z.string(),
    machine: z.string(),
    sensor: z.string(),
    tsMs: instantMsSchema,
    sampleRateHz: z.number(),
    sampleCount: z.int(),
    durationMs: z.number(),
    unit: z.string(),
    encoding: z.enum(['f32le', 'i16le']),
    scale: z.number(),
    rpm: z.number().optional(),
    sha256: z.string().meta({ description: 'Of the samples as they were sent' }),
  })
  .meta({ id: 'WaveformMetadata' });

export type IntakeReceiptView = z.infer<typeof intakeReceiptSchema>;
export type WaveformMetadata = z.infer<typeof waveformMetadataSchema>;
