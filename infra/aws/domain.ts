import { TerraformOutput } from 'cdktf';
import { Construct } from 'constructs';
import { Route53Zone } from '@cdktf/provider-aws/lib/route53-zone/index.js';
import type { AwsStack } from './aws-stack.ts';

/** The zone of the site's domain. Whoever has the domain above delegates to its name servers, once, before the certificate can be had. */
export class Domain extends Construct {
  readonly zoneId: string;

  constructor(scope: AwsStack, id: string) {
    super(scope, id);
    const { environment, names } = scope.site;
    const zone = new Route53Zone(this, 'zone', {
      name: environment.domain,
      comment: `API and page of ${names.base}`,
      forceDestroy: false,
    });
    this.zoneId = zone.zoneId;
    new TerraformOutput(this, 'name-servers', {
      value: zone.nameServers,
      description: `To delegate ${environment.domain} to`,
      staticId: true,
    }).overrideLogicalId('name_servers');
  }
}
