import { Construct } from 'constructs';
import { StorageBucket, type StorageBucketLifecycleRule } from '@cdktf/provider-google/lib/storage-bucket/index.js';
import type { GcpStack } from './gcp-stack.ts';
import type { SecondKeys } from './second-keys.ts';

/** What a bucket is encrypted with: the key of the region, or that of both. */
export interface BucketKeys {
  readonly keyName: string;
  /** By which it is in both regions, where it is to outlive the first. */
  readonly second?: SecondKeys | undefined;
}

interface BucketKind extends BucketKeys {
  /** The part of its name that tells it from the site's others: at most nine letters. */
  readonly kind: string;
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
    const { kind, lifecycle, lockedForS, accessLog } = kindOf;
    const { names, isProtected } = stack.site;
    const isLocked = lockedForS !== undefined;
    this.bucket = new StorageBucket(this, 'bucket', {
      // Names of buckets are the whole world's: the project makes this one ours.
      name: `${names.base}-${kind}-${stack.projectNumber}`,
      ...placeOf(stack, kindOf),
      storageClass: 'STANDARD',
      uniformBucketLevelAccess: true,
      publicAccessPrevention: 'enforced',
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

/** Where it is, and its key there. In two regions each object is in both within a quarter of an hour, by Google's promise, or somebody is called. */
function placeOf({ site: { region } }: GcpStack, { keyName, second }: BucketKind) {
  if (!second) return { location: region, encryption: { defaultKmsKeyName: keyName } };
  const { location, placement } = second.place.span;
  return {
    location,
    ...(placement && { customPlacementConfig: { dataLocations: [...placement] } }),
    rpo: 'ASYNC_TURBO',
    encryption: { defaultKmsKeyName: second.buckets.keyName },
  };
}
