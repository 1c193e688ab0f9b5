import { Construct } from 'constructs';
import { KmsAlias } from '@cdktf/provider-aws/lib/kms-alias/index.js';
import { KmsKey } from '@cdktf/provider-aws/lib/kms-key/index.js';
import type { AwsStack } from './aws-stack.ts';
import { policy } from './policy.ts';

/** So long a deletion of the key can be taken back: without it all that the site holds is lost. */
const DELETION_WINDOW_DAYS = 30;

/** Of readings that programs publish, for the function that takes them. */
export const SENSOR_DATA_TOPIC = 'sensor-data';

/** The site's own key, with which all that holds data is encrypted. */
export class EncryptionKey extends Construct {
  readonly arn: string;

  constructor(scope: AwsStack, id: string) {
    super(scope, id);
    const { names, region } = scope.site;
    const ofAccount = { StringEquals: { 'aws:SourceAccount': scope.account } };
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
          Principal: { AWS: `arn:${scope.partition}:iam::${scope.account}:root` },
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
                scope.arn('logs', `log-group:/${names.path}*`),
                scope.arn('logs', `log-group:/aws/sagemaker/Endpoints/${names.base}-*`),
                scope.arn('logs', `log-group:aws-waf-logs-${names.base}`),
                scope.arn('logs', `log-group:/aws/rds/instance/${names.base}-*`),
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
        {
          Sid: 'FailedReadingsToTheirQueue',
          Effect: 'Allow',
          Principal: { Service: 'sns.amazonaws.com' },
          Action: ['kms:GenerateDataKey*', 'kms:Decrypt'],
          Resource: '*',
          Condition: { ArnEquals: { 'aws:SourceArn': scope.arn('sns', names.of(SENSOR_DATA_TOPIC, 256)) } },
        },
        {
          Sid: 'TheAuditTrail',
          Effect: 'Allow',
          Principal: { Service: 'cloudtrail.amazonaws.com' },
          Action: ['kms:GenerateDataKey*', 'kms:DescribeKey'],
          Resource: '*',
          Condition: {
            StringEquals: { 'aws:SourceArn': scope.arn('cloudtrail', `trail/${names.of('audit', 128)}`) },
          },
        },
      ]),
      tags: { Name: names.base },
      lifecycle: { preventDestroy: scope.site.isProtected },
    });
    new KmsAlias(this, 'alias', { name: `alias/${names.base}`, targetKeyId: key.keyId });
    this.arn = key.arn;
  }
}
