import { z } from 'zod';
import { pageQuerySchema, pageSchema } from './common.ts';

export const modelListQuerySchema = z.object(pageQuerySchema(500, 100));

export const modelSchema = z
  .object({
    name: z.string(),
    site: z.string().optional().meta({ description: 'Absent: for the whole tenant' }),
    machine: z.string().optional(),
    sensor: z.string().optional(),
    latestVersion: z.int(),
    promotedVersion: z.int().optional().meta({ description: 'The version that runs; absent: none does' }),
  })
  .meta({ id: 'Model' });

export const modelListSchema = pageSchema(modelSchema).meta({ id: 'ModelList' });
