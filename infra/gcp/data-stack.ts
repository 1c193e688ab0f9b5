import type { Construct } from 'constructs';
import type { DataParts } from '../platform.ts';
import { hasKafka, hasWarehouse, type Site } from '../site.ts';
import { BigqueryWarehouse } from './bigquery-warehouse.ts';
import { BrokerCertificates } from './broker-certificates.ts';
import type { FoundationStack } from './foundation-stack.ts';
import { GcpStack } from './gcp-stack.ts';
import { GcsAuditStore } from './gcs-audit-store.ts';
import { GcsObjectStore } from './gcs-object-store.ts';
import { GeneratedSecret } from './generated-secret.ts';
import { KafkaEventStream } from './kafka-event-stream.ts';
import { PostgresDatabase } from './postgres-database.ts';
import { PubsubEventStream } from './pubsub-event-stream.ts';
import { SecondRegion } from './second-region.ts';

/** Counted up to give the services a new key; they are to be started anew then. */
const LINK_KEY_VERSION = 1;

/** What cannot be made again. */
export class DataStack extends GcpStack implements DataParts {
  readonly eventStream: PubsubEventStream | KafkaEventStream;
  readonly database: PostgresDatabase;
  readonly objectStore: GcsObjectStore;
  readonly auditStore: GcsAuditStore;
  readonly brokerCertificates: BrokerCertificates;
  /** By which the services of the site know each other. */
  readonly linkKey: GeneratedSecret;
  /** Cloud SQL keeps them apart from the server, and after it. */
  readonly backups: PostgresDatabase;
  readonly warehouse: BigqueryWarehouse | undefined;
  readonly secondRegion: SecondRegion | undefined;

  constructor(scope: Construct, site: Site, { key: { keyName }, network, second }: FoundationStack) {
    super(scope, 'data', site);
    this.eventStream = hasKafka(site)
      ? new KafkaEventStream(this, 'event-stream', { network, keyName })
      : new PubsubEventStream(this, 'event-stream', { keyName, second });
    this.database = new PostgresDatabase(this, 'database', { network, keyName, second });
    this.backups = this.database;
    this.secondRegion = second && new SecondRegion(this, 'second-region', { second, network, database: this.database });
    this.brokerCertificates = new BrokerCertificates(this, 'broker-certificates', { keyName, second });
    this.linkKey = new GeneratedSecret(this, 'link-key', this, {
      part: 'link-key',
      keyName,
      second,
      version: LINK_KEY_VERSION,
    });
    this.auditStore = new GcsAuditStore(this, 'audit-store', { keyName, second });
    this.objectStore = new GcsObjectStore(this, 'object-store', { keyName, second, audit: this.auditStore });
    this.warehouse = hasWarehouse(site)
      ? new BigqueryWarehouse(this, 'warehouse', { objects: this.objectStore.bucket, keyName })
      : undefined;
  }
}
