import { TerraformOutput } from 'cdktf';
import { Construct } from 'constructs';
import { AzureMlModelInference } from './azure-ml-model-inference.ts';
import type { AzureStack } from './azure-stack.ts';
import type { DataStack } from './data-stack.ts';
import type { FoundationStack } from './foundation-stack.ts';
import { MachineLearningWorkspace } from './machine-learning-workspace.ts';
import { TrainingCompute } from './training-compute.ts';

interface Parts {
  readonly foundation: FoundationStack;
  readonly data: DataStack;
  /** By service. */
  readonly imageDigests: unknown;
}

/**
 * What models need beside the platform, which trains and runs its own: by `switches.modelEndpoint` a workspace, which keeps models that jobs made, an
 * endpoint that runs models, and machines for jobs. All of it or nothing, as a workspace within the network is paid for by the hour.
 */
export class ModelServing extends Construct {
  /** Undefined where the services run models themselves. */
  readonly inference: AzureMlModelInference | undefined;

  constructor(scope: AzureStack, id: string, { foundation, data, imageDigests }: Parts) {
    super(scope, id);
    if (scope.site.environment.switches.modelEndpoint === 'none') return;
    const workspace = new MachineLearningWorkspace(scope, 'ml', foundation);
    const { cluster } = new TrainingCompute(scope, 'training', { foundation, data, workspace });
    this.inference = new AzureMlModelInference(scope, 'model-inference', {
      ...{ foundation, workspace, imageDigests },
      // One at a time: the first changes the network that both are in.
      after: cluster,
    });
    new TerraformOutput(scope, 'training-compute', {
      value: cluster.id,
      description: 'Where training jobs of Azure Machine Learning run',
      staticId: true,
    }).overrideLogicalId('training_compute');
  }
}
