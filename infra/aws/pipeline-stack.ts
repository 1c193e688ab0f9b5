import type { Construct } from 'constructs';
import { CloudwatchMetricAlarm } from '@cdktf/provider-aws/lib/cloudwatch-metric-alarm/index.js';
import { CodeconnectionsConnection } from '@cdktf/provider-aws/lib/codeconnections-connection/index.js';
import type { PipelineParts } from '../platform.ts';
import type { Site } from '../site.ts';
import { stateFile } from '../state-file.ts';
import { AwsStack } from './aws-stack.ts';
import { BuildProject } from './build-project.ts';
import { pushRights } from './ci-identity.ts';
import { DeploymentPipeline, type PipelineSettings } from './deployment-pipeline.ts';
import type { FoundationStack } from './foundation-stack.ts';
import { Operators } from './operators.ts';
import { PrivateBucket } from './private-bucket.ts';

/** What a run leaves for its later steps; GitHub has the code, and the registry the images. */
const ARTIFACT_DAYS = 30;
const OLD_VERSION_DAYS = 7;
const MAX_CONNECTION_NAME = 32;
const FIVE_MINUTES_S = 300;

/**
 * What deploys the site from within its account, by `switches.pipeline: codepipeline`. A stack of its own, which people apply and the pipeline never
 * does: in the foundation, which each run applies, a commit could take away the approval, or give the roles of the projects more rights.
 */
export class PipelineStack extends AwsStack implements PipelineParts {
  readonly source: CodeconnectionsConnection | undefined;
  readonly artifacts: PrivateBucket;
  readonly projects: Readonly<Record<'test' | 'images' | 'plan' | 'apply', BuildProject>>;
  readonly pipeline: DeploymentPipeline;
  readonly calls: Operators;

  constructor(scope: Construct, site: Site, settings: PipelineSettings, foundation: FoundationStack) {
    super(scope, 'pipeline', site);
    const { names } = site;
    const keyArn = foundation.key.arn;
    if (settings.connection === undefined)
      this.source = new CodeconnectionsConnection(this, 'source', {
        name: names.of('source', MAX_CONNECTION_NAME),
        providerType: 'GitHub',
      });
    this.artifacts = new PrivateBucket(this, 'artifacts', this, {
      kind: 'pipeline',
      keyArn,
      isDisposable: true,
      unreadBecause: 'The pipeline alone reads it, and its runs say when; the trail of the account has who else would',
      lifecycle: [
        {
          id: 'artifacts',
          status: 'Enabled',
          filter: [{ prefix: '' }],
          expiration: [{ days: ARTIFACT_DAYS }],
          noncurrentVersionExpiration: [{ noncurrentDays: OLD_VERSION_DAYS }],
        },
      ],
    });
    this.projects = this.#projects(settings, foundation);
    this.calls = new Operators(this, 'operators', this, { keyArn, part: 'pipeline' });
    this.pipeline = new DeploymentPipeline(this, 'deployment', {
      settings,
      keyArn,
      connectionArn: settings.connection ?? this.source!.arn,
      artifacts: this.artifacts,
      projects: this.projects,
      topicArn: this.calls.topicArn,
    });
    this.#callOperators();
  }

  #projects({ repository, planner, deployer }: PipelineSettings, { key, imageRegistry }: FoundationStack) {
    const { environment } = this.site;
    const of = { artifacts: this.artifacts, keyArn: key.arn } as const;
    const { bucket } = stateFile('aws', environment, 'pipeline');
    const stacks = {
      NAME: `${environment.site}.${environment.stage}`,
      SITE: environment.site,
      TF_VAR_github_repository: repository,
      // Without it the stacks are tried out with a state beside them, where no pipeline could find it.
      ...(bucket !== undefined && { TRIBO_STATE_BUCKET: bucket }),
    };
    const { repositories } = imageRegistry;
    const [first] = repositories.values();
    return {
      test: new BuildProject(this, 'test', {
        ...{ ...of, part: 'test', description: 'tests, checks, and the rules of the stacks', minutes: 90 },
      }),
      images: new BuildProject(this, 'images', {
        ...{ ...of, part: 'images', description: 'builds the images and pushes them by digest', minutes: 60 },
        hasOutput: true,
        buildsImages: true,
        variables: {
          // `<account>.dkr.ecr.<region>.amazonaws.com/tribo-akron-dev/ingestion-service`, of which the service is the last part.
          REPOSITORY: first!.repositoryUrl,
          SERVICES: [...repositories.keys()].join(' '),
          SOURCE: `https://github.com/${repository}`,
        },
        rights: pushRights(repositories),
      }),
      plan: new BuildProject(this, 'plan', {
        ...{ ...of, part: 'plan', description: 'says what a commit would change, and what it costs', minutes: 60 },
        hasOutput: true,
        variables: { ...stacks, ROLE: planner },
        rights: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Resource: planner }],
      }),
      apply: new BuildProject(this, 'apply', {
        ...{ ...of, part: 'apply', description: 'applies the stacks as the role that deploys', minutes: 180 },
        variables: { ...stacks, ROLE: deployer, REPOSITORIES: this.site.names.base },
        rights: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Resource: deployer }],
      }),
    };
  }

  #callOperators(): void {
    const { topicArn } = this.calls;
    new CloudwatchMetricAlarm(this, 'failed', {
      alarmName: this.site.names.of('pipeline-failed'),
      alarmDescription: 'A run of the pipeline failed: what it was to deploy is not deployed, or in part',
      namespace: 'AWS/CodePipeline',
      metricName: 'FailedPipelineExecutions',
      dimensions: { PipelineName: this.pipeline.name },
      statistic: 'Sum',
      period: FIVE_MINUTES_S,
      evaluationPeriods: 1,
      comparisonOperator: 'GreaterThanThreshold',
      threshold: 0,
      // No run is no failure.
      treatMissingData: 'notBreaching',
      alarmActions: [topicArn],
    });
  }
}
