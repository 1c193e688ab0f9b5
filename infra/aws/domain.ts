import { TerraformOutput } from 'cdktf';
import { Construct } from 'constructs';
import { Route53Zone } from '@cdktf/provider-aws/lib/route53-zone/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
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
    acknowledge(zone, {
      CKV2_AWS_38:
        'Signing needs a record in the domain above, of which others dispose: unsigned until they have it, or the domain is gone',
      CKV2_AWS_39:
        'Two public names that anybody may ask for; who came to them is in the logs of the balancer and the firewall',
    });
    this.zoneId = zone.zoneId;
    new TerraformOutput(this, 'name-servers', {
      value: zone.nameServers,
      description: `To delegate ${environment.domain} to`,
      staticId: true,
    }).overrideLogicalId('name_servers');
  }
}
