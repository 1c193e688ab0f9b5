import { TerraformOutput } from 'cdktf';
import { Construct } from 'constructs';
import { DnsManagedZone } from '@cdktf/provider-google/lib/dns-managed-zone/index.js';
import type { GcpStack } from './gcp-stack.ts';
import type { ProjectServices } from './project-services.ts';

/** The zone of the site's domain. Whoever has the domain above delegates to its name servers, once, before the certificate can be had. */
export class Domain extends Construct {
  readonly zone: string;
  /** As DNS writes it, with a dot at its end. */
  readonly dnsName: string;

  constructor(scope: GcpStack, id: string, { services }: { readonly services: ProjectServices }) {
    super(scope, id);
    const { environment, names } = scope.site;
    this.dnsName = `${environment.domain}.`;
    const zone = new DnsManagedZone(this, 'zone', {
      name: names.of('domain', 63),
      dnsName: this.dnsName,
      description: `API and page of ${names.base}`,
      visibility: 'public',
      dnssecConfig: { state: 'on' },
      cloudLoggingConfig: { enableLogging: true },
      forceDestroy: false,
      dependsOn: [...services.all],
    });
    this.zone = zone.name;
    new TerraformOutput(this, 'name-servers', {
      value: zone.nameServers,
      description: `To delegate ${environment.domain} to`,
      staticId: true,
    }).overrideLogicalId('name_servers');
  }
}
