import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { Environment } from '../../core/decision/environment.ts';
import { changed, notMade, shipped, statementsOf, synthesized, type Synthesized } from '../testing/synthesized.ts';
import { inCluster, withPipeline } from '../testing/variations.ts';

const ROOT = join(import.meta.dirname, '../..');
const PROJECTS = ['test', 'images', 'plan', 'apply'] as const;
const at = (environment: Environment, values: Partial<Environment> = {}) =>
  synthesized(changed(withPipeline(environment), { accounts: { aws: '123456789012' }, ...values }));

const inProd = at(shipped('akron.prod'));
const inDev = at(shipped('akron.dev'));
const inPipeline = inProd.resources.filter(({ stack }) => stack === 'pipeline');

interface Action {
  readonly name: string;
  readonly provider: string;
  readonly run_order?: number;
  readonly namespace?: string;
  readonly configuration: Readonly<Record<string, string>>;
  readonly input_artifacts?: readonly string[];
  readonly output_artifacts?: readonly string[];
}

const pipelineOf = (site: Synthesized) => site.of('aws_codepipeline')[0]!;
const stagesOf = (site: Synthesized) =>
  pipelineOf(site)['stage'] as readonly { readonly name: string; readonly action: readonly Action[] }[];
const actionsOf = (site: Synthesized) => stagesOf(site).flatMap(({ action }) => action);
const action = (site: Synthesized, name: string) => actionsOf(site).find((each) => each.name === name)!;
const rightsOf = (path: string) => statementsOf(inProd.one('aws_iam_role_policy', `pipeline/${path}/rights`)['policy']);
const actionsIn = (path: string) => rightsOf(path).flatMap(({ Action }) => Action);

describe('the stack of the pipeline', () => {
  it('is there where the environment asks for it alone', () => {
    expect(synthesized(shipped('akron.prod')).json.pipeline).toBeUndefined();
    expect(inProd.json.pipeline).toBeDefined();
  });

  it('changes nothing of the other stacks', () => {
    const without = synthesized(changed(shipped('akron.prod'), { accounts: { aws: '123456789012' } }));
    const others = (site: Synthesized) =>
      site.resources.filter(({ stack }) => stack !== 'pipeline').map(({ path, is }) => ({ path, is }));
    expect(others(inProd)).toEqual(others(without));
  });

  it('is not made with a cluster, whose control plane no build reaches', () => {
    const environment = withPipeline(inCluster(shipped('akron.prod')));
    expect(notMade('aws', environment)).toEqual([
      'switches.pipeline: codepipeline with switches.orchestrator: kubernetes',
    ]);
  });
});

describe('the pipeline', () => {
  it('tests a commit, pushes its images, shows what would change, waits for somebody, and applies', () => {
    expect(stagesOf(inProd).map(({ name, action: actions }) => [name, actions.map((each) => each.name)])).toEqual([
      ['Source', ['Source']],
      ['Test', ['Test']],
      ['Images', ['Images']],
      ['Deploy', ['Plan', 'Approve', 'Apply']],
    ]);
    expect(pipelineOf(inProd)).toMatchObject({ pipeline_type: 'V2', execution_mode: 'SUPERSEDED' });
  });

  it('waits in staging too, and not in dev', () => {
    const approvals = (site: Synthesized) => actionsOf(site).filter(({ provider }) => provider === 'Manual').length;
    expect([approvals(inDev), approvals(at(shipped('akron.dev'), { stage: 'staging' })), approvals(inProd)]).toEqual([
      0, 1, 1,
    ]);
  });

  it('plans, asks and applies one after another', () => {
    expect(stagesOf(inProd)[3]!.action.map(({ run_order: order }) => order)).toEqual([1, 2, 3]);
    expect(stagesOf(inDev)[3]!.action.map(({ run_order: order }) => order)).toEqual([1, 2]);
  });

  it('shows whoever approves which commit it is, and where its plan is', () => {
    expect(action(inProd, 'Plan').namespace).toBe('Plan');
    expect(action(inProd, 'Approve').configuration).toEqual({
      NotificationArn: expect.stringContaining('sns_topic'),
      CustomData:
        'Commit #{Source.CommitId} of #{Source.BranchName} for akron.prod: what is deployed would be #{Plan.RESULT}. Not planned: #{Plan.LEFT_OUT}. Read the plan before you approve.',
      ExternalEntityLink: '#{Plan.PLAN_LOG}',
    });
  });

  it('plans and applies with the images that were built', () => {
    expect(action(inProd, 'Images').output_artifacts).toEqual(['Digests']);
    for (const name of ['Plan', 'Apply']) expect(action(inProd, name).input_artifacts).toEqual(['Source', 'Digests']);
  });

  it('tells builder and applier alike which commit it is, and the applier where its images are', () => {
    for (const name of ['Images', 'Apply'])
      expect(JSON.parse(action(inProd, name).configuration['EnvironmentVariables']!)).toEqual([
        { name: 'REVISION', value: '#{Source.CommitId}', type: 'PLAINTEXT' },
      ]);
    const { environment_variable: variables } = inProd.one('aws_codebuild_project', 'apply/project')['environment'] as {
      readonly environment_variable: readonly { readonly name: string; readonly value: string }[];
    };
    const { value } = variables.find(({ name }) => name === 'REPOSITORIES')!;
    const repositories = inProd.of('aws_ecr_repository').map(({ name }) => name as string);
    expect(repositories.map((name) => name.slice(0, name.lastIndexOf('/')))).toEqual(repositories.map(() => value));
  });

  it('takes commits of the branch that the environment names, by a connection that somebody confirms', () => {
    expect(inProd.of('aws_codeconnections_connection')).toEqual([
      expect.objectContaining({ name: 'tribo-akron-prod-source', provider_type: 'GitHub' }),
    ]);
    expect(action(inProd, 'Source')).toMatchObject({
      provider: 'CodeStarSourceConnection',
      configuration: {
        ConnectionArn: expect.stringContaining('aws_codeconnections_connection'),
        FullRepositoryId: 'example/tribo',
        BranchName: 'main',
        DetectChanges: 'true',
      },
    });
  });

  it('makes no connection where the environment names one', () => {
    const connection = `arn:aws:codeconnections:us-east-2:123456789012:connection/${randomUUID()}`;
    const { pipeline } = withPipeline(shipped('akron.prod'));
    const named = at(shipped('akron.prod'), { pipeline: { ...pipeline!, connection } });
    expect(named.resources.some(({ type }) => type === 'aws_codeconnections_connection')).toBe(false);
    expect(action(named, 'Source').configuration['ConnectionArn']).toBe(connection);
  });

  it('calls the owner where a run fails', () => {
    const calls = inPipeline
      .filter(({ type }) => /sns_topic|metric_alarm/.test(type))
      .map(({ type, is }) => [type, is] as const);
    const one = (type: string) => calls.find(([of]) => of === type)![1];
    expect(one('aws_cloudwatch_metric_alarm')).toMatchObject({
      namespace: 'AWS/CodePipeline',
      metric_name: 'FailedPipelineExecutions',
      comparison_operator: 'GreaterThanThreshold',
      threshold: 0,
      treat_missing_data: 'notBreaching',
      alarm_actions: [expect.stringContaining('aws_sns_topic')],
    });
    expect(one('aws_sns_topic')['kms_master_key_id']).toBeDefined();
    expect(one('aws_sns_topic_subscription')).toMatchObject({
      protocol: 'email',
      endpoint: shipped('akron.prod').tags.owner,
    });
  });
});

describe('what a step leaves for the next', () => {
  const bucket = (type: string) =>
    inProd.one(type, type === 'aws_s3_bucket' ? 'artifacts/bucket' : `artifacts/${PARTS[type]!}`);
  const PARTS: Readonly<Record<string, string>> = {
    aws_s3_bucket_public_access_block: 'public-access',
    aws_s3_bucket_server_side_encryption_configuration: 'encryption',
    aws_s3_bucket_policy: 'policy',
    aws_s3_bucket_lifecycle_configuration: 'lifecycle',
  };

  it('is in a bucket that is private, takes TLS alone and is encrypted with the key of the site', () => {
    expect(bucket('aws_s3_bucket')['bucket']).toBe('tribo-akron-prod-pipeline-123456789012');
    expect(bucket('aws_s3_bucket_public_access_block')).toMatchObject({
      ...{
        block_public_acls: true,
        block_public_policy: true,
        ignore_public_acls: true,
        restrict_public_buckets: true,
      },
    });
    expect(statementsOf(bucket('aws_s3_bucket_policy')['policy'])).toEqual([
      expect.objectContaining({
        Sid: 'TlsAlone',
        Effect: 'Deny',
        Condition: { Bool: { 'aws:SecureTransport': 'false' } },
      }),
    ]);
    expect(JSON.stringify(bucket('aws_s3_bucket_server_side_encryption_configuration'))).toContain('aws:kms');
    expect(pipelineOf(inProd)['artifact_store']).toEqual([
      expect.objectContaining({ encryption_key: { id: expect.stringContaining('key'), type: 'KMS' } }),
    ]);
  });

  it('is gone after a month, and with the stack', () => {
    expect(bucket('aws_s3_bucket')).toMatchObject({ force_destroy: true, lifecycle: { prevent_destroy: false } });
    expect(bucket('aws_s3_bucket_lifecycle_configuration')['rule']).toContainEqual(
      expect.objectContaining({
        id: 'artifacts',
        expiration: [{ days: 30 }],
        noncurrent_version_expiration: [{ noncurrent_days: 7 }],
      }),
    );
  });
});

describe.each(PROJECTS)('the project %s', (part) => {
  const project = inProd.one('aws_codebuild_project', `${part}/project`);

  it('runs its buildspec, with its log in a group that is encrypted and kept as long as those of the services', () => {
    const { buildspec, type } = project['source'] as { readonly buildspec: string; readonly type: string };
    expect([type, buildspec]).toEqual(['CODEPIPELINE', `.ci/codebuild/${part}.yml`]);
    expect(existsSync(join(ROOT, buildspec))).toBe(true);
    expect(project['encryption_key']).toContain('key');
    expect(inProd.one('aws_cloudwatch_log_group', `pipeline/${part}/log`)).toMatchObject({
      name: `/tribo/akron/prod/pipeline/${part}`,
      retention_in_days: shipped('akron.prod').retention.logDays,
      kms_key_id: expect.stringContaining('key'),
    });
  });

  it('has a role of its own, which CodeBuild takes for this account alone', () => {
    const role = inProd.one('aws_iam_role', `pipeline/${part}/role`);
    expect(role['name']).toBe(`tribo-akron-prod-pipeline-${part}`);
    expect(statementsOf(role['assume_role_policy'])).toEqual([
      {
        ...{ Effect: 'Allow', Action: ['sts:AssumeRole'], Resource: [] },
        Principal: { Service: 'codebuild.amazonaws.com' },
        Condition: { StringEquals: { 'aws:SourceAccount': '123456789012' } },
      },
    ]);
  });

  it('has no variable that is a secret, and ends', () => {
    const { environment_variable: variables = [] } = project['environment'] as {
      readonly environment_variable?: readonly { readonly name: string; readonly type?: string }[];
    };
    const known = [
      ...['REPOSITORY', 'REPOSITORIES', 'SERVICES', 'SOURCE', 'NAME', 'SITE', 'ROLE', 'TF_VAR_github_repository'],
    ];
    for (const { name, type } of variables) expect([known.includes(name), type]).toEqual([true, undefined]);
    expect(project['build_timeout']).toBeLessThanOrEqual(180);
  });
});

describe('what the roles of the pipeline may do', () => {
  const READS = [
    's3:GetObject',
    's3:GetObjectVersion',
    's3:GetBucketAcl',
    's3:GetBucketLocation',
    'kms:Decrypt',
    'kms:DescribeKey',
  ];
  const WRITES = ['s3:PutObject', 'kms:Encrypt', 'kms:GenerateDataKey'];
  const LOG = ['logs:CreateLogStream', 'logs:PutLogEvents'];
  const PUSH = [
    ...[
      'ecr:GetAuthorizationToken',
      'ecr:BatchCheckLayerAvailability',
      'ecr:InitiateLayerUpload',
      'ecr:UploadLayerPart',
    ],
    ...['ecr:CompleteLayerUpload', 'ecr:PutImage', 'ecr:BatchGetImage', 'ecr:DescribeImages'],
  ];

  it.each([
    ['test', [...LOG, ...READS]],
    ['images', [...LOG, ...READS, ...WRITES, ...PUSH]],
    ['plan', [...LOG, ...READS, ...WRITES, 'sts:AssumeRole']],
    ['apply', [...LOG, ...READS, 'sts:AssumeRole']],
    [
      'deployment',
      [
        ...['codeconnections:UseConnection', 'codestar-connections:UseConnection'],
        ...['codebuild:StartBuild', 'codebuild:BatchGetBuilds', ...READS, ...WRITES],
        ...['s3:GetBucketVersioning', 'sns:Publish'],
      ],
    ],
  ])('%s: this, and nothing else', (path, expected) => {
    expect(actionsIn(path).toSorted()).toEqual(expected.toSorted());
  });

  it('is no pattern, and of something, but for signing in to the registry', () => {
    for (const path of [...PROJECTS, 'deployment'])
      for (const { Action, Resource } of rightsOf(path)) {
        expect(Action.filter((each) => each.includes('*'))).toEqual([]);
        if (Resource.includes('*')) expect(Action).toEqual(['ecr:GetAuthorizationToken']);
      }
  });

  it.each(PROJECTS)('opens what it reads with the key of the site, and by that nothing but objects: %s', (path) => {
    const opens = rightsOf(path).filter(({ Action }) => Action.includes('kms:Decrypt'));
    expect(opens).toMatchObject([
      { Action: ['kms:Decrypt'], Condition: { StringEquals: { 'kms:ViaService': 's3.us-east-2.amazonaws.com' } } },
    ]);
  });

  it('becomes the role that looks to plan, and the one that deploys to apply, which no other does', () => {
    const roles = (path: string) =>
      rightsOf(path).flatMap(({ Action, Resource }) => (Action.includes('sts:AssumeRole') ? Resource : []));
    const variable = (part: string) =>
      (
        inProd.one('aws_codebuild_project', `${part}/project`)['environment'] as {
          readonly environment_variable: readonly { readonly name: string; readonly value: string }[];
        }
      ).environment_variable.find(({ name }) => name === 'ROLE')!.value;
    const { planner, deployer } = withPipeline(shipped('akron.prod')).pipeline!;
    expect([roles('test'), roles('images'), roles('plan'), roles('apply')]).toEqual([[], [], [planner], [deployer]]);
    expect([variable('plan'), variable('apply')]).toEqual([planner, deployer]);
  });

  it('is more on the machine where images are built alone', () => {
    const privileged = PROJECTS.filter((part) => {
      const environment = inProd.one('aws_codebuild_project', `${part}/project`)['environment'];
      return (environment as { readonly privileged_mode: boolean }).privileged_mode;
    });
    expect(privileged).toEqual(['images']);
  });
});

describe('names and tags of the pipeline', () => {
  /** From the pages of the services. */
  const FORMS: Readonly<Record<string, readonly [attribute: string, form: RegExp]>> = {
    aws_codebuild_project: ['name', /^[A-Za-z0-9][\w-]{1,149}$/],
    aws_codepipeline: ['name', /^[\w.@-]{1,100}$/],
    aws_codeconnections_connection: ['name', /^[\w.-]{1,32}$/],
    aws_iam_role: ['name', /^[\w+=,.@-]{1,64}$/],
    aws_s3_bucket: ['bucket', /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/],
    aws_sns_topic: ['name', /^[\w-]{1,256}$/],
  };

  it.each(['a-site-of-many-letters-x', 'aa'])('are what each service takes at the site %s', (site) => {
    const made = at(shipped('akron.dev'), { site, stage: 'staging' }).resources.filter(
      ({ stack }) => stack === 'pipeline',
    );
    const named = made.filter(({ type }) => type in FORMS);
    expect(new Set(named.map(({ type }) => type))).toEqual(new Set(Object.keys(FORMS)));
    for (const { type, is } of named) {
      const [attribute, form] = FORMS[type]!;
      expect({ type, name: is[attribute] }).toEqual({ type, name: expect.stringMatching(form) });
    }
  });

  it('are told apart from those of the other stacks', () => {
    const names = inProd.resources.flatMap(({ type, is }) =>
      type === 'aws_iam_role_policy' || typeof is['name'] !== 'string' ? [] : [`${type} ${is['name']}`],
    );
    const ofPipeline = inPipeline.flatMap(({ type, is }) =>
      type === 'aws_iam_role_policy' || typeof is['name'] !== 'string' ? [] : [`${type} ${is['name']}`],
    );
    expect(ofPipeline.filter((name) => names.filter((each) => each === name).length > 1)).toEqual([]);
  });

  it('are on every resource that can carry tags', () => {
    const without = inPipeline.filter(({ is }) => is['tags'] === undefined).map(({ type }) => type);
    expect(new Set(without)).toEqual(
      new Set([
        ...['aws_iam_role_policy', 'aws_s3_bucket_lifecycle_configuration', 'aws_s3_bucket_ownership_controls'],
        ...['aws_s3_bucket_policy', 'aws_s3_bucket_public_access_block', 'aws_s3_bucket_versioning'],
        ...['aws_s3_bucket_server_side_encryption_configuration', 'aws_sns_topic_policy', 'aws_sns_topic_subscription'],
      ]),
    );
    for (const { is } of inPipeline.filter(({ is: { tags } }) => tags !== undefined))
      expect(is['tags']).toMatchObject({ Deployment: 'tribo-akron-prod', Owner: shipped('akron.prod').tags.owner });
  });
});
