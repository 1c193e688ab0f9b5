import { Construct } from 'constructs';
import { ComputeFirewall } from '@cdktf/provider-google/lib/compute-firewall/index.js';
import { API_PORT } from '../service-settings.ts';
import type { GcpStack } from './gcp-stack.ts';
import type { Network } from './network.ts';

/** From where Google's front ends call, and ask for health: https://cloud.google.com/load-balancing/docs/https#firewall-rules */
export const FRONT_ENDS = ['35.191.0.0/16', '130.211.0.0/22'] as const;

/** What nodes and pods need beside what all services do, as the network refuses the rest; who of them calls whom is said by the policies of the cluster. */
export class ClusterFirewall extends Construct {
  constructor(scope: Construct, id: string, { site: { names } }: GcpStack, network: Network) {
    super(scope, id);
    new ComputeFirewall(this, 'within', {
      name: names.of('cluster-within', 63),
      network: network.vpc.id,
      description: 'Nodes and pods to each other, and to the control plane in the same subnet',
      direction: 'EGRESS',
      targetTags: [network.servicesTag],
      destinationRanges: [network.services.ipCidrRange, network.podsRange!],
      allow: [{ protocol: 'tcp' }, { protocol: 'udp' }],
    });
    new ComputeFirewall(this, 'to-api', {
      name: names.of('balancer-to-api', 63),
      network: network.vpc.id,
      description: 'The balancer to the API, and to nothing else',
      direction: 'INGRESS',
      targetTags: [network.servicesTag],
      sourceRanges: [...FRONT_ENDS],
      allow: [{ protocol: 'tcp', ports: [String(API_PORT)] }],
    });
  }
}
