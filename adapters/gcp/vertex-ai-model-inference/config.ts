import { z } from 'zod';

/** Where models run behind an endpoint of Vertex AI, whose container is services/model-server. */
export const vertexAiModelInferenceConfigSchema = z.strictObject({
  project: z.string().regex(/^[a-z0-9][a-z0-9:.-]{0,61}[a-z0-9]$/),
  location: z.string().regex(/^[a-z]+-[a-z]+\d+$/),
  /** Its number, or the name that it was created with. */
  endpointId: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
  /** Of a dedicated endpoint, its own DNS name; in the clear only on this machine. Absent: the location's, `<location>-aiplatform.googleapis.com`. */
  origin: z
    .url()
    .regex(/^(https:\/\/[^/]+|http:\/\/(127\.0\.0\.1|localhost)(:\d+)?)\/?$/, { error: 'must be https:// and no path' })
    .optional(),
  /** Larger batches go in several requests. Vertex AI takes 1.5 MB on a shared endpoint, 10 MB on a dedicated one. */
  maxRequestBytes: z.int().min(65_536).max(10_000_000).default(1_500_000),
  /** How long one call may take. Vertex AI itself waits 60 s on a shared endpoint. */
  timeoutMs: z.int().min(100).max(300_000).default(30_000),
});

export type VertexAiModelInferenceConfig = z.infer<typeof vertexAiModelInferenceConfigSchema>;
