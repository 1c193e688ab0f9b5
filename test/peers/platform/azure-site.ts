import { STREAMS } from '#core/domain/event.ts';
import { STREAM_GROUPS } from '#services/shared/observability/stream-lag.ts';
import { AzureIdentity } from '../azure-identity.ts';
import { Azurite } from '../azurite.ts';
import { EventHubs } from '../event-hubs.ts';
import { HUB_RESOURCE, IotHub } from '../iot-hub.ts';
import { KeyVaultPeer, VAULT_RESOURCE } from '../key-vault.ts';
import { Postgres } from '../postgres.ts';
import { iotHubGateway } from './iot-hub-gateway.ts';
import { OBSERVER, siteOn, type Site } from './site.ts';

const PARTITIONS = 2;
const OBJECTS = 'tribo-objects';
const CHECKPOINTS = 'tribo-streams';
/** The event hub of the routes. */
const DEVICES = 'akron-devices';

/** The peers of a site on Azure but its PostgreSQL. */
export interface AzurePeers {
  readonly hubs: EventHubs;
  readonly azurite: Azurite;
  readonly vault: KeyVaultPeer;
  readonly iotHub: IotHub;
  readonly identity: AzureIdentity;
}

/** What `provider: azure` selects (Event Hubs with blobs, Blob Storage, Key Vault, PostgreSQL), and IoT Hub for devices. */
export function azureSite(): Promise<Site> {
  return siteOn([...azurePeers(), Postgres.start()], async ([hubs, azurite, vault, iotHub, identity, postgres]) => {
    const { ports, ...rest } = await azureSettings({ hubs, azurite, vault, iotHub, identity });
    return { ...rest, ports: { ...ports, postgres: postgres.freshConnection() } };
  });
}

/** Those of {@link AzurePeers}, being started. */
export function azurePeers() {
  const [hubs, vault] = [EventHubs.start(), KeyVaultPeer.start()];
  const iotHub = hubs.then(withDevices);
  const identity = Promise.all([vault, iotHub]).then(identityFor);
  return [hubs, Azurite.start(), vault, iotHub, identity] as const;
}

/** Makes on the peers what a site on Azure has; returns its settings but those of PostgreSQL. */
export async function azureSettings({ hubs, azurite, vault, iotHub, identity }: AzurePeers) {
  for (const stream of STREAMS)
    hubs.createHub(hubName(stream), { partitions: PARTITIONS, consumerGroups: groupsOf(stream) });
  const { ContainerClient } = await import('@azure/storage-blob');
  for (const container of [OBJECTS, CHECKPOINTS])
    await new ContainerClient(azurite.connectionString, container).create();
  const eventHubs = {
    hubsEmulatorConnectionString: hubs.connectionString,
    ...{ checkpointContainer: CHECKPOINTS, leaseMs: 6000, checkpointIntervalMs: 500 },
  };
  return {
    env: identity.env,
    gateway: iotHubGateway(iotHub),
    ports: {
      provider: 'azure',
      azure: { emulatorConnectionString: azurite.connectionString },
      eventStream: {
        ...eventHubs,
        streams: Object.fromEntries(STREAMS.map((stream) => [stream, hubName(stream)])),
      },
      deviceGateway: { adapter: 'iot-hub-device-gateway', ...eventHubs, ...iotHub.place, eventHub: DEVICES },
      deviceRegistry: { adapter: 'iot-hub-device-registry', ...iotHub.place },
      objectStore: { container: OBJECTS },
      secretStore: { vaultUrl: vault.peer.url },
    },
  };
}

function withDevices(hubs: EventHubs): Promise<IotHub> {
  hubs.createHub(DEVICES, { partitions: PARTITIONS, consumerGroups: [] });
  return IotHub.start({ hubs, eventHub: DEVICES });
}

function identityFor([vault, iotHub]: readonly [KeyVaultPeer, IotHub]): Promise<AzureIdentity> {
  return AzureIdentity.start([
    { resource: VAULT_RESOURCE, tokens: vault.tokens, authorities: [vault.peer.ca] },
    { resource: HUB_RESOURCE, tokens: iotHub.registry.tokens, authorities: iotHub.authorities },
  ]);
}

export function hubName(stream: string): string {
  return `akron-${stream}`;
}

function groupsOf(stream: string): readonly string[] {
  const own = STREAM_GROUPS.filter(([of]) => of === stream).map(([, group]) => group);
  return [...own, OBSERVER];
}
