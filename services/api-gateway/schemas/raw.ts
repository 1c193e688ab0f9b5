import { z } from 'zod';
import {
  instantMsSchema,
  instantQuerySchema,
  nameSchema,
  pageQuerySchema,
  pageSchema,
  siteQuerySchema,
} from './common.ts';

export const rawListQuerySchema = z.object({
  machine: nameSchema,
  site: siteQuerySchema,
  from: instantQuerySchema.optional().meta({ description: 'By when the platform accepted them; default: a day ago' }),
  to: instantQuerySchema.optional().meta({ description: 'The first instant that is left out; default: now' }),
  ...pageQuerySchema(500, 100),
});

export const rawMessageSchema = z
  .object({
    machine: z.string(),
    kind: z.enum(['telemetry', 'waveform']),
    eventId: z.string(),
    acceptedAtMs: instantMsSchema,
    imported: z.boolean(),
    payload: z.string().meta({
      description:
        'JSON of the message as it was admitted: without what was rejected, in the units that the machine declares; of a waveform where its samples are',
    }),
  })
  .meta({ id: 'RawMessage' });

export const rawListSchema = pageSchema(rawMessageSchema).meta({
  id: 'RawMessages',
  description: 'About in the order of acceptance; a page may be short, or empty, and not the last',
});

export type RawMessageView = z.infer<typeof rawMessageSchema>;
