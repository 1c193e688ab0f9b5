import { Construct } from 'constructs';
import { CodebuildProject } from '@cdktf/provider-aws/lib/codebuild-project/index.js';
import { IamRole } from '@cdktf/provider-aws/lib/iam-role/index.js';
import { IamRolePolicy } from '@cdktf/provider-aws/lib/iam-role-policy/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import type { AwsStack } from './aws-stack.ts';
import { logGroup } from './log-group.ts';
import { policy, trust, type Statement } from './policy.ts';
import type { PrivateBucket } from './private-bucket.ts';

const IMAGE = 'aws/codebuild/amazonlinux-x86_64-standard:5.0';
const MAX_ROLE_NAME = 64;
const MAX_PROJECT_NAME = 150;
/** A commit that waits for longer is started anew by hand. */
const QUEUED_MINUTES = 480;

interface ProjectKind {
  /** What of the pipeline it does; its buildspec is `.ci/codebuild/<part>.yml`. */
  readonly part: string;
  readonly description: string;
  readonly minutes: number;
  readonly artifacts: PrivateBucket;
  readonly keyArn: string;
  readonly variables?: Readonly<Record<string, string>>;
  /** What it may do beside taking the source and writing its log. */
  readonly rights?: readonly Statement[];
  /** Whether it leaves something for what comes next. */
  readonly hasOutput?: true;
  readonly buildsImages?: true;
}

/** A step of the pipeline that runs commands: as a role of its own, its log encrypted and kept as long as those of the services. */
export class BuildProject extends Construct {
  readonly name: string;
  readonly arn: string;

  constructor(scope: AwsStack, id: string, kind: ProjectKind) {
    super(scope, id);
    const { part, description, minutes, keyArn, variables = {}, buildsImages = false } = kind;
    const { names } = scope.site;
    const group = `/${names.path}pipeline/${part}`;
    const log = logGroup(this, 'log', scope.site, { name: group, keyArn });
    const role = new IamRole(this, 'role', {
      name: names.of(`pipeline-${part}`, MAX_ROLE_NAME),
      description: `The pipeline: ${description}`,
      assumeRolePolicy: trust('codebuild.amazonaws.com', scope.account),
    });
    new IamRolePolicy(this, 'rights', {
      name: part,
      role: role.id,
      policy: policy([
        {
          Effect: 'Allow',
          Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
          Resource: scope.arn('logs', `log-group:${group}:log-stream:*`),
        },
        ...artifactRights(kind, scope.site.region),
        ...(kind.rights ?? []),
      ]),
    });
    const project = new CodebuildProject(this, 'project', {
      name: names.of(`pipeline-${part}`, MAX_PROJECT_NAME),
      description,
      serviceRole: role.arn,
      buildTimeout: minutes,
      queuedTimeout: QUEUED_MINUTES,
      concurrentBuildLimit: 1,
      encryptionKey: keyArn,
      source: { type: 'CODEPIPELINE', buildspec: `.ci/codebuild/${part}.yml` },
      artifacts: { type: 'CODEPIPELINE' },
      environment: {
        type: 'LINUX_CONTAINER',
        computeType: 'BUILD_GENERAL1_LARGE',
        image: IMAGE,
        privilegedMode: buildsImages,
        environmentVariable: Object.entries(variables).map(([name, value]) => ({ name, value })),
      },
      logsConfig: { cloudwatchLogs: { status: 'ENABLED', groupName: log.name } },
    });
    if (buildsImages)
      acknowledge(project, {
        CKV_AWS_316:
          'Images are built by Docker, which wants it; this project alone has it, and no right but to the registry',
      });
    this.name = project.name;
    this.arn = project.arn;
  }
}

function artifactRights({ artifacts: { arn }, keyArn, hasOutput }: ProjectKind, region: string): readonly Statement[] {
  return [
    { Effect: 'Allow', Action: ['s3:GetObject', 's3:GetObjectVersion'], Resource: `${arn}/*` },
    { Effect: 'Allow', Action: ['s3:GetBucketAcl', 's3:GetBucketLocation'], Resource: arn },
    { Effect: 'Allow', Action: 'kms:DescribeKey', Resource: keyArn },
    // The key is the site's own: of all that it opens, objects that the role may read, and nothing else.
    {
      Effect: 'Allow',
      Action: 'kms:Decrypt',
      Resource: keyArn,
      Condition: { StringEquals: { 'kms:ViaService': `s3.${region}.amazonaws.com` } },
    },
    ...(hasOutput === true
      ? ([
          { Effect: 'Allow', Action: 's3:PutObject', Resource: `${arn}/*` },
          { Effect: 'Allow', Action: ['kms:Encrypt', 'kms:GenerateDataKey'], Resource: keyArn },
        ] as const)
      : []),
  ];
}
