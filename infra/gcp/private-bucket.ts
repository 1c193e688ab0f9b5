import { Construct } from 'constructs';
import { StorageBucket, type StorageBucketLifecycleRule } from '@cdktf/provider-google/lib/storage-bucket/index.js';
import type { GcpStack } from './gcp-stack.ts';

interface BucketKind {
  /** The part of its name that tells it from the site's others: at most nine letters. */
  readonly kind: string;
  readonly keyName: string;
  readonly lifecycle: readonly StorageBucketLifecycleRule[];
  /** What is in it can be neither deleted nor replaced for so long; it has no versions then, as there is never a second one. */
  readonly lockedForS?: number;
  /** The bucket that is told who asked for what, and where in it. */
  readonly accessLog?: { readonly bucket: string; readonly prefix: string };
}

const DAY_S = 86_400;
/** What is given up half-way is not paid for. */
const UNFINISHED_DAYS = 7;
/** Deleted objects, and the bucket itself, can be had back for so long. */
const RECOVERABLE_S = 7 * DAY_S;

/** A bucket that nobody outside reaches: no public access by any way, rights by IAM alone, encrypted, in versions, with rules for what is old. */
export class PrivateBucket extends Construct {
  readonly bucket: StorageBucket;

  constructor(scope: Construct, id: string, stack: GcpStack, kindOf: BucketKind) {
    super(scope, id);
    const { kind, keyName, lifecycle, lockedForS, accessLog } = kindOf;
    const { names, region, isProtected } = stack.site;
    const isLocked = lockedForS !== undefined;
    this.bucket = new StorageBucket(this, 'bucket', {
      // Names of buckets are the whole world's: the project makes this one ours.
      name: `${names.base}-${kind}-${stack.projectNumber}`,
      location: region,
      storageClass: 'STANDARD',
      uniformBucketLevelAccess: true,
      publicAccessPrevention: 'enforced',
      encryption: { defaultKmsKeyName: keyName },
      versioning: { enabled: !isLocked },
      ...(isLocked && { retentionPolicy: { isLocked: true, retentionPeriod: lockedForS } }),
      softDeletePolicy: { retentionDurationSeconds: isProtected ? RECOVERABLE_S : 0 },
      lifecycleRule: [
        ...lifecycle,
        { action: { type: 'AbortIncompleteMultipartUpload' }, condition: { age: UNFINISHED_DAYS } },
      ],
      ...(accessLog && { logging: { logBucket: accessLog.bucket, logObjectPrefix: accessLog.prefix } }),
      forceDestroy: !isProtected,
      lifecycle: { preventDestroy: isProtected },
    });
  }
}
