import { Construct } from 'constructs';
import { PrivateDnsZoneVirtualNetworkLink } from '@cdktf/provider-azurerm/lib/private-dns-zone-virtual-network-link/index.js';
import { PrivateDnsZone } from '@cdktf/provider-azurerm/lib/private-dns-zone/index.js';
import { PrivateEndpoint } from '@cdktf/provider-azurerm/lib/private-endpoint/index.js';
import type { AzureStack } from './azure-stack.ts';
import type { Network } from './network.ts';

/** Services that are reached within the network: what of them is, and under which names Azure's public ones lead there. */
const KINDS = {
  blob: { subresource: 'blob', zone: 'privatelink.blob.core.windows.net' },
  vault: { subresource: 'vault', zone: 'privatelink.vaultcore.azure.net' },
  namespace: { subresource: 'namespace', zone: 'privatelink.servicebus.windows.net' },
  registry: { subresource: 'registry', zone: 'privatelink.azurecr.io' },
} as const;
type Kind = keyof typeof KINDS;

/** Storage, secrets, streams and images without the internet: core/decision/azure-plan.ts counts an hour of each. */
export class PrivateEndpoints extends Construct {
  readonly #subnetId: string;
  readonly #zones: Readonly<Record<Kind, PrivateDnsZone>>;

  constructor(scope: AzureStack, id: string, { vnet, subnets }: Network) {
    super(scope, id);
    this.#subnetId = subnets.endpoints.id;
    const zone = (kind: Kind) =>
      privateZone(this, scope, { id: kind, name: KINDS[kind].zone, networkId: vnet.id }).zone;
    this.#zones = {
      blob: zone('blob'),
      vault: zone('vault'),
      namespace: zone('namespace'),
      registry: zone('registry'),
    };
  }

  /** Adds to a stack the endpoint of something, which is called after that. */
  lead(scope: Construct, stack: AzureStack, to: { readonly kind: Kind; readonly part: string; readonly id: string }) {
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
      privateDnsZoneGroup: { name: to.kind, privateDnsZoneIds: [this.#zones[to.kind].id] },
    });
  }
}

interface PrivateZone {
  readonly id: string;
  readonly name: string;
  readonly networkId: string;
}

/** Names that are known in one network alone. */
export function privateZone(scope: Construct, { place }: AzureStack, { id, name, networkId }: PrivateZone) {
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
