import { Construct } from 'constructs';
import { ComputeFirewall } from '@cdktf/provider-google/lib/compute-firewall/index.js';
import { DEVICES_PORT, PLATFORM_PORT } from './broker-start.ts';
import type { GcpStack } from './gcp-stack.ts';
import type { Network } from './network.ts';
import { PRIVATE_RANGE } from './private-endpoints.ts';

/** From where Google asks whether a broker answers: https://cloud.google.com/load-balancing/docs/health-check-concepts#ip-ranges */
const HEALTH_RANGES = ['35.191.0.0/16', '130.211.0.0/22', '209.85.152.0/22', '209.85.204.0/22'] as const;

interface Parts {
  readonly network: Network;
  /** The account of the brokers. */
  readonly brokers: string;
}

/** Who reaches a broker: devices from anywhere, at the one port that is open to all; the platform from within; and brokers reach Google's services. */
export class BrokerFirewall extends Construct {
  constructor(scope: Construct, id: string, { site: { names } }: GcpStack, { network, brokers }: Parts) {
    super(scope, id);
    const rule = (part: string, description: string, port: number, ends: RuleEnds) =>
      new ComputeFirewall(this, part, {
        name: names.of(part, 63),
        network: network.vpc.id,
        description,
        allow: [{ protocol: 'tcp', ports: [String(port)] }],
        ...ends,
      });
    const toBrokers = { direction: 'INGRESS', targetServiceAccounts: [brokers] };
    rule('devices', 'Devices, each with a certificate', DEVICES_PORT, { ...toBrokers, sourceRanges: ['0.0.0.0/0'] });
    rule('broker-health', 'Whether the broker answers', DEVICES_PORT, {
      ...toBrokers,
      sourceRanges: [...HEALTH_RANGES],
    });
    const services = [network.services.ipCidrRange, ...(network.podsRange === undefined ? [] : [network.podsRange])];
    rule('platform', 'The platform from within', PLATFORM_PORT, { ...toBrokers, sourceRanges: services });
    rule('services-to-brokers', 'The platform to its brokers', PLATFORM_PORT, {
      direction: 'EGRESS',
      targetTags: [network.servicesTag],
      destinationRanges: [network.brokers.ipCidrRange],
    });
    rule('brokers-to-apis', 'Images, secrets and logs', 443, {
      direction: 'EGRESS',
      targetServiceAccounts: [brokers],
      destinationRanges: [PRIVATE_RANGE],
    });
  }
}

/** From where, to whom. */
interface RuleEnds {
  readonly direction: string;
  readonly sourceRanges?: string[];
  readonly destinationRanges?: string[];
  readonly targetTags?: string[];
  readonly targetServiceAccounts?: string[];
}
