import { z } from 'zod';

/** Where models run behind a managed online endpoint of Azure Machine Learning, whose container is services/model-server. */
export const azureMlModelInferenceConfigSchema = z.strictObject({
  /** The endpoint's own, such as `https://akron.westeurope.inference.ml.azure.com/score`; in the clear only on this machine. */
  scoringUri: z.url().regex(/^(https:\/\/|http:\/\/(127\.0\.0\.1|localhost)[:/])/, { error: 'must be https://' }),
  /** Of the endpoint's deployments, the one to ask. Absent: Azure's choice, by their traffic. */
  deployment: z
    .string()
    .regex(/^[a-zA-Z][a-zA-Z0-9-]{1,30}[a-zA-Z0-9]$/)
    .optional(),
  /** Larger batches go in several requests. */
  maxRequestBytes: z.int().min(65_536).max(10_000_000).default(1_000_000),
  /** How long one call may take. Azure waits as long as the deployment's `request_timeout_ms` says, 5 s where it says nothing, at most 180 s. */
  timeoutMs: z.int().min(100).max(300_000).default(30_000),
});

export type AzureMlModelInferenceConfig = z.infer<typeof azureMlModelInferenceConfigSchema>;
