import { Construct } from 'constructs';
import { ProjectIamAuditConfig } from '@cdktf/provider-google/lib/project-iam-audit-config/index.js';
import { LoggingProjectSink } from '@cdktf/provider-google/lib/logging-project-sink/index.js';
import { StorageBucketIamMember } from '@cdktf/provider-google/lib/storage-bucket-iam-member/index.js';
import type { StorageBucket } from '@cdktf/provider-google/lib/storage-bucket/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import type { GcpStack } from './gcp-stack.ts';
import { PrivateBucket, type BucketKeys } from './private-bucket.ts';

const ARCHIVE_DAYS = 90;
const ACCESS_DAYS = 365;
const OLD_VERSION_DAYS = 30;
/** Ten years: a lock has to end some day, and cannot be shortened once it is there. Nothing is deleted after it either. */
const LOCKED_S = 10 * 365 * 86_400;
/** Google's own group that writes who asked a bucket for what. */
const ACCESS_LOG_WRITER = 'group:cloud-storage-analytics@google.com';
/** Where it is told who read, beside who changed. */
const READS_OF = ['iam.googleapis.com', 'secretmanager.googleapis.com'] as const;

/** Who did what in the project, which is kept for ever; and apart from it who asked for which object, which is kept for a year. */
export class GcsAuditStore extends Construct {
  readonly audit: StorageBucket;
  readonly access: StorageBucket;

  constructor(scope: GcpStack, id: string, { keyName, second }: BucketKeys) {
    super(scope, id);
    const { isProtected } = scope.site;
    const toArchive = {
      action: { type: 'SetStorageClass', storageClass: 'ARCHIVE' },
      condition: { age: ARCHIVE_DAYS, withState: 'ANY' },
    };
    this.access = new PrivateBucket(this, 'access', scope, {
      kind: 'access',
      keyName,
      lifecycle: [
        toArchive,
        { action: { type: 'Delete' }, condition: { age: ACCESS_DAYS, withState: 'LIVE' } },
        { action: { type: 'Delete' }, condition: { daysSinceNoncurrentTime: OLD_VERSION_DAYS, withState: 'ARCHIVED' } },
      ],
    }).bucket;
    this.audit = new PrivateBucket(this, 'audit', scope, {
      kind: 'audit',
      keyName,
      second,
      lifecycle: [toArchive],
      ...(isProtected && { lockedForS: LOCKED_S }),
      accessLog: { bucket: this.access.name, prefix: 'audit' },
    }).bucket;
    acknowledge(this.access, { CKV_GCP_62: 'It has the logs of the others, and would have its own for ever' });
    acknowledge(this.audit, {
      CKV_GCP_78: 'What is locked is never replaced, so that there is no second version; in dev it has versions',
    });
    new StorageBucketIamMember(this, 'access-writer', {
      bucket: this.access.name,
      role: 'roles/storage.objectCreator',
      member: ACCESS_LOG_WRITER,
    });
    this.#trail(scope);
  }

  /** Google writes who changed what by itself; who read what is switched on here. */
  #trail({ project, site: { names } }: GcpStack): void {
    for (const service of READS_OF)
      new ProjectIamAuditConfig(this, service.split('.')[0]!, {
        project,
        service,
        auditLogConfig: [{ logType: 'DATA_READ' }, { logType: 'DATA_WRITE' }],
      });
    const sink = new LoggingProjectSink(this, 'trail', {
      name: names.of('audit', 100),
      description: 'Who did what, to where nothing can be deleted',
      destination: `storage.googleapis.com/${this.audit.name}`,
      filter: 'logName:"cloudaudit.googleapis.com"',
      uniqueWriterIdentity: true,
    });
    acknowledge(sink, { CKV2_GCP_4: 'The lock cannot be taken back, and what is in dev goes with it' });
    new StorageBucketIamMember(this, 'trail-writer', {
      bucket: this.audit.name,
      role: 'roles/storage.objectCreator',
      member: sink.writerIdentity,
    });
  }
}
