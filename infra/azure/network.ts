import { Construct } from 'constructs';
import { NatGatewayPublicIpAssociation } from '@cdktf/provider-azurerm/lib/nat-gateway-public-ip-association/index.js';
import { NatGateway } from '@cdktf/provider-azurerm/lib/nat-gateway/index.js';
import {
  NetworkSecurityGroup,
  type NetworkSecurityGroupSecurityRule,
} from '@cdktf/provider-azurerm/lib/network-security-group/index.js';
import { PublicIp } from '@cdktf/provider-azurerm/lib/public-ip/index.js';
import { SubnetNatGatewayAssociation } from '@cdktf/provider-azurerm/lib/subnet-nat-gateway-association/index.js';
import { SubnetNetworkSecurityGroupAssociation } from '@cdktf/provider-azurerm/lib/subnet-network-security-group-association/index.js';
import { Subnet } from '@cdktf/provider-azurerm/lib/subnet/index.js';
import { VirtualNetworkPeering } from '@cdktf/provider-azurerm/lib/virtual-network-peering/index.js';
import { VirtualNetwork } from '@cdktf/provider-azurerm/lib/virtual-network/index.js';
import { hasKafka, isKubernetes } from '../site.ts';
import { subnetRange } from '../subnet-range.ts';
import type { AzureStack, Place } from './azure-stack.ts';
import { KAFKA_PORT } from './kafka-event-stream.ts';
import type { SecondPlace } from './second-place.ts';
import { tiersOf } from './tiers.ts';

/** In this order within the range of the network. A subnet of Azure is in all zones. */
const TIERS = ['services', 'data', 'endpoints', 'functions'] as const;
type Tier = (typeof TIERS)[number];

/** To whom a subnet is handed over, where it is. */
type Delegated = Readonly<Partial<Record<Tier, string | undefined>>>;
const DELEGATED: Delegated = {
  services: 'Microsoft.App/environments',
  data: 'Microsoft.DBforPostgreSQL/flexibleServers',
  functions: 'Microsoft.App/environments',
};
const JOIN = 'Microsoft.Network/virtualNetworks/subnets/join/action';

const POSTGRES = ['5432', '6432'];
/** HTTPS, and the AMQP of Event Hubs, by TLS too. */
const ENDPOINTS = ['443', '5671'];
const WAREHOUSE_PORT = '1433';
const LAST_PRIORITY = 4096;

/**
 * The virtual network. Services are in `services`, functions in `functions`, the database in `data`, and in `endpoints` is what leads to Azure's own
 * services; each has a security group that lets in who is named, and denies the rest. Azure has one way out a subnet and one subnet for all services, so there is one
 * NAT gateway, in several zones or in one, which functions share.
 */
export class Network extends Construct {
  readonly vnet: VirtualNetwork;
  readonly subnets: Readonly<Record<Tier, Subnet>>;
  /** The address ranges of the subnets. */
  readonly ranges: Readonly<Record<Tier, string>>;

  constructor(scope: AzureStack, id: string, { second }: { readonly second: SecondPlace | undefined }) {
    super(scope, id);
    const { site, place } = scope;
    const { range } = site.environment.network;
    this.vnet = virtualNetwork(this, scope, range);
    this.ranges = rangesOf(range);
    // Nodes of a cluster are machines of the subnet itself.
    const delegated: Delegated = isKubernetes(site) ? { ...DELEGATED, services: undefined } : DELEGATED;
    const subnet = (tier: Tier) =>
      new Subnet(this, tier, {
        name: tier,
        resourceGroupName: place.resourceGroupName,
        virtualNetworkName: this.vnet.name,
        addressPrefixes: [this.ranges[tier]],
        // Endpoints obey the security group of their subnet too.
        privateEndpointNetworkPolicies: 'Enabled',
        ...delegation(tier, delegated[tier]),
        // Where a service of Azure has the subnet, the way out is a matter of that service.
        ...(delegated[tier] === undefined && { defaultOutboundAccessEnabled: false }),
        // The private link to the API of a cluster has its addresses there, which takes no rules.
        ...(tier === 'services' && isKubernetes(site) && { privateLinkServiceNetworkPoliciesEnabled: false }),
      });
    this.subnets = {
      ...{ services: subnet('services'), data: subnet('data') },
      ...{ endpoints: subnet('endpoints'), functions: subnet('functions') },
    };
    this.#securityGroups(scope, this.ranges, second && rangesOf(second.range).data);
    this.#wayOut(scope);
  }

  #securityGroups(scope: AzureStack, ranges: Readonly<Record<Tier, string>>, copyRange: string | undefined): void {
    const { site } = scope;
    const { environment } = site;
    const { isPrivate } = tiersOf(site);
    const rules: Readonly<Record<Tier, readonly NetworkSecurityGroupSecurityRule[]>> = {
      services: [
        allowIn(100, 'among-services', ranges.services, ranges.services, '*', '*'),
        allowIn(110, 'health-of-balancer', 'AzureLoadBalancer', ranges.services, '30000-32767'),
        ...(isKubernetes(site) ? ofCluster(environment.network, ranges.services) : []),
        ...(isPrivate ? [] : [allowIn(120, 'front-door', 'AzureFrontDoor.Backend', ranges.services, ['443', '31443'])]),
        denyIn(),
      ],
      data: databaseRules(ranges, copyRange),
      endpoints: [
        allowIn(100, 'from-services', ranges.services, ranges.endpoints, ENDPOINTS),
        allowIn(110, 'from-functions', ranges.functions, ranges.endpoints, ENDPOINTS),
        ...(hasKafka(site)
          ? [allowIn(120, 'kafka-from-services', ranges.services, ranges.endpoints, String(KAFKA_PORT))]
          : []),
        // Those who ask are people, who come by what is connected to the network: no service has a question.
        ...(environment.switches.warehouse
          ? [allowIn(130, 'history-from-network', 'VirtualNetwork', ranges.endpoints, WAREHOUSE_PORT)]
          : []),
        denyIn(),
        denyOut(),
      ],
      // Nobody calls them: they fetch what they are run for.
      functions: [denyIn()],
    };
    for (const tier of TIERS) guard(this, scope, { tier, subnetId: this.subnets[tier].id, rules: rules[tier] });
  }

  #wayOut({ site: { names, zones }, place }: AzureStack): void {
    const address = new PublicIp(this, 'nat-address', {
      ...place,
      name: names.of('nat', 80),
      sku: 'Standard',
      allocationMethod: 'Static',
      ...(zones > 1 && { zones: ['1', '2', '3'] }),
    });
    const nat = new NatGateway(this, 'nat', { ...place, name: names.of('nat', 80), skuName: 'Standard' });
    new NatGatewayPublicIpAssociation(this, 'nat-addressed', {
      natGatewayId: nat.id,
      publicIpAddressId: address.id,
    });
    for (const tier of ['services', 'functions'] as const)
      new SubnetNatGatewayAssociation(this, `${tier}-out`, { natGatewayId: nat.id, subnetId: this.subnets[tier].id });
  }
}

/** The network of the second region: a subnet for the copy of the database, which no way leads out of or into but that to the database. */
export class SecondNetwork extends Construct {
  readonly vnet: VirtualNetwork;
  readonly dataSubnet: Subnet;

  constructor(
    scope: Construct,
    id: string,
    at: Place,
    { network, range }: { readonly network: Network; readonly range: string },
  ) {
    super(scope, id);
    const ranges = rangesOf(range);
    this.vnet = virtualNetwork(this, at, range);
    this.dataSubnet = new Subnet(this, 'data', {
      name: 'data',
      resourceGroupName: at.place.resourceGroupName,
      virtualNetworkName: this.vnet.name,
      addressPrefixes: [ranges.data],
      privateEndpointNetworkPolicies: 'Enabled',
      ...delegation('data', DELEGATED.data),
    });
    guard(this, at, {
      ...{ tier: 'data', subnetId: this.dataSubnet.id },
      rules: databaseRules(ranges, network.ranges.data),
    });
    this.#peer('there', network.vnet, this.vnet);
    this.#peer('back', this.vnet, network.vnet);
  }

  /** Each is called by the region that it leads to. */
  #peer(id: string, from: VirtualNetwork, to: VirtualNetwork): void {
    new VirtualNetworkPeering(this, id, {
      name: `to-${to.locationInput!}`,
      resourceGroupName: from.resourceGroupName,
      virtualNetworkName: from.name,
      remoteVirtualNetworkId: to.id,
      allowVirtualNetworkAccess: true,
      allowForwardedTraffic: false,
    });
  }
}

function virtualNetwork(scope: Construct, { site: { names }, place }: Place, range: string): VirtualNetwork {
  return new VirtualNetwork(scope, 'vnet', { ...place, name: names.of('network', 64), addressSpace: [range] });
}

interface Guarded {
  readonly tier: Tier;
  readonly subnetId: string;
  readonly rules: readonly NetworkSecurityGroupSecurityRule[];
}

function guard(scope: Construct, { site: { names }, place }: Place, { tier, subnetId, rules }: Guarded): void {
  const group = new NetworkSecurityGroup(scope, `${tier}-rules`, {
    ...place,
    name: names.of(tier, 80),
    securityRule: [...rules],
  });
  new SubnetNetworkSecurityGroupAssociation(scope, `${tier}-guarded`, { subnetId, networkSecurityGroupId: group.id });
}

/** Who reaches databases, and what those reach; `other` is where those of the other region are. */
function databaseRules(
  { services, data }: Readonly<Record<Tier, string>>,
  other: string | undefined,
): readonly NetworkSecurityGroupSecurityRule[] {
  return [
    allowIn(100, 'postgres-from-services', services, data, POSTGRES),
    // Server, standby and what watches them speak to each other.
    allowIn(110, 'postgres-among-servers', data, data, POSTGRES),
    ...(other === undefined ? [] : [allowIn(120, 'postgres-from-other-region', other, data, POSTGRES)]),
    denyIn(),
    allowOut(100, 'postgres-among-servers-out', data, data, POSTGRES),
    allowOut(110, 'log-archive-to-storage', data, 'Storage', '443'),
    allowOut(120, 'directory-and-keys', data, 'AzureActiveDirectory', '443'),
    ...(other === undefined ? [] : [allowOut(130, 'postgres-to-other-region', data, other, POSTGRES)]),
    denyOut(),
  ];
}

function rangesOf(range: string): Readonly<Record<Tier, string>> {
  const part = (tier: Tier) => subnetRange(range, TIERS.indexOf(tier) * 4);
  return {
    ...{ services: part('services'), data: part('data') },
    ...{ endpoints: part('endpoints'), functions: part('functions') },
  };
}

function delegation(tier: Tier, name: string | undefined) {
  return name === undefined ? {} : { delegation: [{ name: tier, serviceDelegation: { name, actions: [JOIN] } }] };
}

/** Pods have addresses of their own, and rules of the subnet hold for what they say to each other: which of it they let through is said in the cluster. */
function ofCluster({ range, pods }: { readonly range: string; readonly pods?: string | undefined }, nodes: string) {
  return [
    allowIn(120, 'control-plane', range, nodes, '443'),
    allowIn(130, 'nodes-to-pods', nodes, pods!, '*', '*'),
    allowIn(140, 'among-pods', pods!, pods!, '*', '*'),
  ];
}

function allowIn(
  priority: number,
  name: string,
  from: string,
  to: string,
  ports: string | readonly string[],
  protocol = 'Tcp',
) {
  return rule({ priority, name, direction: 'Inbound', access: 'Allow', from, to, ports, protocol });
}

function allowOut(priority: number, name: string, from: string, to: string, ports: string | readonly string[]) {
  return rule({ priority, name, direction: 'Outbound', access: 'Allow', from, to, ports, protocol: 'Tcp' });
}

/** Azure's own last rules would let in all of the network. */
function denyIn() {
  return rule({ ...REST, priority: LAST_PRIORITY, name: 'nobody-else', direction: 'Inbound', access: 'Deny' });
}

function denyOut() {
  return rule({ ...REST, priority: LAST_PRIORITY, name: 'nowhere-else', direction: 'Outbound', access: 'Deny' });
}

const REST = { from: '*', to: '*', ports: '*', protocol: '*' } as const;

interface Rule {
  readonly priority: number;
  readonly name: string;
  readonly direction: 'Inbound' | 'Outbound';
  readonly access: 'Allow' | 'Deny';
  readonly from: string;
  readonly to: string;
  readonly ports: string | readonly string[];
  readonly protocol: string;
}

function rule({ from, to, ports, ...rest }: Rule): NetworkSecurityGroupSecurityRule {
  return {
    ...rest,
    description: rest.name.replaceAll('-', ' '),
    sourceAddressPrefix: from,
    sourcePortRange: '*',
    destinationAddressPrefix: to,
    ...(typeof ports === 'string' ? { destinationPortRange: ports } : { destinationPortRanges: [...ports] }),
  };
}
