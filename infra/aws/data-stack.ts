import type { Construct } from 'constructs';
import type { DataParts } from '../platform.ts';
import type { Site } from '../site.ts';
import { AuditTrail } from './audit-trail.ts';
import { AwsStack } from './aws-stack.ts';
import { Backups } from './backups.ts';
import { DeviceStreams } from './device-streams.ts';
import type { FoundationStack } from './foundation-stack.ts';
import { KinesisEventStream } from './kinesis-event-stream.ts';
import { PostgresDatabase } from './postgres-database.ts';
import { S3AuditStore } from './s3-audit-store.ts';
import { S3ObjectStore } from './s3-object-store.ts';

/** What cannot be made again. */
export class DataStack extends AwsStack implements DataParts {
  readonly eventStream: KinesisEventStream;
  readonly deviceStreams: DeviceStreams;
  readonly database: PostgresDatabase;
  readonly objectStore: S3ObjectStore;
  readonly auditStore: S3AuditStore;
  readonly backups: Backups;
  // `notYet` refuses both switches until they are made here.
  readonly warehouse = undefined;
  readonly secondRegion = undefined;

  constructor(scope: Construct, site: Site, { key: { arn: keyArn }, network }: FoundationStack) {
    super(scope, 'data', site);
    this.eventStream = new KinesisEventStream(this, 'event-stream', { keyArn });
    this.deviceStreams = new DeviceStreams(this, 'device-streams', { keyArn });
    this.database = new PostgresDatabase(this, 'database', { network, keyArn });
    this.auditStore = new S3AuditStore(this, 'audit-store', { keyArn });
    new AuditTrail(this, 'audit-trail', { keyArn, store: this.auditStore });
    this.objectStore = new S3ObjectStore(this, 'object-store', { keyArn, audit: this.auditStore });
    this.backups = new Backups(this, 'backups', { databaseArn: this.database.arn, keyArn });
  }
}
