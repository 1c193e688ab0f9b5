import { z } from 'zod';
import { telemetryMessageSchema } from './telemetry.ts';

/** What travels over MQTT (wire.md): documented here, and judged by the intake itself. */
export const telemetryPayloadSchema = z
  .union([telemetryMessageSchema, z.array(telemetryMessageSchema).min(1).max(1000)])
  .meta({ id: 'TelemetryPayload', description: 'One message, or an array of at most 1,000; 128 KiB at most' });

export const waveformPayloadSchema = z
  .object({
    id: z.string().max(128).optional(),
    ts: z
      .union([z.string(), z.number()])
      .meta({ description: 'Time of the first sample: RFC 3339, or epoch milliseconds' }),
    sampleRateHz: z.number().positive(),
    unit: z.string().meta({ description: 'UCUM code', examples: ['g'] }),
    encoding: z.enum(['f32le', 'i16le']),
    scale: z.number().optional().meta({ description: 'The unit of one count; needed for i16le' }),
    rpm: z.number().optional(),
    samples: z.string().meta({ description: 'Base64' }),
    part: z
      .int()
      .min(1)
      .max(64)
      .optional()
      .meta({ description: 'Of a waveform in parts, which all have the same id; from 1' }),
    parts: z.int().min(1).max(64).optional(),
  })
  .meta({
    id: 'WaveformPayload',
    examples: [
      {
        ts: '2026-11-21T01:00:00.000Z',
        sampleRateHz: 25_600,
        unit: 'g',
        encoding: 'i16le',
        scale: 0.002,
        rpm: 1797,
        samples: 'AAABAAIA',
      },
    ],
  });

export const statusPayloadSchema = z
  .object({ online: z.boolean() })
  .meta({ id: 'StatusPayload', description: 'As Last Will `{"online":false}`' });
