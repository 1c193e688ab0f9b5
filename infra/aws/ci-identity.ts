import { Construct } from 'constructs';
import { IamRole } from '@cdktf/provider-aws/lib/iam-role/index.js';
import { IamRolePolicy } from '@cdktf/provider-aws/lib/iam-role-policy/index.js';
import { githubRepository } from '../github-repository.ts';
import { isKubernetes } from '../site.ts';
import { acknowledge } from '../policy/acknowledge.ts';
import type { AwsStack } from './aws-stack.ts';
import type { ImageRegistry } from './image-registry.ts';
import { clusterName } from './cluster-names.ts';
import { policy, type Statement } from './policy.ts';
import { executionRoleName, taskRoleName } from './role-names.ts';

const ISSUER = 'token.actions.githubusercontent.com';

/**
 * The role that the pipeline takes by a token of its run, so that no key is stored: it pushes images and rolls services, and may do nothing else.
 * The account has the issuer registered once (infra/README.md), as all its sites share it.
 */
export class CiIdentity extends Construct {
  readonly roleArn: string;

  constructor(scope: AwsStack, id: string, { repositories }: ImageRegistry) {
    super(scope, id);
    const { names, environment } = scope.site;
    const repository = githubRepository(this);
    const iam = (resource: string) => `arn:${scope.partition}:iam::${scope.account}:${resource}`;
    const role = new IamRole(this, 'role', {
      name: names.of('ci', 64),
      description: 'The pipeline: pushes images and rolls services',
      maxSessionDuration: 3600,
      assumeRolePolicy: policy([
        {
          Effect: 'Allow',
          Principal: { Federated: iam(`oidc-provider/${ISSUER}`) },
          Action: 'sts:AssumeRoleWithWebIdentity',
          Condition: {
            // A run in GitHub's environment of the stage alone, whose reviewers let it pass.
            StringEquals: {
              [`${ISSUER}:aud`]: 'sts.amazonaws.com',
              [`${ISSUER}:sub`]: `repo:${repository.stringValue}:environment:${environment.stage}`,
            },
          },
        },
      ]),
    });
    this.roleArn = role.arn;
    acknowledge(role, {
      CKV_AWS_393:
        'The repository is a variable, of which checkov cannot know that its form is owner/name: it is validated',
    });
    new IamRolePolicy(this, 'rights', {
      name: 'deploy',
      role: role.id,
      policy: policy([
        ...pushRights(repositories),
        ...(isKubernetes(scope.site) ? intoCluster(scope) : rollTasks(scope)),
      ]),
    });
  }
}

/** What brings images into the registry. */
export function pushRights(repositories: ImageRegistry['repositories']): readonly Statement[] {
  return [
    // Signing in to the registry is asked of no repository.
    { Effect: 'Allow', Action: 'ecr:GetAuthorizationToken', Resource: '*' },
    {
      Effect: 'Allow',
      Action: [
        ...['ecr:BatchCheckLayerAvailability', 'ecr:InitiateLayerUpload', 'ecr:UploadLayerPart'],
        ...['ecr:CompleteLayerUpload', 'ecr:PutImage', 'ecr:BatchGetImage', 'ecr:DescribeImages'],
      ],
      Resource: [...repositories.values()].map(({ arn }) => arn),
    },
  ];
}

/** What it does in there is said in the namespace of the services. */
function intoCluster(scope: AwsStack): readonly Statement[] {
  const Resource = scope.arn('eks', `cluster/${clusterName(scope.site.names)}`);
  return [{ Effect: 'Allow', Action: 'eks:DescribeCluster', Resource }];
}

function rollTasks(scope: AwsStack): readonly Statement[] {
  const { names, demand } = scope.site;
  const services = demand.services.map(({ service }) => service);
  return [
    {
      Effect: 'Allow',
      Action: ['ecs:UpdateService', 'ecs:DescribeServices'],
      Resource: services.map((service) => scope.arn('ecs', `service/${names.base}/${service}`)),
    },
    // ECS asks both of no definition in particular; which roles one may have is said below.
    { Effect: 'Allow', Action: ['ecs:RegisterTaskDefinition', 'ecs:DescribeTaskDefinition'], Resource: '*' },
    {
      Effect: 'Allow',
      Action: 'iam:PassRole',
      Resource: [executionRoleName(names), ...services.map((service) => taskRoleName(names, service))].map(
        (name) => `arn:${scope.partition}:iam::${scope.account}:role/${name}`,
      ),
      Condition: { StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' } },
    },
  ];
}
