import { z } from 'zod';
import { instantMsSchema, nameSchema, pageQuerySchema, pageSchema, siteQuerySchema } from './common.ts';

export const modelListQuerySchema = z.object(pageQuerySchema(500, 100));
export const modelAddressSchema = z.object({ id: nameSchema.meta({ description: 'The model’s name' }) });
export const modelVersionAddressSchema = z.object({
  ...modelAddressSchema.shape,
  version: z.coerce.number().int().min(1).max(1_000_000),
});

/** Whose model it is, beside its name. */
const scope = {
  site: siteQuerySchema,
  machine: nameSchema.optional().meta({ description: 'Absent: the model of the whole tenant' }),
  sensor: nameSchema.optional().meta({ description: 'Only with machine; absent: the model of the whole machine' }),
};
export const modelScopeQuerySchema = z.object(scope);
export const modelVersionListQuerySchema = z.object({ ...scope, ...pageQuerySchema(500, 100) });

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

export const modelDetailSchema = z
  .object({
    ...modelSchema.shape,
    promotions: z
      .array(
        z.object({
          version: z.int(),
          kind: z.enum(['promote', 'rollback']),
          atMs: instantMsSchema,
          by: z.string(),
          reason: z.string(),
        }),
      )
      .meta({ description: 'The last 50 decisions, newest first' }),
  })
  .meta({ id: 'ModelDetail', description: 'Its ETag is the promoted version, 0 for none' });

const provenanceSchema = z.strictObject({
  trainedOn: z.string().min(1).max(2000).meta({ description: 'In words' }),
  fromMs: instantMsSchema.meta({ description: 'Of the training data' }),
  toMs: instantMsSchema,
  samples: z.int().min(0).meta({ description: 'Vectors it was trained on' }),
  software: z.string().min(1).max(500).meta({ description: 'What trained it, and in which version' }),
  metrics: z.record(z.string().max(100), z.number()).default({}).meta({ description: 'Figures of merit, by name' }),
});

const descriptionShape = {
  inputs: z
    .array(z.string().min(1).max(128))
    .min(1)
    .max(4096)
    .meta({ description: 'What each element of an input vector is, in order: the names of features' }),
  parameters: z
    .record(z.string().max(100), z.unknown())
    .default({})
    .meta({ description: 'Settings beside the graph, such as the decision threshold' }),
  provenance: provenanceSchema,
};

export const modelVersionSchema = z
  .object({
    version: z.int(),
    promoted: z.boolean(),
    registeredMs: instantMsSchema,
    registeredBy: z.string().optional().meta({ description: 'Absent: the platform itself, see provenance.software' }),
    sha256: z.string(),
    artifactBytes: z.int(),
    format: z.literal('onnx'),
    inputs: z.array(z.string()),
    parameters: z.record(z.string(), z.unknown()),
    provenance: z.object({ ...provenanceSchema.shape, trainedOn: z.string(), software: z.string() }),
  })
  .meta({ id: 'ModelVersion' });

export const modelVersionsSchema = pageSchema(modelVersionSchema).meta({
  id: 'ModelVersions',
  description: 'Newest first',
});

export const registerModelRequestSchema = z
  .strictObject({
    artifact: z.string().min(1).meta({ description: 'The ONNX file in base64', contentEncoding: 'base64' }),
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits in lower case')
      .meta({ description: 'Of the ONNX file’s bytes: what arrives damaged is refused' }),
    format: z.literal('onnx').default('onnx'),
    ...descriptionShape,
  })
  .meta({ id: 'RegisterModel' });

const reason = z.string().max(1000).default('').meta({ description: 'Why; kept with the decision' });
export const promoteModelRequestSchema = z
  .strictObject({ version: z.int().min(1), reason })
  .meta({ id: 'PromoteModel', examples: [{ version: 3, reason: 'fewer false alarms on last month' }] });
export const rollbackModelRequestSchema = z.strictObject({ reason }).meta({ id: 'RollbackModel' });

export type ModelView = z.infer<typeof modelSchema>;
export type ModelDetail = z.infer<typeof modelDetailSchema>;
export type ModelVersionView = z.infer<typeof modelVersionSchema>;
export type RegisterModelRequest = z.infer<typeof registerModelRequestSchema>;
