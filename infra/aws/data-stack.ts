import type { KinesisStream } from '@cdktf/provider-aws/lib/kinesis-stream/index.js';
import type { SecurityGroup } from '@cdktf/provider-aws/lib/security-group/index.js';
import type { Construct } from 'constructs';
import type { DataParts } from '../platform.ts';
import type { Site } from '../site.ts';
import { AthenaWarehouse } from './athena-warehouse.ts';
import { AuditTrail } from './audit-trail.ts';
import { AwsStack } from './aws-stack.ts';
import { Backups } from './backups.ts';
import { DeviceStreams } from './device-streams.ts';
import type { FoundationStack } from './foundation-stack.ts';
import { IAM_PORT, KafkaEventStream } from './kafka-event-stream.ts';
import { KinesisEventStream } from './kinesis-event-stream.ts';
import { DATABASE_PORT, PostgresDatabase } from './postgres-database.ts';
import { AUDIT_RULES, S3AuditStore } from './s3-audit-store.ts';
import { S3ObjectStore } from './s3-object-store.ts';
import { secondPlace, SecondRegion } from './second-region.ts';
import type { StateTable } from './state-table.ts';

/** What cannot be made again. */
export class DataStack extends AwsStack implements DataParts {
  /** Of the platform itself: what devices send comes by Kinesis all the same, as IoT Core's rules cannot sign in to Kafka by IAM. */
  readonly eventStream: KinesisEventStream | KafkaEventStream;
  readonly deviceStreams: DeviceStreams;
  readonly database: PostgresDatabase;
  readonly objectStore: S3ObjectStore;
  readonly auditStore: S3AuditStore;
  readonly backups: Backups;
  readonly warehouse: AthenaWarehouse | undefined;
  readonly secondRegion: SecondRegion | undefined;

  constructor(scope: Construct, site: Site, { key: { arn: keyArn }, network }: FoundationStack) {
    super(scope, 'data', site);
    this.eventStream =
      site.environment.switches.eventStream === 'kafka'
        ? new KafkaEventStream(this, 'event-stream', { network, keyArn })
        : new KinesisEventStream(this, 'event-stream', { keyArn });
    this.deviceStreams = new DeviceStreams(this, 'device-streams', { keyArn });
    const place = secondPlace(site.environment);
    const second = place && new SecondRegion(this, 'second-region', place);
    this.database = new PostgresDatabase(this, 'database', { network, keyArn, second });
    this.auditStore = new S3AuditStore(this, 'audit-store', { keyArn });
    new AuditTrail(this, 'audit-trail', { keyArn, store: this.auditStore });
    this.objectStore = new S3ObjectStore(this, 'object-store', { keyArn, audit: this.auditStore });
    this.backups = new Backups(this, 'backups', {
      ...{ databaseArn: this.database.arn, keyArn },
      copyTo: second?.backupVaultArn,
    });
    second?.copyDatabase(this.database);
    const { objects, lifecycle } = this.objectStore;
    second?.copyBucket('objects', objects, { lifecycle, isDeletedThere: true });
    second?.copyBucket('audit', this.auditStore.audit, { lifecycle: AUDIT_RULES, isDeletedThere: false });
    this.secondRegion = second;
    this.warehouse = site.environment.switches.warehouse
      ? new AthenaWarehouse(this, 'warehouse', { objects, keyArn })
      : undefined;
  }

  /** What a service has to carry to reach what answers its clients alone. */
  get clientGroups(): readonly SecurityGroup[] {
    return [this.database.clients, ...(this.eventStream instanceof KafkaEventStream ? [this.eventStream.clients] : [])];
  }

  /** Where in the subnets of the data what answers its clients is. */
  get clientPorts(): readonly number[] {
    return [DATABASE_PORT, ...(this.eventStream instanceof KafkaEventStream ? [IAM_PORT] : [])];
  }

  /** All streams of Kinesis, by the platform's name of them. */
  get kinesisStreams(): Readonly<Record<string, KinesisStream>> {
    const own = this.eventStream instanceof KafkaEventStream ? {} : this.eventStream.streams;
    return { ...own, devices: this.deviceStreams.messages, 'device-errors': this.deviceStreams.errors };
  }

  /** All tables of state, by what they are of. */
  get stateTables(): Readonly<Record<string, StateTable>> {
    const own = this.eventStream instanceof KafkaEventStream ? {} : { streams: this.eventStream.state };
    return { ...own, devices: this.deviceStreams.state };
  }
}
