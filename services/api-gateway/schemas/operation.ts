import { z } from 'zod';

export const livenessSchema = z.object({ status: z.literal('alive') }).meta({ id: 'Liveness' });

export const readinessSchema = z
  .object({
    status: z.enum(['ready', 'not-ready']),
    checks: z.array(
      z.object({
        name: z.string(),
        ok: z.boolean(),
        reason: z
          .string()
          .optional()
          .meta({ description: 'Why it is not, and what to do; told to whoever is signed in' }),
      }),
    ),
  })
  .meta({ id: 'Readiness', examples: [{ status: 'ready', checks: [{ name: 'time-series-store', ok: true }] }] });

/** A JSON document whose shape another standard defines. */
export const documentSchema = z.record(z.string(), z.unknown()).meta({ id: 'Document' });

export type Readiness = z.infer<typeof readinessSchema>;
