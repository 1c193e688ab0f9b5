import { z } from 'zod';

export const onnxModelInferenceConfigSchema = z.object({
  /** Models in memory at a time, about 0.4 MB each for a health model; loading one more fails. */
  maxLoadedModels: z.int().min(1).max(100_000).default(1024),
});

export type OnnxModelInferenceConfig = z.infer<typeof onnxModelInferenceConfigSchema>;
