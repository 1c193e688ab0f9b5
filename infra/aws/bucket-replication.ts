import { Construct } from 'constructs';
import { IamRole } from '@cdktf/provider-aws/lib/iam-role/index.js';
import { IamRolePolicy } from '@cdktf/provider-aws/lib/iam-role-policy/index.js';
import { S3BucketReplicationConfigurationA } from '@cdktf/provider-aws/lib/s3-bucket-replication-configuration/index.js';
import type { AwsStack } from './aws-stack.ts';
import { policy, trust } from './policy.ts';
import type { PrivateBucket } from './private-bucket.ts';

/** What S3 promises with its control of the time; it takes no other number. */
const WITHIN_MINUTES = 15;

interface Replication {
  readonly kind: string;
  readonly from: PrivateBucket;
  readonly to: PrivateBucket;
  /** Of the second bucket. */
  readonly region: string;
  readonly keyArn: string;
  readonly isDeletedThere: boolean;
}

/** Has S3 copy each object of a bucket to one in another region within a quarter of an hour, and the role that it does that by. */
export class BucketReplication extends Construct {
  constructor(scope: Construct, id: string, stack: AwsStack, parts: Replication) {
    super(scope, id);
    const { kind, from, to, region, keyArn, isDeletedThere } = parts;
    const { names } = stack.site;
    const role = new IamRole(this, 'role', {
      name: names.of(`${kind}-replication`, 64),
      description: `Copies ${kind} to ${region}`,
      // As S3 documents it: it promises nowhere to say on whose behalf it copies, and whoever makes the rule passes the role within the account.
      assumeRolePolicy: trust('s3.amazonaws.com'),
    });
    const rights = new IamRolePolicy(this, 'rights', {
      name: 'replicate',
      role: role.id,
      policy: policy([
        { Effect: 'Allow', Action: ['s3:GetReplicationConfiguration', 's3:ListBucket'], Resource: [from.arn] },
        {
          Effect: 'Allow',
          Action: [...['s3:GetObjectVersionForReplication', 's3:GetObjectVersionAcl'], 's3:GetObjectVersionTagging'],
          Resource: [`${from.arn}/*`],
        },
        {
          Effect: 'Allow',
          Action: ['s3:ReplicateObject', 's3:ReplicateTags', ...(isDeletedThere ? ['s3:ReplicateDelete'] : [])],
          Resource: [`${to.arn}/*`],
        },
        {
          Effect: 'Allow',
          Action: 'kms:Decrypt',
          Resource: [from.keyArn!],
          Condition: { StringEquals: { 'kms:ViaService': `s3.${stack.site.region}.amazonaws.com` } },
        },
        {
          Effect: 'Allow',
          Action: ['kms:Encrypt', 'kms:GenerateDataKey'],
          Resource: [keyArn],
          Condition: { StringEquals: { 'kms:ViaService': `s3.${region}.amazonaws.com` } },
        },
      ]),
    });
    new S3BucketReplicationConfigurationA(this, 'rule', {
      bucket: from.bucket,
      role: role.arn,
      rule: [
        {
          id: 'all',
          status: 'Enabled',
          priority: 0,
          filter: { prefix: '' },
          deleteMarkerReplication: { status: isDeletedThere ? 'Enabled' : 'Disabled' },
          sourceSelectionCriteria: { sseKmsEncryptedObjects: { status: 'Enabled' } },
          destination: {
            bucket: to.arn,
            encryptionConfiguration: { replicaKmsKeyId: keyArn },
            replicationTime: { status: 'Enabled', time: { minutes: WITHIN_MINUTES } },
            metrics: { status: 'Enabled', eventThreshold: { minutes: WITHIN_MINUTES } },
          },
        },
      ],
      // Both have to keep versions, and the role to be allowed, before S3 takes the rule.
      dependsOn: [from.versioning, to.versioning, rights],
    });
  }
}
