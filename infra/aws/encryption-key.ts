import { Construct } from 'constructs';
import { KmsAlias } from '@cdktf/provider-aws/lib/kms-alias/index.js';
import { KmsKey } from '@cdktf/provider-aws/lib/kms-key/index.js';
import { isKubernetes } from '../site.ts';
import type { AwsStack } from './aws-stack.ts';
import { logsOfCluster } from './cluster-names.ts';
import { policy, type Statement } from './policy.ts';

/** So long a deletion of the key can be taken back: without it all that the site holds is lost. */
const DELETION_WINDOW_DAYS = 30;

/** Of readings that programs publish, for the function that takes them. */
export const SENSOR_DATA_TOPIC = 'sensor-data';

/** The site's own key, with which all that holds data is encrypted. */
export class EncryptionKey extends Construct {
  readonly arn: string;

  /** In the first region of the site, or in another. */
  constructor(scope: Construct, id: string, stack: AwsStack, region = stack.site.region) {
    super(scope, id);
    const { names } = stack.site;
    const isFirst = region === stack.site.region;
    const ofAccount = { StringEquals: { 'aws:SourceAccount': stack.account } };
    const key = new KmsKey(this, 'key', {
      description: `All that ${names.base} holds`,
      enableKeyRotation: true,
      rotationPeriodInDays: 365,
      deletionWindowInDays: DELETION_WINDOW_DAYS,
      policy: policy([
        {
          // Without it a key can be managed by nobody: who may use it is said by the policies of roles.
          Sid: 'RolesOfTheAccount',
          Effect: 'Allow',
          Principal: { AWS: `arn:${stack.partition}:iam::${stack.account}:root` },
          Action: 'kms:*',
          Resource: '*',
        },
        {
          Sid: 'LogGroupsOfTheSite',
          Effect: 'Allow',
          Principal: { Service: `logs.${region}.amazonaws.com` },
          Action: ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:DescribeKey'],
          Resource: '*',
          Condition: {
            ArnLike: {
              'kms:EncryptionContext:aws:logs:arn': [
                stack.arn('logs', `log-group:/${names.path}*`, region),
                stack.arn('logs', `log-group:/aws/sagemaker/Endpoints/${names.base}-*`, region),
                stack.arn('logs', `log-group:aws-waf-logs-${names.base}`, region),
                stack.arn('logs', `log-group:/aws/rds/instance/${names.base}-*`, region),
                ...(isKubernetes(stack.site)
                  ? Object.values(logsOfCluster(names)).map((name) => stack.arn('logs', `log-group:${name}`, region))
                  : []),
              ],
            },
          },
        },
        {
          Sid: 'AlarmsToTheTopic',
          Effect: 'Allow',
          Principal: { Service: 'cloudwatch.amazonaws.com' },
          Action: ['kms:GenerateDataKey*', 'kms:Decrypt'],
          Resource: '*',
          Condition: ofAccount,
        },
        // There is one trail, of all regions; and what is sent by topic is in the first.
        ...(isFirst ? [topicMayEncrypt(stack), trailMayEncrypt(stack)] : []),
      ]),
      tags: { Name: names.base },
      lifecycle: { preventDestroy: stack.site.isProtected },
    });
    new KmsAlias(this, 'alias', { name: `alias/${names.base}${isFirst ? '' : '/second'}`, targetKeyId: key.keyId });
    this.arn = key.arn;
  }
}

function topicMayEncrypt(stack: AwsStack): Statement {
  return {
    Sid: 'FailedReadingsToTheirQueue',
    Effect: 'Allow',
    Principal: { Service: 'sns.amazonaws.com' },
    Action: ['kms:GenerateDataKey*', 'kms:Decrypt'],
    Resource: '*',
    Condition: {
      ArnEquals: { 'aws:SourceArn': stack.arn('sns', stack.site.names.of(SENSOR_DATA_TOPIC, 256)) },
    },
  };
}

function trailMayEncrypt(stack: AwsStack): Statement {
  return {
    Sid: 'TheAuditTrail',
    Effect: 'Allow',
    Principal: { Service: 'cloudtrail.amazonaws.com' },
    Action: ['kms:GenerateDataKey*', 'kms:DescribeKey'],
    Resource: '*',
    Condition: {
      StringEquals: { 'aws:SourceArn': stack.arn('cloudtrail', `trail/${stack.site.names.of('audit', 128)}`) },
    },
  };
}
