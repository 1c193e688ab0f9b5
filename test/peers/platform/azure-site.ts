import { STREAMS } from '#core/domain/event.ts';
import { STREAM_GROUPS } from '#services/shared/observability/stream-lag.ts';
import { Azurite } from '../azurite.ts';
import { EventHubs } from '../event-hubs.ts';
import { KeyVaultSite } from '../key-vault-site.ts';
import { Postgres } from '../postgres.ts';
import { siteOn, type Site } from './site.ts';

const PARTITIONS = 2;
const OBJECTS = 'tribo-objects';
const CHECKPOINTS = 'tribo-streams';

/** What `provider: azure` selects: Event Hubs with blobs, Blob Storage, Key Vault, PostgreSQL. */
export function azureSite(): Promise<Site> {
  const starting = [EventHubs.start(), Azurite.start(), KeyVaultSite.start(), Postgres.start()] as const;
  return siteOn(starting, async ([hubs, azurite, vault, postgres]) => {
    for (const stream of STREAMS)
      hubs.createHub(hubName(stream), { partitions: PARTITIONS, consumerGroups: groupsOf(stream) });
    const { ContainerClient } = await import('@azure/storage-blob');
    for (const container of [OBJECTS, CHECKPOINTS])
      await new ContainerClient(azurite.connectionString, container).create();
    return {
      env: vault.env,
      ports: {
        provider: 'azure',
        azure: { emulatorConnectionString: azurite.connectionString },
        postgres: postgres.freshConnection(),
        eventStream: {
          hubsEmulatorConnectionString: hubs.connectionString,
          streams: Object.fromEntries(STREAMS.map((stream) => [stream, hubName(stream)])),
          checkpointContainer: CHECKPOINTS,
          ...{ leaseMs: 6000, checkpointIntervalMs: 500 },
        },
        objectStore: { container: OBJECTS },
        secretStore: { vaultUrl: vault.vaultUrl },
      },
    };
  });
}

function hubName(stream: string): string {
  return `akron-${stream}`;
}

function groupsOf(stream: string): readonly string[] {
  return STREAM_GROUPS.filter(([of]) => of === stream).map(([, group]) => group);
}
