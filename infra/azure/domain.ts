import { TerraformOutput } from 'cdktf';
import { Construct } from 'constructs';
import { DnsZone } from '@cdktf/provider-azurerm/lib/dns-zone/index.js';
import type { AzureStack } from './azure-stack.ts';

/** The zone of the site's domain. Whoever has the domain above delegates to its name servers, once, before the certificate can be had. */
export class Domain extends Construct {
  readonly zone: DnsZone;

  constructor(scope: AzureStack, id: string) {
    super(scope, id);
    const { domain } = scope.site.environment;
    this.zone = new DnsZone(this, 'zone', { name: domain, resourceGroupName: scope.place.resourceGroupName });
    new TerraformOutput(this, 'name-servers', {
      value: this.zone.nameServers,
      description: `To delegate ${domain} to`,
      staticId: true,
    }).overrideLogicalId('name_servers');
  }
}
