import type { Construct } from 'constructs';
import type { DataParts } from '../platform.ts';
import { hasKafka, type Site } from '../site.ts';
import { AzureStack } from './azure-stack.ts';
import { Backups } from './backups.ts';
import { BlobAuditStore } from './blob-audit-store.ts';
import { BlobObjectStore } from './blob-object-store.ts';
import { CheckpointStore } from './checkpoint-store.ts';
import { DeviceNamespace, type DeviceHub } from './device-hub.ts';
import { EventHubsEventStream } from './event-hubs-event-stream.ts';
import type { FoundationStack } from './foundation-stack.ts';
import { GeneratedSecret } from './generated-secret.ts';
import { IotHub } from './iot-hub.ts';
import { KafkaEventStream } from './kafka-event-stream.ts';
import { KeyVaultSecretStore } from './key-vault-secret-store.ts';
import { PostgresDatabase } from './postgres-database.ts';
import { SecondRegion } from './second-region.ts';
import { SynapseWarehouse } from './synapse-warehouse.ts';

/** Counted up for another key: services start anew with it. */
const LINK_KEY_VERSION = 1;

/** What cannot be made again. */
export class DataStack extends AzureStack implements DataParts {
  readonly checkpoints: CheckpointStore;
  readonly eventStream: EventHubsEventStream | KafkaEventStream;
  readonly deviceHub: DeviceHub;
  readonly iotHub: IotHub;
  readonly database: PostgresDatabase;
  readonly objectStore: BlobObjectStore;
  readonly secretStore: KeyVaultSecretStore;
  readonly auditStore: BlobAuditStore;
  readonly backups: Backups;
  /** By which services know each other. */
  readonly linkKey: GeneratedSecret;
  readonly warehouse: SynapseWarehouse | undefined;
  readonly secondRegion: SecondRegion | undefined;

  constructor(scope: Construct, site: Site, foundation: FoundationStack) {
    super(scope, 'data', site);
    const { logs, privateEndpoints: endpoints, key } = foundation;
    const around = { logs, endpoints, key: key.own };
    this.checkpoints = new CheckpointStore(this, 'checkpoints', around);
    if (hasKafka(site)) {
      this.eventStream = new KafkaEventStream(this, 'event-stream', around);
      this.deviceHub = new DeviceNamespace(this, 'device-hub', around);
    } else {
      this.eventStream = new EventHubsEventStream(this, 'event-stream', { ...around, checkpoints: this.checkpoints });
      this.deviceHub = this.eventStream.devices;
    }
    this.iotHub = new IotHub(this, 'iot-hub', around);
    this.database = new PostgresDatabase(this, 'database', foundation);
    this.objectStore = new BlobObjectStore(this, 'object-store', around);
    this.secretStore = new KeyVaultSecretStore(this, 'secret-store', around);
    this.auditStore = new BlobAuditStore(this, 'audit-store', this, around);
    this.linkKey = new GeneratedSecret(this, this, 'link-key', {
      name: 'link-key',
      contentType: 'key of the links between services',
      keyVaultId: key.vault.vault.id,
      version: LINK_KEY_VERSION,
    });
    this.backups = new Backups(this, 'backups', { serverId: this.database.server.id });
    this.warehouse = site.environment.switches.warehouse
      ? new SynapseWarehouse(this, 'warehouse', { ...around, objectStore: this.objectStore })
      : undefined;
    const { second, network } = foundation;
    const { database, objectStore } = this;
    this.secondRegion =
      second && new SecondRegion(this, 'second-region', { second, network, logs, database, objectStore });
  }
}
