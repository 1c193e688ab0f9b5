import { Construct } from 'constructs';
import { Cloudtrail } from '@cdktf/provider-aws/lib/cloudtrail/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import type { AwsStack } from './aws-stack.ts';
import type { S3AuditStore } from './s3-audit-store.ts';

/** The part of the trail's name that tells it from the site's other things; key and bucket let this trail alone in. */
export const TRAIL = 'audit';

/** Who changed what in the account, signed so that nothing can be taken out of it. What people change in the platform is in its own audit trail. */
export class AuditTrail extends Construct {
  constructor(
    scope: AwsStack,
    id: string,
    { keyArn, store }: { readonly keyArn: string; readonly store: S3AuditStore },
  ) {
    super(scope, id);
    const trail = new Cloudtrail(this, 'trail', {
      name: scope.site.names.of(TRAIL, 128),
      s3BucketName: store.audit.bucket,
      kmsKeyId: keyArn,
      isMultiRegionTrail: true,
      includeGlobalServiceEvents: true,
      enableLogFileValidation: true,
      dependsOn: [store.audit.access],
    });
    acknowledge(trail, {
      CKV2_AWS_10:
        'Nothing reads it as it comes: it is evidence, kept for ever in its bucket; CloudWatch would hold a second copy for a time',
      CKV_AWS_252: 'Nobody is to be told of each file of it',
    });
  }
}
