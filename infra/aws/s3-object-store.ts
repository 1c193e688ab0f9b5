import type { S3BucketLifecycleConfigurationRule } from '@cdktf/provider-aws/lib/s3-bucket-lifecycle-configuration/index.js';
import { S3BucketLoggingA } from '@cdktf/provider-aws/lib/s3-bucket-logging/index.js';
import { S3BucketMetric } from '@cdktf/provider-aws/lib/s3-bucket-metric/index.js';
import { Construct } from 'constructs';
import type { Environment } from '../../core/decision/environment.ts';
import { HISTORY_PREFIX } from '../warehouse-tables.ts';
import type { AwsStack } from './aws-stack.ts';
import type { S3AuditStore } from './s3-audit-store.ts';
import type { ObjectStoreSection } from './ports.ts';
import { PrivateBucket, type BucketRules } from './private-bucket.ts';

/** After so long an object is in the archive, from which it is still read at once: `GLACIER` and below would have adapters wait for hours. */
const ARCHIVE_DAYS = 90;
const ARCHIVE = 'GLACIER_IR';
/** What was overwritten or deleted by mistake can be had back for so long. */
const OLD_VERSION_DAYS = 30;
/** Models are few, and one may be rolled back to long after. */
const OLD_MODEL_DAYS = 365;
/** The platform collects the parts of waveforms that never became whole; this is for those that it never saw. */
const PARTS_DAYS = 7;

/** Where a training job reads and writes: beside what the platform keeps there. */
export const TRAINING_PREFIX = 'training/';

/** The filter of the metrics of requests, by which errors of S3 are seen. */
export const WHOLE_BUCKET = 'whole-bucket';

/** The bucket of waveforms, raw archive and models, one prefix a kind (docs/architecture.md), each with its own rule for what is old. */
export class S3ObjectStore extends Construct {
  readonly bucket: string;
  readonly objects: PrivateBucket;
  /** What becomes of each kind of object, also in a copy of the bucket. */
  readonly lifecycle: BucketRules['lifecycle'];
  readonly section: ObjectStoreSection;

  constructor(
    scope: AwsStack,
    id: string,
    { keyArn, audit }: { readonly keyArn: string; readonly audit: S3AuditStore },
  ) {
    super(scope, id);
    this.lifecycle = objectRules(scope.site.environment);
    this.objects = new PrivateBucket(this, 'objects', scope, { kind: 'objects', keyArn, lifecycle: this.lifecycle });
    const { bucket } = this.objects;
    new S3BucketMetric(this, 'requests', { bucket, name: WHOLE_BUCKET });
    new S3BucketLoggingA(this, 'access', {
      bucket,
      targetBucket: audit.access.bucket,
      targetPrefix: 'objects/',
      dependsOn: [audit.access.access],
    });
    this.bucket = bucket;
    this.section = { bucket };
  }
}

/** What becomes of each kind of object. */
function objectRules({ retention, switches }: Environment): readonly S3BucketLifecycleConfigurationRule[] {
  return [
    keptFor('waveforms/', retention.waveformsDays),
    keptFor('raw/', retention.rawArchiveDays),
    keptFor('parts/', PARTS_DAYS),
    { ...rule('models/'), noncurrentVersionExpiration: [{ noncurrentDays: OLD_MODEL_DAYS }] },
    // What training jobs leave stays until somebody takes it away, and so do exports.
    oldVersionsOf(TRAINING_PREFIX),
    ...(switches.warehouse ? [oldVersionsOf(HISTORY_PREFIX)] : []),
  ];
}

function keptFor(prefix: string, days: number): S3BucketLifecycleConfigurationRule {
  return {
    ...rule(prefix),
    ...(days > ARCHIVE_DAYS && { transition: [{ days: ARCHIVE_DAYS, storageClass: ARCHIVE }] }),
    expiration: [{ days }],
    noncurrentVersionExpiration: [{ noncurrentDays: OLD_VERSION_DAYS }],
  };
}

/** Of what the stacks delete nothing that is current. */
function oldVersionsOf(prefix: string): S3BucketLifecycleConfigurationRule {
  return { ...rule(prefix), noncurrentVersionExpiration: [{ noncurrentDays: OLD_VERSION_DAYS }] };
}

function rule(prefix: string): S3BucketLifecycleConfigurationRule {
  return { id: prefix.replace('/', ''), status: 'Enabled', filter: [{ prefix }] };
}
