import { z } from 'zod';
import { instantMsSchema, pageQuerySchema, pageSchema } from './common.ts';

export const ledgerStageSchema = z
  .object({
    stream: z.enum(['metrics', 'raw-waveform']),
    accepted: z.int().meta({ description: 'Items ever made durable on the stream' }),
    pending: z.int().meta({ description: 'Items between the last settled event and the head' }),
  })
  .meta({ id: 'LedgerStage' });

export const ledgerSchema = z
  .object({
    tenant: z.string(),
    accepted: z.int().meta({
      description:
        'Items ever acknowledged as durable. On a stream that only its publishers count (Kinesis, Pub/Sub) those of the last second before a publisher was killed are missing here and in pending until they are settled.',
    }),
    stored: z.int(),
    duplicate: z.int(),
    rejected: z.int(),
    deadLettered: z.int(),
    pending: z.int(),
    exact: z.boolean().meta({
      description:
        'accepted = stored + duplicate + rejected + deadLettered + pending, and nothing is lost. false is a defect of the platform.',
    }),
    lost: z.int().meta({
      description:
        'Events that were published and never came to be settled, by the gaps in their numbers. Of which tenants they were is not known, so each sees all; above 0 is an alarm.',
    }),
    refused: z.int().meta({
      description: 'Items or requests that were never acknowledged, since the process started: outside the sum',
    }),
    imported: z.int().meta({
      description:
        'Of accepted, what another site had settled before its history was moved here; 0 where none was. In no stage.',
    }),
    conflicts: z.int().meta({ description: 'Same metric and time, another value; both are stored' }),
    stages: z.array(ledgerStageSchema),
    atMs: instantMsSchema,
  })
  .meta({
    id: 'Ledger',
    examples: [
      {
        tenant: 'demo',
        accepted: 12_000,
        stored: 11_900,
        duplicate: 10,
        rejected: 40,
        deadLettered: 0,
        pending: 50,
        exact: true,
        lost: 0,
        refused: 3,
        imported: 0,
        conflicts: 0,
        stages: [
          { stream: 'metrics', accepted: 11_990, pending: 50 },
          { stream: 'raw-waveform', accepted: 10, pending: 0 },
        ],
        atMs: 1_795_222_800_000,
      },
    ],
  });

export const lostPageQuerySchema = z.object(pageQuerySchema(500, 100));

export const deadLetterSchema = z
  .object({
    id: z.string(),
    stage: z.enum(['store', 'features', 'inference', 'alerting', 'notification']).meta({
      description: 'What could not process it; notification: a notifier that could not be told of an alarm',
    }),
    site: z.string(),
    machine: z.string(),
    stream: z.string(),
    destination: z.string().optional().meta({ description: 'The notifier' }),
    eventId: z.string(),
    kind: z.string(),
    items: z.int().meta({ description: 'Of the ledger’s sum; 0 for what a derived stage or a notifier could not do' }),
    code: z.string(),
    detail: z.string(),
    atMs: instantMsSchema,
  })
  .meta({ id: 'DeadLetter' });

export const deadLettersSchema = pageSchema(deadLetterSchema).meta({ id: 'DeadLetters' });

export const deadLetterAddressSchema = z.object({ id: z.string().min(1).max(256) });

export const deadLetterDetailSchema = z
  .object({
    ...deadLetterSchema.shape,
    acceptedAtMs: instantMsSchema,
    payload: z.string().meta({ description: 'The payload as text, the first 64 KiB' }),
    payloadBytes: z.int(),
  })
  .meta({ id: 'DeadLetterDetail' });

export const replayResultSchema = z
  .object({
    id: z.string(),
    outcome: z.enum(['stored', 'duplicate', 'rejected', 'deadLettered', 'published', 'judged', 'queued']).meta({
      description:
        'Where its items are now; published: what the stage made of it, or the event itself, is on the stream; judged: by the rules, detail says where no alarm can come of it any more; queued: the notifier tries again',
    }),
    stream: z.string().optional().meta({ description: 'Where it was published' }),
    detail: z.string().optional(),
  })
  .meta({ id: 'ReplayResult' });

export const rejectionSchema = z
  .object({
    id: z.string(),
    site: z.string(),
    machine: z.string(),
    eventId: z.string(),
    code: z.string(),
    pointer: z.string(),
    detail: z.string(),
    atMs: instantMsSchema,
  })
  .meta({ id: 'Rejection' });

export const rejectionsSchema = pageSchema(rejectionSchema).meta({ id: 'Rejections', description: 'Newest first' });

export type LedgerView = z.infer<typeof ledgerSchema>;
export type DeadLetterView = z.infer<typeof deadLetterSchema>;
export type DeadLetterDetail = z.infer<typeof deadLetterDetailSchema>;
export type RejectionView = z.infer<typeof rejectionSchema>;
export type ReplayResult = z.infer<typeof replayResultSchema>;
