import { z } from 'zod';
import { ruleSchema as domainRuleSchema } from '#core/domain/rule.ts';
import { instantMsSchema, nameSchema, pageQuerySchema, pageSchema } from './common.ts';

export const ruleAddressSchema = z.object({ id: nameSchema });
export const ruleListQuerySchema = z.object(pageQuerySchema(500, 100));

export const ruleDefinitionSchema = domainRuleSchema.meta({ id: 'Rule' });

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

export const ruleHistorySchema = pageSchema(
  z.object({
    version: z.int(),
    atMs: instantMsSchema,
    by: z.string(),
    rule: ruleDefinitionSchema.optional().meta({ description: 'Absent: it was deleted' }),
  }),
).meta({ id: 'RuleHistory', description: 'Newest first' });

export type RuleView = z.infer<typeof ruleSchema>;
