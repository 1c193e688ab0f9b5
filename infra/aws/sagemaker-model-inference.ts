import { Fn } from 'cdktf';
import { Construct } from 'constructs';
import { AppautoscalingPolicy } from '@cdktf/provider-aws/lib/appautoscaling-policy/index.js';
import { AppautoscalingTarget } from '@cdktf/provider-aws/lib/appautoscaling-target/index.js';
import { IamRole } from '@cdktf/provider-aws/lib/iam-role/index.js';
import { IamRolePolicy } from '@cdktf/provider-aws/lib/iam-role-policy/index.js';
import { SagemakerEndpointConfiguration } from '@cdktf/provider-aws/lib/sagemaker-endpoint-configuration/index.js';
import { SagemakerEndpoint } from '@cdktf/provider-aws/lib/sagemaker-endpoint/index.js';
import { SagemakerModel } from '@cdktf/provider-aws/lib/sagemaker-model/index.js';
import { MODEL_SERVER } from '../image-digests.ts';
import type { AwsStack } from './aws-stack.ts';
import type { FoundationStack } from './foundation-stack.ts';
import { logGroup } from './log-group.ts';
import { policy, trust } from './policy.ts';
import type { ModelInferenceSection } from './ports.ts';

/** The one variant of the endpoint. */
const VARIANT = 'primary';
const INSTANCE_TYPE = 'ml.m5.large';
const MOST_INSTANCES = 4;
/** Of one instance, by which more are added. */
const CALLS_A_MINUTE = 3000;
/** A serverless endpoint is paid by the millisecond that it computes, and nothing of it runs between. */
const SERVERLESS = { memorySizeInMb: 2048, maxConcurrency: 10 } as const;

interface Parts {
  readonly foundation: FoundationStack;
  /** By service. */
  readonly imageDigests: unknown;
  readonly endpoint: 'serverless' | 'instance';
}

/** The model server behind a real-time endpoint of SageMaker, which models come to with the calls for them. */
export class SagemakerModelInference extends Construct {
  readonly section: ModelInferenceSection;

  constructor(scope: AwsStack, id: string, { foundation, imageDigests, endpoint: kind }: Parts) {
    super(scope, id);
    const { names } = scope.site;
    const name = names.of('models', 63);
    const keyArn = foundation.key.arn;
    // Where SageMaker writes.
    const log = logGroup(this, 'log', scope.site, { name: `/aws/sagemaker/Endpoints/${name}`, keyArn });
    const repository = foundation.imageRegistry.repositories.get(MODEL_SERVER)!;
    const role = new IamRole(this, 'role', {
      name: names.of('model-endpoint', 64),
      description: 'Runs the model server behind the endpoint',
      assumeRolePolicy: trust('sagemaker.amazonaws.com', scope.account),
    });
    const rights = new IamRolePolicy(this, 'rights', {
      name: 'run-container',
      role: role.id,
      policy: policy([
        // Signing in to the registry is asked of no repository.
        { Effect: 'Allow', Action: 'ecr:GetAuthorizationToken', Resource: '*' },
        {
          Effect: 'Allow',
          Action: ['ecr:BatchCheckLayerAvailability', 'ecr:GetDownloadUrlForLayer', 'ecr:BatchGetImage'],
          Resource: [repository.arn],
        },
        {
          Effect: 'Allow',
          Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
          Resource: [scope.arn('logs', `log-group:/aws/sagemaker/Endpoints/${name}:log-stream:*`)],
        },
      ]),
    });
    const model = new SagemakerModel(this, 'model', {
      executionRoleArn: role.arn,
      primaryContainer: {
        image: `${repository.repositoryUrl}@${Fn.lookup(imageDigests, MODEL_SERVER) as string}`,
      },
      // It answers calls and needs nothing else; SageMaker cannot shut a serverless one in.
      ...(kind === 'instance' && { enableNetworkIsolation: true }),
      dependsOn: [rights],
      // Its name is the provider's, so that a release makes another before this one goes.
      lifecycle: { createBeforeDestroy: true },
    });
    const configuration = new SagemakerEndpointConfiguration(this, 'configuration', {
      namePrefix: `${names.of('models', 36)}-`,
      ...(kind === 'instance' && { kmsKeyArn: keyArn }),
      productionVariants: [
        {
          variantName: VARIANT,
          modelName: model.name,
          ...(kind === 'instance'
            ? { instanceType: INSTANCE_TYPE, initialInstanceCount: 1, initialVariantWeight: 1 }
            : { serverlessConfig: SERVERLESS }),
        },
      ],
      lifecycle: { createBeforeDestroy: true },
    });
    const endpoint = new SagemakerEndpoint(this, 'endpoint', {
      name,
      endpointConfigName: configuration.name,
      dependsOn: [log],
    });
    if (kind === 'instance') this.#scaling(endpoint);
    this.section = { endpointName: name };
  }

  #scaling(endpoint: SagemakerEndpoint): void {
    const target = new AppautoscalingTarget(this, 'instances', {
      serviceNamespace: 'sagemaker',
      scalableDimension: 'sagemaker:variant:DesiredInstanceCount',
      resourceId: `endpoint/${endpoint.name}/variant/${VARIANT}`,
      minCapacity: 1,
      maxCapacity: MOST_INSTANCES,
    });
    new AppautoscalingPolicy(this, 'by-calls', {
      name: 'calls',
      policyType: 'TargetTrackingScaling',
      serviceNamespace: target.serviceNamespace,
      scalableDimension: target.scalableDimension,
      resourceId: target.resourceId,
      targetTrackingScalingPolicyConfiguration: {
        predefinedMetricSpecification: { predefinedMetricType: 'SageMakerVariantInvocationsPerInstance' },
        targetValue: CALLS_A_MINUTE,
        scaleOutCooldown: 60,
        scaleInCooldown: 600,
      },
    });
  }
}
