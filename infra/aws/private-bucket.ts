import { Construct } from 'constructs';
import { S3BucketLifecycleConfiguration } from '@cdktf/provider-aws/lib/s3-bucket-lifecycle-configuration/index.js';
import type { S3BucketLifecycleConfigurationRule } from '@cdktf/provider-aws/lib/s3-bucket-lifecycle-configuration/index.js';
import { S3BucketOwnershipControls } from '@cdktf/provider-aws/lib/s3-bucket-ownership-controls/index.js';
import { S3BucketPolicy } from '@cdktf/provider-aws/lib/s3-bucket-policy/index.js';
import { S3BucketPublicAccessBlock } from '@cdktf/provider-aws/lib/s3-bucket-public-access-block/index.js';
import { S3BucketServerSideEncryptionConfigurationA } from '@cdktf/provider-aws/lib/s3-bucket-server-side-encryption-configuration/index.js';
import { S3BucketVersioningA } from '@cdktf/provider-aws/lib/s3-bucket-versioning/index.js';
import { S3Bucket } from '@cdktf/provider-aws/lib/s3-bucket/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import type { AwsStack } from './aws-stack.ts';
import { policy, type Statement } from './policy.ts';

/** What becomes of what is old. */
export interface BucketRules {
  readonly lifecycle: readonly S3BucketLifecycleConfigurationRule[];
}

interface BucketKind extends BucketRules {
  /** The part of its name that tells it from the site's others: at most nine letters. */
  readonly kind: string;
  /** Absent where what writes it cannot use a key: then that of S3 itself. */
  readonly keyArn?: string;
  /** Which has the objects of another, and is told of by that. */
  readonly isCopy?: true;
  /** Whose objects can all be made again: it goes with its stack, in any stage. */
  readonly isDisposable?: true;
  /** Why nobody asks who read from it; absent where its readers are written down. */
  readonly unreadBecause?: string;
  /** Who else may do what, beside the roles of the account. */
  readonly allow?: (arn: string) => readonly Statement[];
}

/** What is given up half-way is not paid for. */
const UNFINISHED_DAYS = 7;

/** A bucket that nobody outside reaches: no public access by any way, TLS alone, encrypted, in versions, with rules for what is old. */
export class PrivateBucket extends Construct {
  readonly bucket: string;
  readonly arn: string;
  readonly keyArn: string | undefined;
  readonly versioning: S3BucketVersioningA;
  /** What has to be there before others write to it. */
  readonly access: S3BucketPolicy;

  constructor(
    scope: Construct,
    id: string,
    stack: AwsStack,
    { kind, keyArn, lifecycle, allow, isCopy, isDisposable, unreadBecause }: BucketKind,
  ) {
    super(scope, id);
    const { names } = stack.site;
    const isProtected = stack.site.isProtected && isDisposable !== true;
    // Names of buckets are the whole world's: the account makes this one ours.
    const made = new S3Bucket(this, 'bucket', {
      bucket: `${names.base}-${kind}-${stack.account}`,
      forceDestroy: !isProtected,
      lifecycle: { preventDestroy: isProtected },
    });
    acknowledge(made, {
      ...(isCopy !== true && {
        CKV_AWS_144: 'A copy in a second region is bought by switches.secondRegion; old versions are kept in any case',
      }),
      ...(unreadBecause !== undefined && { CKV_AWS_18: unreadBecause }),
      CKV2_AWS_62: 'Nothing is to be told of each object: who writes one says so in a stream',
      ...(keyArn === undefined && {
        CKV_AWS_145: 'The balancer and S3 itself write logs to buckets with the key of S3 alone',
      }),
    });
    const { id: bucket, arn } = made;
    this.bucket = bucket;
    this.arn = arn;
    const closed = new S3BucketPublicAccessBlock(this, 'public-access', {
      bucket,
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    });
    new S3BucketOwnershipControls(this, 'ownership', { bucket, rule: { objectOwnership: 'BucketOwnerEnforced' } });
    new S3BucketServerSideEncryptionConfigurationA(this, 'encryption', {
      bucket,
      rule: [
        keyArn === undefined
          ? { applyServerSideEncryptionByDefault: { sseAlgorithm: 'AES256' } }
          : {
              applyServerSideEncryptionByDefault: { sseAlgorithm: 'aws:kms', kmsMasterKeyId: keyArn },
              // A key a bucket and not an object: a hundredth of the calls to KMS.
              bucketKeyEnabled: true,
            },
      ],
    });
    this.keyArn = keyArn;
    this.versioning = new S3BucketVersioningA(this, 'versioning', {
      bucket,
      versioningConfiguration: { status: 'Enabled' },
    });
    new S3BucketLifecycleConfiguration(this, 'lifecycle', {
      bucket,
      rule: [...lifecycle, leftovers()],
      // Rules for old versions are refused where there are none yet.
      dependsOn: [this.versioning],
    });
    this.access = new S3BucketPolicy(this, 'policy', {
      bucket,
      policy: policy([
        {
          Sid: 'TlsAlone',
          Effect: 'Deny',
          Principal: '*',
          Action: 's3:*',
          Resource: [arn, `${arn}/*`],
          Condition: { Bool: { 'aws:SecureTransport': 'false' } },
        },
        ...(allow?.(arn) ?? []),
      ]),
      dependsOn: [closed],
    });
  }
}

/** What stays of uploads that were given up, and of objects whose last version is gone. */
function leftovers(): S3BucketLifecycleConfigurationRule {
  return {
    id: 'leftovers',
    status: 'Enabled',
    filter: [{ prefix: '' }],
    abortIncompleteMultipartUpload: [{ daysAfterInitiation: UNFINISHED_DAYS }],
    expiration: [{ expiredObjectDeleteMarker: true }],
  };
}
