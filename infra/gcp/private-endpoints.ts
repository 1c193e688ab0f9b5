import { Construct } from 'constructs';
import { DnsManagedZone } from '@cdktf/provider-google/lib/dns-managed-zone/index.js';
import { DnsRecordSet } from '@cdktf/provider-google/lib/dns-record-set/index.js';
import type { GcpStack } from './gcp-stack.ts';
import type { Network } from './network.ts';

/** Addresses that are reached from within Google alone: https://cloud.google.com/vpc/docs/configure-private-google-access#domain-options */
const PRIVATE_ADDRESSES = ['199.36.153.8', '199.36.153.9', '199.36.153.10', '199.36.153.11'] as const;
/** All of those. */
export const PRIVATE_RANGE = '199.36.153.8/30';
/** Storage, secrets, logs, streams; images; services of Cloud Run, as they call each other. */
const DOMAINS = ['googleapis.com', 'pkg.dev', 'run.app'] as const;
const TTL_S = 300;

/** Google's services by addresses of its own network: the names of them lead there from within the site's. */
export class PrivateEndpoints extends Construct {
  constructor(scope: GcpStack, id: string, { vpc }: Network) {
    super(scope, id);
    const { names } = scope.site;
    for (const domain of DOMAINS) {
      const part = domain.replaceAll('.', '-');
      const zone = new DnsManagedZone(this, part, {
        name: names.of(part, 63),
        dnsName: `${domain}.`,
        description: `${domain} within ${names.base}`,
        visibility: 'private',
        privateVisibilityConfig: { networks: [{ networkUrl: vpc.id }] },
      });
      const record = (kind: string, name: string, type: string, rrdatas: string[]) =>
        new DnsRecordSet(this, `${part}-${kind}`, { managedZone: zone.name, name, type, ttl: TTL_S, rrdatas });
      record('addresses', `${domain}.`, 'A', [...PRIVATE_ADDRESSES]);
      record('names', `*.${domain}.`, 'CNAME', [`${domain}.`]);
    }
  }
}
