import type { Construct } from 'constructs';
import { SecurityGroup } from '@cdktf/provider-aws/lib/security-group/index.js';
import { VpcSecurityGroupEgressRule } from '@cdktf/provider-aws/lib/vpc-security-group-egress-rule/index.js';
import { VpcSecurityGroupIngressRule } from '@cdktf/provider-aws/lib/vpc-security-group-ingress-rule/index.js';
import type { Names } from '../names.ts';
import { acknowledge } from '../policy/acknowledge.ts';
import type { Network } from './network.ts';

interface PortParts {
  readonly names: Names;
  readonly network: Network;
  readonly port: number;
  /** Begins the names of the groups: `database`. */
  readonly name: string;
  /** Of the rules: `PostgreSQL`. */
  readonly protocol: string;
  /** Of the groups: `the database`. */
  readonly what: string;
}

/** Who may connect, and what they connect to: one group for each, and a port that is open from the first to the second alone. */
export interface GuardedPort {
  /** Whoever carries it may connect. */
  readonly clients: SecurityGroup;
  readonly server: SecurityGroup;
}

/** Makes both groups and their rules in the scope. */
export function guardedPort(scope: Construct, parts: PortParts): GuardedPort {
  const { port, protocol, what } = parts;
  const clients = securityGroup(scope, 'clients', `Services that speak to ${what}`, parts);
  acknowledge(clients, { CKV2_AWS_5: 'The services carry it, in the stack platform' });
  const capital = what.charAt(0).toUpperCase() + what.slice(1);
  const server = securityGroup(scope, 'server', `${capital}, reached by its clients alone`, parts);
  const at = { ipProtocol: 'tcp', fromPort: port, toPort: port };
  new VpcSecurityGroupIngressRule(scope, 'from-clients', {
    ...at,
    securityGroupId: server.id,
    referencedSecurityGroupId: clients.id,
    description: `${protocol} from its clients`,
  });
  new VpcSecurityGroupEgressRule(scope, 'to-server', {
    ...at,
    securityGroupId: clients.id,
    referencedSecurityGroupId: server.id,
    description: `${protocol} to ${what}`,
  });
  return { clients, server };
}

function securityGroup(scope: Construct, id: string, description: string, { names, name, network }: PortParts) {
  const full = names.of(`${name}-${id}`);
  return new SecurityGroup(scope, id, { name: full, description, vpcId: network.vpc.id, tags: { Name: full } });
}
