import { TerraformVariable } from 'cdktf';
import { Construct } from 'constructs';
import { IamRole } from '@cdktf/provider-aws/lib/iam-role/index.js';
import { IamRolePolicy } from '@cdktf/provider-aws/lib/iam-role-policy/index.js';
import { LambdaFunctionEventInvokeConfig } from '@cdktf/provider-aws/lib/lambda-function-event-invoke-config/index.js';
import { LambdaFunction } from '@cdktf/provider-aws/lib/lambda-function/index.js';
import { LambdaPermission } from '@cdktf/provider-aws/lib/lambda-permission/index.js';
import { SnsTopicSubscription } from '@cdktf/provider-aws/lib/sns-topic-subscription/index.js';
import { SqsQueuePolicy } from '@cdktf/provider-aws/lib/sqs-queue-policy/index.js';
import { SqsQueue } from '@cdktf/provider-aws/lib/sqs-queue/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import type { AwsStack } from './aws-stack.ts';
import type { DeviceStreams } from './device-streams.ts';
import { EncryptedTopic } from './encrypted-topic.ts';
import { SENSOR_DATA_TOPIC } from './encryption-key.ts';
import { logGroup } from './log-group.ts';
import { policy, trust } from './policy.ts';

/** The folder of services/functions. */
const FUNCTION = 'sensor-data-processor';
/** The newest that the provider knows. */
const RUNTIME = 'nodejs22.x';
const TIMEOUT_S = 30;
/** At most so many at a time: what is published to the topic must not take the stream from the devices. */
const MOST_AT_A_TIME = 10;
const RETRIES = 2;
const HOUR_S = 3600;
/** The longest that SQS keeps anything. */
const KEPT_FAILED_S = 14 * 24 * HOUR_S;

interface Parts {
  readonly streams: DeviceStreams;
  readonly keyArn: string;
}

/**
 * The serverless path: a topic for programs that send readings of devices, and the function that puts them into the stream which the device gateway
 * reads. What it fails for, after further tries, is kept in a queue, and somebody is called. It reaches Kinesis alone and so is in no network.
 */
export class LambdaFunctions extends Construct {
  readonly functionName: string;
  /** Of what the function failed for. */
  readonly failedQueueName: string;

  constructor(scope: AwsStack, id: string, { streams, keyArn }: Parts) {
    super(scope, id);
    const topic = new EncryptedTopic(this, 'topic', scope, {
      part: SENSOR_DATA_TOPIC,
      displayName: 'Tribo: readings',
      keyArn,
    });
    const failed = this.#failedQueue(scope, topic.arn, keyArn);
    const run = this.#function(scope, { streams, keyArn }, failed);
    this.functionName = run.functionName;
    this.failedQueueName = failed.name;
    new LambdaPermission(this, 'from-topic', {
      statementId: 'from-topic',
      action: 'lambda:InvokeFunction',
      functionName: run.functionName,
      principal: 'sns.amazonaws.com',
      sourceArn: topic.arn,
    });
    new SnsTopicSubscription(this, 'subscription', {
      topicArn: topic.arn,
      protocol: 'lambda',
      endpoint: run.arn,
      // What could not even be handed to the function.
      redrivePolicy: JSON.stringify({ deadLetterTargetArn: failed.arn }),
    });
    new LambdaFunctionEventInvokeConfig(this, 'tries', {
      functionName: run.functionName,
      maximumRetryAttempts: RETRIES,
      maximumEventAgeInSeconds: 6 * HOUR_S,
    });
  }

  #failedQueue(scope: AwsStack, topicArn: string, keyArn: string): SqsQueue {
    const queue = new SqsQueue(this, 'failed', {
      name: scope.site.names.of('sensor-data-failed', 80),
      messageRetentionSeconds: KEPT_FAILED_S,
      kmsMasterKeyId: keyArn,
    });
    new SqsQueuePolicy(this, 'failed-policy', {
      queueUrl: queue.url,
      policy: policy([
        {
          Sid: 'TlsAlone',
          Effect: 'Deny',
          Principal: '*',
          Action: 'sqs:*',
          Resource: queue.arn,
          Condition: { Bool: { 'aws:SecureTransport': 'false' } },
        },
        {
          Sid: 'FromTheTopic',
          Effect: 'Allow',
          Principal: { Service: 'sns.amazonaws.com' },
          Action: 'sqs:SendMessage',
          Resource: queue.arn,
          Condition: { ArnEquals: { 'aws:SourceArn': topicArn } },
        },
      ]),
    });
    return queue;
  }

  #function(scope: AwsStack, { streams, keyArn }: Parts, failed: SqsQueue): LambdaFunction {
    const { names, environment } = scope.site;
    const log = logGroup(this, 'log', scope.site, { name: `/${names.path}${FUNCTION}`, keyArn });
    const role = new IamRole(this, 'role', {
      name: names.of(FUNCTION, 64),
      description: 'Puts readings of the topic into the stream of devices',
      // Lambda does not say on whose behalf it takes a role, which whoever makes a function can pass to it within the account alone.
      assumeRolePolicy: trust('lambda.amazonaws.com'),
    });
    const rights = new IamRolePolicy(this, 'rights', {
      name: 'put-readings',
      role: role.id,
      policy: policy([
        { Effect: 'Allow', Action: 'kinesis:PutRecords', Resource: [streams.messages.arn] },
        { Effect: 'Allow', Action: 'sqs:SendMessage', Resource: [failed.arn] },
        { Effect: 'Allow', Action: ['kms:GenerateDataKey', 'kms:Decrypt'], Resource: [keyArn] },
        {
          Effect: 'Allow',
          Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
          Resource: [scope.arn('logs', `log-group:/${names.path}${FUNCTION}:log-stream:*`)],
        },
      ]),
    });
    const bundle = bundleVariable(this);
    const made = new LambdaFunction(this, FUNCTION, {
      functionName: names.of(FUNCTION, 64),
      description: 'Hands readings that are published to the topic to intake',
      role: role.arn,
      packageType: 'Zip',
      runtime: RUNTIME,
      architectures: ['arm64'],
      handler: 'index.handler',
      filename: bundle.stringValue,
      sourceCodeHash: `\${filebase64sha256(var.${BUNDLE})}`,
      timeout: TIMEOUT_S,
      memorySize: 256,
      reservedConcurrentExecutions: MOST_AT_A_TIME,
      kmsKeyArn: keyArn,
      environment: {
        variables: {
          TRIBO_DEVICE_STREAM: streams.messages.nameInput!,
          TRIBO_TENANT: environment.tenants[0]!,
          TRIBO_SITE: environment.site,
        },
      },
      deadLetterConfig: { targetArn: failed.arn },
      tracingConfig: { mode: 'PassThrough' },
      loggingConfig: { logFormat: 'JSON', logGroup: log.name },
      // Lambda looks whether the role may write to the queue.
      dependsOn: [rights],
    });
    return acknowledge(made, {
      CKV_AWS_117: 'It speaks to Kinesis and SQS alone, by its role: within the network it could reach more, not less',
      CKV_AWS_272: 'Its bundle is deployed by the role of the pipeline alone, which made it, and checked by its digest',
    });
  }
}

const BUNDLE = 'sensor_data_processor_bundle';

/** The bundle of a release, as images are by digest: what is synthesized does not change with the code. */
function bundleVariable(scope: Construct): TerraformVariable {
  const variable = new TerraformVariable(scope, 'bundle', {
    type: 'string',
    description: 'The bundle of sensor-data-processor, as `npm run functions` writes it: the path of a zip',
    validation: [
      {
        condition: `\${can(regex("[.]zip$", var.${BUNDLE}))}`,
        errorMessage: `${BUNDLE} must be the path of a zip.`,
      },
    ],
  });
  variable.overrideLogicalId(BUNDLE);
  return variable;
}
