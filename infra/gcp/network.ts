import { Construct } from 'constructs';
import { ComputeFirewall } from '@cdktf/provider-google/lib/compute-firewall/index.js';
import { ComputeGlobalAddress } from '@cdktf/provider-google/lib/compute-global-address/index.js';
import { ComputeNetwork } from '@cdktf/provider-google/lib/compute-network/index.js';
import { ComputeRouterNat } from '@cdktf/provider-google/lib/compute-router-nat/index.js';
import { ComputeRouter } from '@cdktf/provider-google/lib/compute-router/index.js';
import { ComputeSubnetwork } from '@cdktf/provider-google/lib/compute-subnetwork/index.js';
import { ServiceNetworkingConnection } from '@cdktf/provider-google/lib/service-networking-connection/index.js';
import type { Environment } from '../../core/decision/environment.ts';
import { hasKafka } from '../site.ts';
import { subnetRange } from '../subnet-range.ts';
import type { GcpStack } from './gcp-stack.ts';
import { KAFKA_PORT } from './kafka-event-stream.ts';
import type { ProjectServices } from './project-services.ts';
import type { SecondPlace } from './second-place.ts';

/** Parts of the network's range; a subnet is in all zones of its region. */
const PARTS = { services: 4, brokers: 8, streams: 10, database: 12 } as const;
/** As the subnet of the services calls them. */
export const SECONDARY_RANGES = ['pods', 'services'] as const;
/** Behind every rule that allows something. */
const LAST_PRIORITY = 65_000;

/**
 * The network. Services are in `services`, brokers in `brokers`, without public addresses; the database is beside it, in a range that is lent to
 * Google. What no rule allows is refused, into it and out of it.
 */
export class Network extends Construct {
  readonly vpc: ComputeNetwork;
  readonly services: ComputeSubnetwork;
  readonly brokers: ComputeSubnetwork;
  /** Where Kafka answers, where the streams are its topics: addresses of Google's brokers, and nothing of the site's own. */
  readonly streams: ComputeSubnetwork | undefined;
  /** Where the database is: `10.60.192.0/20`; and where its copy is, in the second region. */
  readonly databaseRanges: readonly string[];
  /** What is lent of each is called so, where there are several to choose from. */
  readonly lentNames: readonly string[];
  /** Of pods, beside `services`, where the services run in a cluster. */
  readonly podsRange: string | undefined;
  /** Of what speaks to Google's services and to issuers, and is reached by nobody. */
  readonly servicesTag: string;

  constructor(
    scope: GcpStack,
    id: string,
    { services, second }: { readonly services: ProjectServices; readonly second: SecondPlace | undefined },
  ) {
    super(scope, id);
    const { names, region, environment } = scope.site;
    const { range, pods } = environment.network;
    this.podsRange = pods;
    this.servicesTag = names.of('services', 63);
    this.databaseRanges = [range, ...(second ? [second.range] : [])].map((each) => subnetRange(each, PARTS.database));
    this.vpc = new ComputeNetwork(this, 'vpc', {
      name: names.of('network', 63),
      autoCreateSubnetworks: false,
      routingMode: 'REGIONAL',
      dependsOn: [...services.all],
    });
    this.services = this.#subnet(scope, 'services');
    this.brokers = this.#subnet(scope, 'brokers');
    this.streams = hasKafka(scope.site) ? this.#subnet(scope, 'streams') : undefined;
    const router = new ComputeRouter(this, 'router', {
      name: names.of('router', 63),
      network: this.vpc.id,
      region,
    });
    // Gateways of Cloud NAT are in all zones by themselves. Brokers have no way out but to Google's services.
    new ComputeRouterNat(this, 'nat', {
      name: names.of('nat', 63),
      router: router.name,
      region,
      natIpAllocateOption: 'AUTO_ONLY',
      sourceSubnetworkIpRangesToNat: 'LIST_OF_SUBNETWORKS',
      subnetwork: [{ name: this.services.id, sourceIpRangesToNat: ['ALL_IP_RANGES'] }],
      logConfig: { enable: true, filter: 'ERRORS_ONLY' },
    });
    this.lentNames = this.#lend(scope);
    this.#refuseAll(scope);
    this.#letServicesOut(scope);
  }

  #subnet(
    { site: { names, region, environment } }: GcpStack,
    part: 'services' | 'brokers' | 'streams',
  ): ComputeSubnetwork {
    return new ComputeSubnetwork(this, part, {
      name: names.of(part, 63),
      network: this.vpc.id,
      region,
      ipCidrRange: subnetRange(environment.network.range, PARTS[part]),
      ...(part === 'services' && this.podsRange && { secondaryIpRange: secondaryRanges(environment.network) }),
      // Google's services without a public address.
      privateIpGoogleAccess: true,
      logConfig: {
        aggregationInterval: 'INTERVAL_10_MIN',
        flowSampling: 0.5,
        metadata: 'INCLUDE_ALL_METADATA',
      },
    });
  }

  /** To Google, whose databases are beside the network. */
  #lend({ site: { names } }: GcpStack): readonly string[] {
    const lent = this.databaseRanges.map((range) => {
      const [address = '', prefix = ''] = range.split('/');
      const part = this.#lentPart(range);
      return new ComputeGlobalAddress(this, part, {
        name: names.of(part, 63),
        purpose: 'VPC_PEERING',
        addressType: 'INTERNAL',
        address,
        prefixLength: Number(prefix),
        network: this.vpc.id,
      });
    });
    new ServiceNetworkingConnection(this, 'database-peering', {
      network: this.vpc.id,
      service: 'servicenetworking.googleapis.com',
      reservedPeeringRanges: lent.map(({ name }) => name),
    });
    return this.databaseRanges.map((range) => names.of(this.#lentPart(range), 63));
  }

  /** Of several each is called by its addresses, which stay what they are when the second region becomes the first. */
  #lentPart(range: string): string {
    return this.databaseRanges.length === 1 ? 'database' : `database-${range.split('/')[0]!.replaceAll('.', '-')}`;
  }

  /** Networks of Google let everything out unless a rule says otherwise; what comes in they refuse, which is written here to be in the log. */
  #refuseAll({ site: { names } }: GcpStack): void {
    for (const direction of ['INGRESS', 'EGRESS'] as const) {
      const part = `refuse-${direction.toLowerCase()}`;
      const anywhere = ['0.0.0.0/0'];
      new ComputeFirewall(this, part, {
        name: names.of(part, 63),
        network: this.vpc.id,
        description: 'What no other rule allows',
        direction,
        priority: LAST_PRIORITY,
        ...(direction === 'INGRESS' ? { sourceRanges: anywhere } : { destinationRanges: anywhere }),
        deny: [{ protocol: 'all' }],
        logConfig: { metadata: 'INCLUDE_ALL_METADATA' },
      });
    }
  }

  /** Google's services, and issuers of tokens, answer at 443; database and Kafka at their ports; nothing else does. */
  #letServicesOut({ site: { names } }: GcpStack): void {
    const rule = (part: string, description: string, destinations: readonly string[], port: number) =>
      new ComputeFirewall(this, part, {
        name: names.of(part, 63),
        network: this.vpc.id,
        description,
        direction: 'EGRESS',
        targetTags: [this.servicesTag],
        destinationRanges: [...destinations],
        allow: [{ protocol: 'tcp', ports: [String(port)] }],
      });
    rule('services-to-apis', 'TLS to services of Google and to issuers', ['0.0.0.0/0'], 443);
    rule('services-to-database', 'PostgreSQL to the database', this.databaseRanges, 5432);
    if (this.streams) rule('services-to-streams', 'Kafka to its brokers', [this.streams.ipCidrRange], KAFKA_PORT);
  }
}

/** Of pods, and of names of services, where there is a cluster. */
function secondaryRanges(network: Environment['network']): { rangeName: string; ipCidrRange: string }[] {
  return SECONDARY_RANGES.flatMap((rangeName) => {
    const ipCidrRange = network[rangeName];
    return ipCidrRange === undefined ? [] : [{ rangeName, ipCidrRange }];
  });
}
