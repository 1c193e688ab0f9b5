import { Construct } from 'constructs';
import { ServiceDiscoveryPrivateDnsNamespace } from '@cdktf/provider-aws/lib/service-discovery-private-dns-namespace/index.js';
import { ServiceDiscoveryService } from '@cdktf/provider-aws/lib/service-discovery-service/index.js';
import type { SecurityGroup } from '@cdktf/provider-aws/lib/security-group/index.js';
import { VpcSecurityGroupEgressRule } from '@cdktf/provider-aws/lib/vpc-security-group-egress-rule/index.js';
import { VpcSecurityGroupIngressRule } from '@cdktf/provider-aws/lib/vpc-security-group-ingress-rule/index.js';
import { isLinkedTo, SERVICE_LINKS } from '../service-ports.ts';
import { LINK_PORT } from '../service-settings.ts';
import type { AwsStack } from './aws-stack.ts';
import type { FoundationStack } from './foundation-stack.ts';
import { linkKey } from './link-key.ts';

/** How long a copy that is gone may still be called. */
const NAMES_FOR_S = 10;

/** How services find and know each other: a name within the network for each that is called, with the addresses of its copies, and one key. */
export class ServiceLinks extends Construct {
  readonly keyArn: string;
  /** By service that is called. */
  readonly #registries: ReadonlyMap<string, ServiceDiscoveryService>;
  readonly #domain: string;

  constructor(scope: AwsStack, id: string, { network, key }: Pick<FoundationStack, 'network' | 'key'>) {
    super(scope, id);
    const { names, demand } = scope.site;
    this.#domain = `${names.base}.internal`;
    const namespace = new ServiceDiscoveryPrivateDnsNamespace(this, 'names', {
      name: this.#domain,
      description: 'Services, as they call each other',
      vpc: network.vpc.id,
    });
    const called = demand.services.filter(({ service }) => isLinkedTo(service));
    this.#registries = new Map(
      called.map(({ service }) => {
        const registry = new ServiceDiscoveryService(this, service, {
          name: service,
          description: `The copies of ${service}`,
          dnsConfig: {
            namespaceId: namespace.id,
            routingPolicy: 'MULTIVALUE',
            dnsRecords: [{ type: 'A', ttl: NAMES_FOR_S }],
          },
          // By the health check of the container, which ECS tells; of the threshold AWS takes no other.
          healthCheckCustomConfig: { failureThreshold: 1 },
        });
        return [service, registry];
      }),
    );
    this.keyArn = linkKey(scope, this, 'key', key.arn).arn;
  }

  /** Within the network. */
  nameOf(service: string): string {
    return `${service}.${this.#domain}`;
  }

  /** Where ECS writes the addresses of the copies; undefined for what nobody calls. */
  registryOf(service: string): ServiceDiscoveryService | undefined {
    return this.#registries.get(service);
  }

  /** Lets through what is declared, and nothing else. */
  connect(groups: ReadonlyMap<string, SecurityGroup>): void {
    const links = { ipProtocol: 'tcp', fromPort: LINK_PORT, toPort: LINK_PORT };
    for (const [caller, called] of Object.entries(SERVICE_LINKS)) {
      for (const service of called) {
        const [from, to] = [groups.get(caller)!, groups.get(service)!];
        new VpcSecurityGroupEgressRule(this, `${caller}-to-${service}`, {
          ...links,
          securityGroupId: from.id,
          referencedSecurityGroupId: to.id,
          description: `Links to ${service}`,
        });
        new VpcSecurityGroupIngressRule(this, `${service}-from-${caller}`, {
          ...links,
          securityGroupId: to.id,
          referencedSecurityGroupId: from.id,
          description: `Links from ${caller}`,
        });
      }
    }
  }
}
