import { Construct } from 'constructs';
import { PostgresqlFlexibleServer } from '@cdktf/provider-azurerm/lib/postgresql-flexible-server/index.js';
import { PrivateDnsZoneVirtualNetworkLink } from '@cdktf/provider-azurerm/lib/private-dns-zone-virtual-network-link/index.js';
import type { PrivateDnsZone } from '@cdktf/provider-azurerm/lib/private-dns-zone/index.js';
import type { VirtualNetwork } from '@cdktf/provider-azurerm/lib/virtual-network/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import { SecondGroup, type AzureStack } from './azure-stack.ts';
import { BlobAuditStore } from './blob-audit-store.ts';
import { objectsAccount, type BlobObjectStore } from './blob-object-store.ts';
import { databaseSettings, keepDatabase } from './database-settings.ts';
import type { Logs } from './logs.ts';
import type { Network } from './network.ts';
import { ObjectReplication } from './object-replication.ts';
import { databaseZone, tellConnections, type PostgresDatabase } from './postgres-database.ts';
import type { SecondFoundation } from './second-foundation.ts';

interface Parts {
  readonly second: SecondFoundation;
  readonly network: Network;
  readonly logs: Logs;
  readonly database: PostgresDatabase;
  readonly objectStore: BlobObjectStore;
}

/**
 * What is left should the first region be away: a copy of the database that follows it, of each object, and the audit trail, which Azure writes to both
 * regions. Each has the name, the network and the key that it would have if the second region were the first.
 */
export class SecondRegion extends Construct {
  readonly replica: PostgresqlFlexibleServer;
  readonly #there: SecondGroup;

  constructor(scope: AzureStack, id: string, parts: Parts) {
    super(scope, id);
    const { second, logs, objectStore } = parts;
    this.#there = new SecondGroup(scope, 'second-group', second.place);
    this.replica = this.#copyDatabase(new Construct(this, 'database'), scope, parts);
    const store = new Construct(this, 'object-store');
    const copy = objectsAccount(store, this.#there, { key: second.key, logs });
    acknowledge(copy.account, {
      CKV2_AZURE_33: 'Nobody reads it but whoever takes over from the first region; Azure itself writes it',
    });
    new ObjectReplication(store, 'replication', {
      from: { account: objectStore.own.account, at: scope },
      to: { account: copy.account, at: this.#there },
      after: [objectStore.container, ...Object.values(copy.containers)],
    });
    new BlobAuditStore(this, 'audit-store', this.#there, { key: second.key, logs });
  }

  /** A server of its own that takes what the first writes, and becomes the database when somebody says so. */
  #copyDatabase(
    scope: Construct,
    { site }: AzureStack,
    { second, network, logs, database }: Parts,
  ): PostgresqlFlexibleServer {
    const { zone, link } = databaseZone(scope, this.#there, second.network.vnet);
    // Each server finds the other by its name.
    const known = [
      linked(scope, 'database-known-there', database.zone, second.network.vnet, second.place.region),
      linked(scope, 'copy-known-here', zone, network.vnet, site.region),
    ];
    const replica = new PostgresqlFlexibleServer(scope, 'replica', {
      ...databaseSettings(this.#there, { subnet: second.network.dataSubnet, zone, key: second.key }),
      createMode: 'Replica',
      sourceServerId: database.server.id,
      dependsOn: [link, ...known, ...database.ready],
      // It grows by itself, and is in the zone that Azure chose.
      lifecycle: { preventDestroy: site.isProtected, ignoreChanges: ['storage_mb', 'zone'] },
    });
    keepDatabase(scope, replica, this.#there, logs);
    const told = tellConnections(scope, replica, site);
    if (told) database.takesMoreAfter(told);
    return replica;
  }
}

/** Called by the region of the network. */
function linked(
  scope: Construct,
  id: string,
  zone: PrivateDnsZone,
  vnet: VirtualNetwork,
  region: string,
): PrivateDnsZoneVirtualNetworkLink {
  return new PrivateDnsZoneVirtualNetworkLink(scope, id, {
    name: region,
    resourceGroupName: zone.resourceGroupName,
    privateDnsZoneName: zone.name,
    virtualNetworkId: vnet.id,
    registrationEnabled: false,
  });
}
