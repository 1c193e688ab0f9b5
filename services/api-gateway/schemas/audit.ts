import { z } from 'zod';
import { instantMsSchema, instantQuerySchema, pageQuerySchema, pageSchema } from './common.ts';

const text = z.string().min(1).max(200).optional();

export const auditListQuerySchema = z.object({
  from: instantQuerySchema.optional(),
  to: instantQuerySchema.optional(),
  actor: text.meta({ description: 'Who made the change', examples: ['maria'] }),
  action: text.meta({ description: 'What was done', examples: ['device.disable'] }),
  target: text.meta({ description: 'To which device, rule, alarm, ...', examples: ['press-7'] }),
  ...pageQuerySchema(500, 100),
});

const summary = z.record(z.string(), z.unknown()).optional();

export const auditEntrySchema = z
  .object({
    id: z.number(),
    atMs: instantMsSchema,
    actor: z.string(),
    action: z.string(),
    target: z.string(),
    outcome: z.enum(['done', 'refused', 'unknown']).meta({
      description: 'unknown: it is being made, or failed or was cut off, so that nobody knows whether it was made',
    }),
    reason: z.string().optional().meta({ description: 'Why it was refused, or what failed: a type of problem' }),
    before: summary.meta({ description: 'What the target was like, or a digest of it; never a secret' }),
    after: summary.meta({ description: 'What it is like now' }),
  })
  .meta({ id: 'AuditEntry' });

export const auditSchema = pageSchema(auditEntrySchema).meta({ id: 'Audit', description: 'Newest first' });

export type AuditEntryView = z.infer<typeof auditEntrySchema>;
