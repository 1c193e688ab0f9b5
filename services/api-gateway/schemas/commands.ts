import { z } from 'zod';
import { instantMsSchema } from './common.ts';

/** What the platform publishes on a machine's command topic, at most 128 KiB as JSON. */
export const commandPayloadSchema = z
  .object({
    id: z.string().meta({
      description: 'Unique; a command comes again with the same one until it is acknowledged by PUBACK: do it once',
    }),
    ts: z.string().meta({ description: 'When it was accepted, RFC 3339' }),
    expiresAt: z.string().meta({ description: 'It is not delivered after this, RFC 3339' }),
    command: z.record(z.string(), z.unknown()).meta({ description: 'As it was given to the API' }),
  })
  .meta({
    id: 'CommandPayload',
    examples: [
      {
        id: '0b4ce2a0-6c1f-4d0e-9d43-3c1f9a2a9a53',
        ts: '2026-11-21T01:00:00.000Z',
        expiresAt: '2026-11-21T01:05:00.000Z',
        command: { action: 'set-sample-rate', sampleRateHz: 25_600 },
      },
    ],
  });

export const sendCommandRequestSchema = z
  .strictObject({
    command: z
      .record(z.string(), z.unknown())
      .meta({ description: 'What the device is to do: any JSON object; 128 KiB at most with what goes along' }),
    expiresInS: z.int().min(1).max(86_400).default(300).meta({
      description: 'For how long a device that is away, or does not acknowledge, may still get it',
    }),
  })
  .meta({ id: 'SendCommand', examples: [{ command: { action: 'set-sample-rate', sampleRateHz: 25_600 } }] });

export const sentCommandSchema = z
  .object({
    id: z.string(),
    site: z.string(),
    machine: z.string(),
    topic: z
      .string()
      .meta({ description: 'Where a device gets it', examples: ['tribo/v1/demo/akron/press-7/command'] }),
    expiresMs: instantMsSchema,
  })
  .meta({ id: 'SentCommand', description: 'A command that is kept until a device acknowledges it, or it expires' });

export type SentCommand = z.infer<typeof sentCommandSchema>;
