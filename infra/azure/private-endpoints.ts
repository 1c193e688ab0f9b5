import { Construct } from 'constructs';
import { PrivateDnsZoneVirtualNetworkLink } from '@cdktf/provider-azurerm/lib/private-dns-zone-virtual-network-link/index.js';
import { PrivateDnsZone } from '@cdktf/provider-azurerm/lib/private-dns-zone/index.js';
import { PrivateEndpoint } from '@cdktf/provider-azurerm/lib/private-endpoint/index.js';
import type { AzureStack, Place } from './azure-stack.ts';
import type { Network } from './network.ts';

/** Services that are reached within the network: what of them is, and under which names Azure's public ones lead there. */
const KINDS = {
  blob: { subresource: 'blob', zones: { blob: 'privatelink.blob.core.windows.net' } },
  vault: { subresource: 'vault', zones: { vault: 'privatelink.vaultcore.azure.net' } },
  namespace: { subresource: 'namespace', zones: { namespace: 'privatelink.servicebus.windows.net' } },
  registry: { subresource: 'registry', zones: { registry: 'privatelink.azurecr.io' } },
  // Endpoints of models are below the first.
  workspace: {
    subresource: 'amlworkspace',
    zones: { workspace: 'privatelink.api.azureml.ms', notebooks: 'privatelink.notebooks.azure.net' },
  },
  // The serverless pool alone: the workspace has another for its web pages, and one for pools by the hour.
  warehouse: { subresource: 'SqlOnDemand', zones: { warehouse: 'privatelink.sql.azuresynapse.net' } },
} as const;
type Kind = keyof typeof KINDS;

/** Storage, secrets, streams and images without the internet: core/decision/azure-plan.ts counts an hour of each. */
export class PrivateEndpoints extends Construct {
  readonly #subnetId: string;
  readonly #zones: ReadonlyMap<Kind, readonly PrivateDnsZone[]>;

  constructor(scope: AzureStack, id: string, { vnet, subnets }: Network) {
    super(scope, id);
    this.#subnetId = subnets.endpoints.id;
    const { modelEndpoint, warehouse } = scope.site.environment.switches;
    const kinds: readonly Kind[] = [
      ...(['blob', 'vault', 'namespace', 'registry'] as const),
      ...(modelEndpoint === 'none' ? [] : (['workspace'] as const)),
      ...(warehouse ? (['warehouse'] as const) : []),
    ];
    const zonesOf = (kind: Kind) =>
      Object.entries(KINDS[kind].zones).map(
        ([id, name]) => privateZone(this, scope, { id, name, networkId: vnet.id }).zone,
      );
    this.#zones = new Map(kinds.map((kind) => [kind, zonesOf(kind)]));
  }

  /** Adds to a stack the endpoint of something, which is called after that. */
  lead(scope: Construct, stack: Place, to: { readonly kind: Kind; readonly part: string; readonly id: string }) {
    const name = stack.site.names.of(to.part, 80);
    return new PrivateEndpoint(scope, 'endpoint', {
      ...stack.place,
      name,
      subnetId: this.#subnetId,
      privateServiceConnection: {
        name,
        isManualConnection: false,
        privateConnectionResourceId: to.id,
        subresourceNames: [KINDS[to.kind].subresource],
      },
      privateDnsZoneGroup: { name: to.kind, privateDnsZoneIds: this.#zones.get(to.kind)!.map(({ id }) => id) },
    });
  }
}

interface PrivateZone {
  readonly id: string;
  readonly name: string;
  readonly networkId: string;
}

/** Names that are known in one network alone, or in others that are linked to it. */
export function privateZone(scope: Construct, { place }: Place, { id, name, networkId }: PrivateZone) {
  const { resourceGroupName } = place;
  const zone = new PrivateDnsZone(scope, `${id}-zone`, { name, resourceGroupName });
  const link = new PrivateDnsZoneVirtualNetworkLink(scope, `${id}-zone-link`, {
    name: id,
    resourceGroupName,
    privateDnsZoneName: zone.name,
    virtualNetworkId: networkId,
    registrationEnabled: false,
  });
  return { zone, link };
}
