import { TerraformOutput } from 'cdktf';
import { Construct } from 'constructs';
import { IamRole } from '@cdktf/provider-aws/lib/iam-role/index.js';
import { IamRolePolicy } from '@cdktf/provider-aws/lib/iam-role-policy/index.js';
import { SagemakerModelPackageGroup } from '@cdktf/provider-aws/lib/sagemaker-model-package-group/index.js';
import type { AwsStack } from './aws-stack.ts';
import type { DataStack } from './data-stack.ts';
import type { FoundationStack } from './foundation-stack.ts';
import { policy, trust } from './policy.ts';
import { TRAINING_PREFIX } from './s3-object-store.ts';
import { SagemakerModelInference } from './sagemaker-model-inference.ts';

/** Where SageMaker writes what training jobs say, of all in the account. */
const TRAINING_LOG = '/aws/sagemaker/TrainingJobs';

interface Parts {
  readonly foundation: FoundationStack;
  readonly data: DataStack;
  /** By service. */
  readonly imageDigests: unknown;
}

/**
 * What models need beside the platform, which trains and runs its own: a role for training jobs, which are paid for while they run and are
 * nothing between, and by `switches.modelEndpoint` a package group for what they make and an endpoint that runs models.
 */
export class ModelServing extends Construct {
  /** Undefined where the services run models themselves. */
  readonly inference: SagemakerModelInference | undefined;

  constructor(scope: AwsStack, id: string, { foundation, data, imageDigests }: Parts) {
    super(scope, id);
    const { names, environment } = scope.site;
    const { modelEndpoint } = environment.switches;
    const training = this.#trainingRole(scope, foundation.key.arn, data.objectStore.bucket);
    new TerraformOutput(scope, 'training-role', {
      value: training.arn,
      description: 'What a training job of SageMaker runs as',
      staticId: true,
    }).overrideLogicalId('training_role');
    if (modelEndpoint === 'none') return;
    new SagemakerModelPackageGroup(this, 'packages', {
      modelPackageGroupName: names.of('trained', 63),
      modelPackageGroupDescription: 'Models that training jobs made',
    });
    this.inference = new SagemakerModelInference(scope, 'model-inference', {
      ...{ foundation, imageDigests, endpoint: modelEndpoint },
    });
  }

  #trainingRole(scope: AwsStack, keyArn: string, bucket: string): IamRole {
    const { names } = scope.site;
    const bucketArn = `arn:${scope.partition}:s3:::${bucket}`;
    const role = new IamRole(this, 'training-role', {
      name: names.of('training', 64),
      description: 'Training jobs: run images of the site, read and write their own part of the bucket',
      assumeRolePolicy: trust('sagemaker.amazonaws.com', scope.account),
    });
    new IamRolePolicy(this, 'training-rights', {
      name: 'train',
      role: role.id,
      policy: policy([
        {
          Effect: 'Allow',
          Action: 's3:ListBucket',
          Resource: [bucketArn],
          Condition: { StringLike: { 's3:prefix': `${TRAINING_PREFIX}*` } },
        },
        { Effect: 'Allow', Action: ['s3:GetObject', 's3:PutObject'], Resource: [`${bucketArn}/${TRAINING_PREFIX}*`] },
        { Effect: 'Allow', Action: ['kms:Decrypt', 'kms:GenerateDataKey'], Resource: [keyArn] },
        // Signing in to the registry is asked of no repository.
        { Effect: 'Allow', Action: 'ecr:GetAuthorizationToken', Resource: '*' },
        {
          Effect: 'Allow',
          Action: ['ecr:BatchCheckLayerAvailability', 'ecr:GetDownloadUrlForLayer', 'ecr:BatchGetImage'],
          Resource: [scope.arn('ecr', `repository/${names.base}/*`)],
        },
        // A group is asked for with what would be in it; without `:*` its name is that of none.
        {
          Effect: 'Allow',
          Action: 'logs:CreateLogGroup',
          Resource: [scope.arn('logs', `log-group:${TRAINING_LOG}:*`)],
        },
        {
          Effect: 'Allow',
          Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
          Resource: [scope.arn('logs', `log-group:${TRAINING_LOG}:log-stream:${names.base}-*`)],
        },
      ]),
    });
    return role;
  }
}
