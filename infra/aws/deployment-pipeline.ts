import { Construct } from 'constructs';
import { Codepipeline, type CodepipelineStageAction } from '@cdktf/provider-aws/lib/codepipeline/index.js';
import { IamRole } from '@cdktf/provider-aws/lib/iam-role/index.js';
import { IamRolePolicy } from '@cdktf/provider-aws/lib/iam-role-policy/index.js';
import type { Environment } from '../../core/decision/environment.ts';
import type { AwsStack } from './aws-stack.ts';
import type { BuildProject } from './build-project.ts';
import { policy, trust } from './policy.ts';
import type { PrivateBucket } from './private-bucket.ts';

const MAX_NAME = 100;
const MAX_ROLE_NAME = 64;
/** As artifacts are called between the steps; buildspecs find the second as `CODEBUILD_SRC_DIR_Digests`. */
const SOURCE = 'Source';
const DIGESTS = 'Digests';
const PLAN = 'Plan';

/** What CodePipeline deploys an environment by. */
export type PipelineSettings = NonNullable<Environment['pipeline']>;

interface Parts {
  readonly settings: PipelineSettings;
  readonly keyArn: string;
  readonly connectionArn: string;
  readonly artifacts: PrivateBucket;
  readonly projects: Readonly<Record<'test' | 'images' | 'plan' | 'apply', BuildProject>>;
  /** Who is told that something waits for approval. */
  readonly topicArn: string;
}

/**
 * A commit is tested, its images are pushed, what it would change is shown, and, once somebody approved that outside dev, applied. Plan, approval and
 * application are one stage, which one run at a time is in: no other commit is applied between a plan and its approval.
 */
export class DeploymentPipeline extends Construct {
  readonly name: string;

  constructor(scope: AwsStack, id: string, parts: Parts) {
    super(scope, id);
    const { names } = scope.site;
    const { artifacts, keyArn, projects } = parts;
    const role = new IamRole(this, 'role', {
      name: names.of('pipeline', MAX_ROLE_NAME),
      description: 'The pipeline: starts its projects and says that something waits for approval',
      assumeRolePolicy: trust('codepipeline.amazonaws.com', scope.account),
    });
    const rights = new IamRolePolicy(this, 'rights', { name: 'run', role: role.id, policy: rightsOf(parts) });
    const pipeline = new Codepipeline(this, 'pipeline', {
      name: names.of('deployment', MAX_NAME),
      roleArn: role.arn,
      pipelineType: 'V2',
      // A commit that waits gives way to a later one; one that is being applied does not.
      executionMode: 'SUPERSEDED',
      artifactStore: [{ type: 'S3', location: artifacts.bucket, encryptionKey: { type: 'KMS', id: keyArn } }],
      stage: [
        { name: 'Source', action: [source(parts)] },
        { name: 'Test', action: [build('Test', projects.test)] },
        { name: 'Images', action: [{ ...build('Images', projects.images, REVISION), outputArtifacts: [DIGESTS] }] },
        { name: 'Deploy', action: deploying(scope, parts) },
      ],
      dependsOn: [rights],
    });
    this.name = pipeline.name;
  }
}

/** By which a project knows its commit. */
const REVISION = { REVISION: '#{Source.CommitId}' };

function source({ settings, connectionArn }: Parts): CodepipelineStageAction {
  return {
    ...{ name: 'Source', category: 'Source', owner: 'AWS', provider: 'CodeStarSourceConnection', version: '1' },
    namespace: 'Source',
    outputArtifacts: [SOURCE],
    configuration: {
      ConnectionArn: connectionArn,
      FullRepositoryId: settings.repository,
      BranchName: settings.branch,
      DetectChanges: 'true',
    },
  };
}

function deploying(scope: AwsStack, { projects, topicArn }: Parts): CodepipelineStageAction[] {
  const { site, stage } = scope.site.environment;
  const withImages = { inputArtifacts: [SOURCE, DIGESTS] };
  const plan = { ...build('Plan', projects.plan), ...withImages, namespace: 'Plan', outputArtifacts: [PLAN] };
  const apply = { ...build('Apply', projects.apply, REVISION), ...withImages };
  const approve: CodepipelineStageAction = {
    ...{ name: 'Approve', category: 'Approval', owner: 'AWS', provider: 'Manual', version: '1' },
    configuration: {
      NotificationArn: topicArn,
      CustomData: `Commit #{Source.CommitId} of #{Source.BranchName} for ${site}.${stage}: what is deployed would be #{Plan.RESULT}. Not planned: #{Plan.LEFT_OUT}. Read the plan before you approve.`,
      ExternalEntityLink: '#{Plan.PLAN_LOG}',
    },
  };
  const steps = stage === 'dev' ? [plan, apply] : [plan, approve, apply];
  return steps.map((step, index) => ({ ...step, runOrder: index + 1 }));
}

function build(
  name: string,
  project: BuildProject,
  variables: Readonly<Record<string, string>> = {},
): CodepipelineStageAction {
  const environment = Object.entries(variables).map(([key, value]) => ({ name: key, value, type: 'PLAINTEXT' }));
  return {
    ...{ name, category: 'Build', owner: 'AWS', provider: 'CodeBuild', version: '1' },
    inputArtifacts: [SOURCE],
    configuration: {
      ProjectName: project.name,
      PrimarySource: SOURCE,
      ...(environment.length > 0 && { EnvironmentVariables: JSON.stringify(environment) }),
    },
  };
}

function rightsOf({ artifacts: { arn }, keyArn, connectionArn, projects, topicArn }: Parts): string {
  return policy([
    // A connection has one of two prefixes, by when it was made, and with it the action.
    {
      Effect: 'Allow',
      Action: ['codeconnections:UseConnection', 'codestar-connections:UseConnection'],
      Resource: connectionArn,
    },
    {
      Effect: 'Allow',
      Action: ['codebuild:StartBuild', 'codebuild:BatchGetBuilds'],
      Resource: Object.values(projects).map((project) => project.arn),
    },
    {
      Effect: 'Allow',
      Action: ['s3:GetObject', 's3:GetObjectVersion', 's3:PutObject'],
      Resource: `${arn}/*`,
    },
    {
      Effect: 'Allow',
      Action: ['s3:GetBucketAcl', 's3:GetBucketLocation', 's3:GetBucketVersioning'],
      Resource: arn,
    },
    {
      Effect: 'Allow',
      Action: ['kms:Decrypt', 'kms:DescribeKey', 'kms:Encrypt', 'kms:GenerateDataKey'],
      Resource: keyArn,
    },
    { Effect: 'Allow', Action: 'sns:Publish', Resource: topicArn },
  ]);
}
