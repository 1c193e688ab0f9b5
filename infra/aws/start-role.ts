import { Fn } from 'cdktf';
import { Construct } from 'constructs';
import { IamRole } from '@cdktf/provider-aws/lib/iam-role/index.js';
import { IamRolePolicy } from '@cdktf/provider-aws/lib/iam-role-policy/index.js';
import { SsmParameter } from '@cdktf/provider-aws/lib/ssm-parameter/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import type { AwsStack } from './aws-stack.ts';
import type { ContainerSecret } from './container.ts';
import type { DataStack } from './data-stack.ts';
import type { FoundationStack } from './foundation-stack.ts';
import { policy, trust } from './policy.ts';
import type { AwsPorts } from './ports.ts';
import { executionRoleName } from './role-names.ts';
import type { ServiceLinks } from './service-links.ts';
import { LINK_KEY } from '../service-settings.ts';

interface Parts {
  readonly foundation: FoundationStack;
  readonly data: DataStack;
  readonly ports: AwsPorts;
  readonly links: ServiceLinks;
}

/** What ECS starts tasks with: their images, the ports file, and the secrets that no definition of a task has in it. */
export class StartRole extends Construct {
  readonly role: IamRole;
  readonly portsParameter: SsmParameter;
  readonly secrets: readonly ContainerSecret[];

  constructor(scope: AwsStack, id: string, { foundation, data, ports, links }: Parts) {
    super(scope, id);
    const { names, demand } = scope.site;
    this.portsParameter = new SsmParameter(this, 'ports', {
      name: `/${names.path}ports`,
      description: 'The ports file of the services; none of it is a secret',
      type: 'String',
      tier: 'Intelligent-Tiering',
      value: Fn.jsonencode(ports),
    });
    acknowledge(this.portsParameter, {
      CKV2_AWS_34: 'Names and addresses, of which none is a secret: those are in Secrets Manager',
    });
    this.secrets = [
      { name: 'PGPASSWORD', valueFrom: data.database.passwordSecretArn },
      { name: LINK_KEY, valueFrom: links.keyArn },
      { name: 'TRIBO_PORTS', valueFrom: this.portsParameter.arn },
    ];
    this.role = new IamRole(this, 'role', {
      name: executionRoleName(names),
      description: 'Starts tasks: fetches images and secrets, and writes logs',
      assumeRolePolicy: trust('ecs-tasks.amazonaws.com', scope.account),
    });
    new IamRolePolicy(this, 'rights', {
      name: 'start-tasks',
      role: this.role.id,
      policy: policy([
        // Signing in to the registry is asked of no repository.
        { Effect: 'Allow', Action: 'ecr:GetAuthorizationToken', Resource: '*' },
        {
          Effect: 'Allow',
          Action: ['ecr:BatchCheckLayerAvailability', 'ecr:GetDownloadUrlForLayer', 'ecr:BatchGetImage'],
          Resource: [...foundation.imageRegistry.repositories.values()].map(({ arn }) => arn),
        },
        {
          Effect: 'Allow',
          Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
          Resource: demand.services.map(({ service }) =>
            scope.arn('logs', `log-group:/${names.path}${service}:log-stream:*`),
          ),
        },
        {
          Effect: 'Allow',
          Action: 'secretsmanager:GetSecretValue',
          Resource: [data.database.passwordSecretArn, links.keyArn],
        },
        { Effect: 'Allow', Action: 'ssm:GetParameters', Resource: [this.portsParameter.arn] },
        { Effect: 'Allow', Action: 'kms:Decrypt', Resource: [foundation.key.arn] },
      ]),
    });
  }
}
