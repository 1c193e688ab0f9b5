import { z } from 'zod';
import { instantMsSchema, nameSchema, pageQuerySchema, pageSchema } from './common.ts';

export const ruleAddressSchema = z.object({ id: nameSchema });
export const ruleListQuerySchema = z.object(pageQuerySchema(500, 100));

/** What a rule says is the alerting core's own schema; the gateway adds who wrote which version when. */
export const ruleDefinitionSchema = z.record(z.string(), z.unknown()).meta({ id: 'RuleDefinition' });

export const ruleSchema = z
  .object({
    id: z.string(),
    version: z.int().meta({ description: 'Rises by one with each change; also the ETag' }),
    updatedMs: instantMsSchema,
    updatedBy: z.string(),
    rule: ruleDefinitionSchema,
  })
  .meta({ id: 'StoredRule' });

export const ruleListSchema = pageSchema(ruleSchema).meta({ id: 'RuleList' });

export type RuleView = z.infer<typeof ruleSchema>;
