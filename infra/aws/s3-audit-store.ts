import { Construct } from 'constructs';
import { S3BucketLoggingA } from '@cdktf/provider-aws/lib/s3-bucket-logging/index.js';
import type { AwsStack } from './aws-stack.ts';
import { PrivateBucket, type BucketRules } from './private-bucket.ts';
import { TRAIL } from './audit-trail.ts';

const ARCHIVE_DAYS = 90;
const ACCESS_DAYS = 365;
const OLD_VERSION_DAYS = 30;

/** Nothing of it ever goes, also in a copy of the bucket. */
export const AUDIT_RULES: BucketRules['lifecycle'] = [
  {
    id: 'archive',
    status: 'Enabled',
    filter: [{ prefix: '' }],
    transition: [{ days: ARCHIVE_DAYS, storageClass: 'GLACIER_IR' }],
    noncurrentVersionTransition: [{ noncurrentDays: ARCHIVE_DAYS, storageClass: 'GLACIER_IR' }],
  },
];

/** Who did what in the account, which is kept for ever, old versions too; and apart from it who asked for what, which is kept for a year. */
export class S3AuditStore extends Construct {
  readonly audit: PrivateBucket;
  /** Requests to the API, to the bucket of objects and to that of the audit. */
  readonly access: PrivateBucket;

  constructor(scope: AwsStack, id: string, { keyArn }: { readonly keyArn: string }) {
    super(scope, id);
    const trailArn = scope.arn('cloudtrail', `trail/${scope.site.names.of(TRAIL, 128)}`);
    this.audit = new PrivateBucket(this, 'audit', scope, {
      kind: 'audit',
      keyArn,
      lifecycle: AUDIT_RULES,
      allow: (arn) => [
        {
          Sid: 'TrailLooks',
          Effect: 'Allow',
          Principal: { Service: 'cloudtrail.amazonaws.com' },
          Action: 's3:GetBucketAcl',
          Resource: arn,
          Condition: { StringEquals: { 'aws:SourceArn': trailArn } },
        },
        {
          Sid: 'TrailWrites',
          Effect: 'Allow',
          Principal: { Service: 'cloudtrail.amazonaws.com' },
          Action: 's3:PutObject',
          Resource: `${arn}/AWSLogs/${scope.account}/*`,
          Condition: {
            StringEquals: { 'aws:SourceArn': trailArn, 's3:x-amz-acl': 'bucket-owner-full-control' },
          },
        },
      ],
    });
    this.access = new PrivateBucket(this, 'access', scope, {
      kind: 'access',
      // The balancer writes to buckets with S3's own key alone.
      lifecycle: [
        {
          id: 'year',
          status: 'Enabled',
          filter: [{ prefix: '' }],
          transition: [{ days: ARCHIVE_DAYS, storageClass: 'GLACIER_IR' }],
          expiration: [{ days: ACCESS_DAYS }],
          noncurrentVersionExpiration: [{ noncurrentDays: OLD_VERSION_DAYS }],
        },
      ],
      allow: (arn) => [
        {
          Sid: 'BalancerWrites',
          Effect: 'Allow',
          Principal: { Service: 'logdelivery.elasticloadbalancing.amazonaws.com' },
          Action: 's3:PutObject',
          Resource: `${arn}/api/AWSLogs/${scope.account}/*`,
        },
        {
          Sid: 'StorageWrites',
          Effect: 'Allow',
          Principal: { Service: 'logging.s3.amazonaws.com' },
          Action: 's3:PutObject',
          Resource: [`${arn}/objects/*`, `${arn}/audit/*`],
          Condition: { StringEquals: { 'aws:SourceAccount': scope.account } },
        },
      ],
    });
    new S3BucketLoggingA(this, 'audit-access', {
      bucket: this.audit.bucket,
      targetBucket: this.access.bucket,
      targetPrefix: 'audit/',
      dependsOn: [this.access.access],
    });
  }
}
