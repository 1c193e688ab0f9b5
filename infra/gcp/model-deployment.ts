import { z } from 'zod';

const replicas = z.int().min(1).max(100);

/** What runs behind the endpoint of a site, as the stack tells it by its output `model_deployment`. */
export const modelDeploymentSchema = z.strictObject({
  endpoint: z
    .string()
    .regex(/^projects\/[^/]+\/locations\/[a-z]+-[a-z]+\d+\/endpoints\/\d+$/, 'must be projects/.../endpoints/<number>'),
  /** In the registry of Vertex AI, where each image is a version of it. */
  model: z.string().regex(/^[a-z][a-z0-9_-]{0,62}$/),
  image: z.string().regex(/@sha256:[0-9a-f]{64}$/, 'must name the image by its digest'),
  machineType: z.string().min(1),
  leastReplicas: replicas,
  mostReplicas: replicas,
  /** Of CPU, by which there are more of them. */
  busyPercent: z.int().min(1).max(100),
  /** Of Cloud KMS, with which the model and the disks of its machines are encrypted. */
  key: z.string().regex(/^projects\/[^/]+\/locations\/[^/]+\/keyRings\/[^/]+\/cryptoKeys\/[^/]+$/),
  labels: z.record(z.string(), z.string()),
});

export type ModelDeployment = z.infer<typeof modelDeploymentSchema>;

/** Of what `terraform output -json model_deployment` wrote. @throws Error that says what is wrong in it */
export function readModelDeployment(text: string): ModelDeployment {
  const { success, data, error } = modelDeploymentSchema.safeParse(parsed(text));
  if (success) return data;
  const problems = error.issues.map(({ path, message }) => [path.join('.'), message].filter(Boolean).join(': '));
  throw new Error(`it is not what \`terraform output -json model_deployment\` writes: ${problems.join('; ')}`);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
