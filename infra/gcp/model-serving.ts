import { TerraformOutput, type TerraformVariable } from 'cdktf';
import { Construct } from 'constructs';
import { hasModelEndpoint } from '../site.ts';
import type { DataStack } from './data-stack.ts';
import type { FoundationStack } from './foundation-stack.ts';
import type { GcpStack } from './gcp-stack.ts';
import { TrainingJobs } from './training-jobs.ts';
import { VertexAiModelInference } from './vertex-ai-model-inference.ts';

interface Parts {
  readonly foundation: FoundationStack;
  readonly data: DataStack;
  readonly digests: TerraformVariable;
}

/**
 * What models need beside the platform, which trains and runs its own: by `switches.modelEndpoint` an endpoint of Vertex AI that runs models, and who
 * training jobs are, of which nothing stands between. The registry of Vertex AI is there with its API: one of the whole project and region.
 */
export class ModelServing extends Construct {
  /** Undefined where the services run models themselves. */
  readonly inference: VertexAiModelInference | undefined;

  constructor(scope: GcpStack, id: string, { foundation, data, digests }: Parts) {
    super(scope, id);
    if (!hasModelEndpoint(scope.site)) return;
    this.inference = new VertexAiModelInference(scope, 'model-inference', { foundation, digests });
    const training = new TrainingJobs(scope, 'training', data);
    const told = (name: string, value: unknown, description: string) =>
      new TerraformOutput(scope, name.replaceAll('_', '-'), { value, description, staticId: true }).overrideLogicalId(
        name,
      );
    told('model_deployment', this.inference.deployment, 'What `npm run models` brings behind the endpoint');
    told('training_job', training.job, 'What each training job of Vertex AI begins with: its image is its own');
    told('training_role', training.submitter.name, 'What whoever starts training jobs may do');
  }
}
