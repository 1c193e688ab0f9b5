import type { StorageBucket, StorageBucketLifecycleRule } from '@cdktf/provider-google/lib/storage-bucket/index.js';
import { Construct } from 'constructs';
import type { Environment } from '../../core/decision/environment.ts';
import { HISTORY_PREFIX } from '../warehouse-tables.ts';
import type { GcpStack } from './gcp-stack.ts';
import type { GcsAuditStore } from './gcs-audit-store.ts';
import type { ObjectStoreSection } from './ports.ts';
import { PrivateBucket, type BucketKeys } from './private-bucket.ts';

/** After so long an object is in the archive, from which it is still read at once. */
const ARCHIVE_DAYS = 90;
/** What was overwritten or deleted by mistake can be had back for so long. */
const OLD_VERSION_DAYS = 30;
/** Models are few, and one may be rolled back to long after. */
const OLD_MODEL_DAYS = 365;
/** The platform collects the parts of waveforms that never became whole; this is for those that it never saw. */
const PARTS_DAYS = 7;

/** Where a training job reads and writes: beside what the platform keeps there. */
export const TRAINING_PREFIX = 'training/';

/** The bucket of waveforms, raw archive and models, one prefix a kind (docs/architecture.md), each with its own rules for what is old. */
export class GcsObjectStore extends Construct {
  readonly bucket: StorageBucket;
  readonly section: ObjectStoreSection;

  constructor(scope: GcpStack, id: string, { keyName, second, audit }: BucketKeys & { readonly audit: GcsAuditStore }) {
    super(scope, id);
    const { bucket } = new PrivateBucket(this, 'objects', scope, {
      kind: 'objects',
      keyName,
      second,
      lifecycle: objectRules(scope.site.environment),
      accessLog: { bucket: audit.access.name, prefix: 'objects' },
    });
    this.bucket = bucket;
    this.section = { bucket: bucket.name };
  }
}

/** What becomes of each kind of object. */
function objectRules({ retention, switches }: Environment): readonly StorageBucketLifecycleRule[] {
  return [
    ...keptFor('waveforms/', retention.waveformsDays),
    ...keptFor('raw/', retention.rawArchiveDays),
    ...keptFor('parts/', PARTS_DAYS),
    deletedVersions('models/', OLD_MODEL_DAYS),
    // What training jobs leave stays until somebody takes it away, and so do exports.
    deletedVersions(TRAINING_PREFIX, OLD_VERSION_DAYS),
    ...(switches.warehouse ? [deletedVersions(HISTORY_PREFIX, OLD_VERSION_DAYS)] : []),
  ];
}

function keptFor(prefix: string, days: number): readonly StorageBucketLifecycleRule[] {
  const matchesPrefix = [prefix];
  const live = { matchesPrefix, withState: 'LIVE' };
  return [
    ...(days > ARCHIVE_DAYS
      ? [{ action: { type: 'SetStorageClass', storageClass: 'ARCHIVE' }, condition: { ...live, age: ARCHIVE_DAYS } }]
      : []),
    { action: { type: 'Delete' }, condition: { ...live, age: days } },
    deletedVersions(prefix, OLD_VERSION_DAYS),
  ];
}

function deletedVersions(prefix: string, days: number): StorageBucketLifecycleRule {
  return {
    action: { type: 'Delete' },
    condition: { matchesPrefix: [prefix], withState: 'ARCHIVED', daysSinceNoncurrentTime: days },
  };
}
