import { z } from 'zod';
import { awsPlaceShape } from '../aws-place.ts';

/** Where models run behind a real-time endpoint of SageMaker, whose container is services/model-server. */
export const sagemakerModelInferenceConfigSchema = z.strictObject({
  ...awsPlaceShape,
  endpointName: z.string().regex(/^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$/),
  /** Of the endpoint's production variants, the one to ask. Absent: SageMaker's choice, by their weights. */
  targetVariant: z
    .string()
    .regex(/^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$/)
    .optional(),
  /** Larger batches go in several requests. SageMaker takes 25 MB on an instance, 4 MB on a serverless endpoint. */
  maxRequestBytes: z.int().min(65_536).max(25_000_000).default(4_000_000),
  /** How long one call may take. SageMaker itself waits 60 s for the container. */
  timeoutMs: z.int().min(100).max(75_000).default(30_000),
});

export type SagemakerModelInferenceConfig = z.infer<typeof sagemakerModelInferenceConfigSchema>;
