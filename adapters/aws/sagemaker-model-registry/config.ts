import { z } from 'zod';
import { awsPlaceShape } from '../aws-place.ts';

/** Where versions of models are model packages of SageMaker's Model Registry, in a model package group a model. */
export const sagemakerModelRegistryConfigSchema = z.strictObject({
  ...awsPlaceShape,
  /** Begin of the groups' names in the account, such as `tribo-akron`. */
  groupPrefix: z.string().regex(/^[a-zA-Z0-9](-?[a-zA-Z0-9]){0,19}$/),
  /** Address in ECR of the container that runs a version, services/model-server: a model package names one. */
  image: z.string().min(1).max(255),
  /** How soon other processes' changes are noticed. */
  changePollMs: z.int().min(10).default(5_000),
  maxVersionsPerModel: z.int().min(1).default(1_000),
});

export type SagemakerModelRegistryConfig = z.infer<typeof sagemakerModelRegistryConfigSchema>;
