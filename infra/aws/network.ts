import { Fn } from 'cdktf';
import { Construct } from 'constructs';
import { DataAwsAvailabilityZones } from '@cdktf/provider-aws/lib/data-aws-availability-zones/index.js';
import { DefaultSecurityGroup } from '@cdktf/provider-aws/lib/default-security-group/index.js';
import { Eip } from '@cdktf/provider-aws/lib/eip/index.js';
import { InternetGateway } from '@cdktf/provider-aws/lib/internet-gateway/index.js';
import { NatGateway } from '@cdktf/provider-aws/lib/nat-gateway/index.js';
import { RouteTable } from '@cdktf/provider-aws/lib/route-table/index.js';
import { RouteTableAssociation } from '@cdktf/provider-aws/lib/route-table-association/index.js';
import { Route } from '@cdktf/provider-aws/lib/route/index.js';
import { Subnet } from '@cdktf/provider-aws/lib/subnet/index.js';
import { Vpc } from '@cdktf/provider-aws/lib/vpc/index.js';
import { KAFKA_ZONES } from '../../core/decision/aws-plan.ts';
import type { Environment } from '../../core/decision/environment.ts';
import { acknowledge } from '../policy/acknowledge.ts';
import type { AwsStack } from './aws-stack.ts';
import { keepFlows } from './flow-log.ts';
import { subnetRange } from '../subnet-range.ts';

/** A balancer, and a subnet group of RDS, want two zones even where the site pays for one. */
const FEWEST_ZONES = 2;

/**
 * Zones in which EKS makes no cluster; an account may have them under any letter.
 * https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html
 */
const ZONES_WITHOUT_CLUSTERS = ['use1-az3', 'usw1-az2', 'cac1-az3'];

/** Of each zone the three tiers, in this order within the range. */
const TIERS = ['public', 'services', 'data'] as const;
type Tier = (typeof TIERS)[number];

/**
 * The VPC. In `public` is the balancer and the way out, and nothing else; services are in `services`, without public addresses; the database in
 * `data`, from where no route leads out. Each zone that is paid for has a NAT gateway, so that none depends on another.
 */
export class Network extends Construct {
  readonly vpc: Vpc;
  readonly subnets: Readonly<Record<Tier, readonly Subnet[]>>;
  /** Of the services and the data, for endpoints that are routes. */
  readonly privateRouteTables: readonly RouteTable[];

  constructor(scope: AwsStack, id: string, { keyArn }: { readonly keyArn: string }) {
    super(scope, id);
    const { names, zones, environment } = scope.site;
    this.vpc = new Vpc(this, 'vpc', {
      cidrBlock: environment.network.range,
      enableDnsSupport: true,
      enableDnsHostnames: true,
      tags: { Name: names.base },
    });
    // Whatever forgets to name a security group is in this one, and reaches nothing.
    new DefaultSecurityGroup(this, 'default-security-group', { vpcId: this.vpc.id, ingress: [], egress: [] });
    const known = new DataAwsAvailabilityZones(this, 'zones', {
      state: 'available',
      filter: [{ name: 'opt-in-status', values: ['opt-in-not-required'] }],
      excludeZoneIds: ZONES_WITHOUT_CLUSTERS,
    });
    // A subnet costs nothing: brokers of Kafka are in three zones also where services and the way out are in one.
    const wanted = { public: FEWEST_ZONES, services: FEWEST_ZONES, data: dataZones(environment) };
    acknowledge(known, { CKV_AWS_394: 'The first of them by name are taken, before any that AWS adds' });
    const inEachZone = (tier: Tier) =>
      Array.from(
        { length: Math.max(wanted[tier], zones) },
        (_, zone) =>
          new Subnet(this, `${tier}-${zone}`, {
            vpcId: this.vpc.id,
            availabilityZone: Fn.element(known.names, zone) as string,
            cidrBlock: subnetRange(environment.network.range, TIERS.indexOf(tier) * 4 + zone),
            mapPublicIpOnLaunch: false,
            tags: { Name: names.of(`${tier}-${zone}`) },
          }),
      );
    this.subnets = { public: inEachZone('public'), services: inEachZone('services'), data: inEachZone('data') };
    const wayIn = this.#publicRoutes(scope);
    this.privateRouteTables = this.#privateRoutes(scope, wayIn);
    keepFlows(this, { stack: scope, vpcId: this.vpc.id, keyArn, region: scope.site.region, part: 'network' });
  }

  #publicRoutes({ site: { names } }: AwsStack): InternetGateway {
    const gateway = new InternetGateway(this, 'internet', { vpcId: this.vpc.id, tags: { Name: names.base } });
    const table = new RouteTable(this, 'public', { vpcId: this.vpc.id, tags: { Name: names.of('public') } });
    new Route(this, 'public-out', {
      routeTableId: table.id,
      destinationCidrBlock: '0.0.0.0/0',
      gatewayId: gateway.id,
    });
    for (const [zone, { id: subnetId }] of this.subnets.public.entries())
      new RouteTableAssociation(this, `public-${zone}-routes`, { subnetId, routeTableId: table.id });
    return gateway;
  }

  #privateRoutes({ site: { names, zones } }: AwsStack, dependsOn: InternetGateway): readonly RouteTable[] {
    const services = Array.from({ length: zones }, (_, zone) => {
      const tags = { Name: names.of(`services-${zone}`) };
      const address = new Eip(this, `nat-${zone}-address`, { domain: 'vpc', tags });
      const nat = new NatGateway(this, `nat-${zone}`, {
        allocationId: address.id,
        subnetId: this.subnets.public[zone]!.id,
        tags,
        dependsOn: [dependsOn],
      });
      const table = new RouteTable(this, `services-${zone}-table`, { vpcId: this.vpc.id, tags });
      new Route(this, `services-${zone}-out`, {
        routeTableId: table.id,
        destinationCidrBlock: '0.0.0.0/0',
        natGatewayId: nat.id,
      });
      return table;
    });
    for (const [zone, { id: subnetId }] of this.subnets.services.entries())
      new RouteTableAssociation(this, `services-${zone}-routes`, {
        subnetId,
        routeTableId: services[zone % zones]!.id,
      });
    const data = new RouteTable(this, 'data', { vpcId: this.vpc.id, tags: { Name: names.of('data') } });
    for (const [zone, { id: subnetId }] of this.subnets.data.entries())
      new RouteTableAssociation(this, `data-${zone}-routes`, { subnetId, routeTableId: data.id });
    return [...services, data];
  }
}

function dataZones({ switches }: Environment): number {
  return switches.eventStream === 'kafka' ? KAFKA_ZONES : FEWEST_ZONES;
}
