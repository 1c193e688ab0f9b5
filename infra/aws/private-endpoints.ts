import { Construct } from 'constructs';
import { SecurityGroup } from '@cdktf/provider-aws/lib/security-group/index.js';
import { VpcEndpoint } from '@cdktf/provider-aws/lib/vpc-endpoint/index.js';
import { VpcSecurityGroupIngressRule } from '@cdktf/provider-aws/lib/vpc-security-group-ingress-rule/index.js';
import type { AwsStack } from './aws-stack.ts';
import type { Network } from './network.ts';

/** Paid by the hour and zone: core/decision/aws-plan.ts counts as many. */
const INTERFACES = ['secretsmanager', 'logs', 'ecr.api', 'ecr.dkr', 'kinesis-streams'] as const;
/** Routes, which cost nothing. */
const GATEWAYS = ['s3', 'dynamodb'] as const;

/** Storage, secrets, logs, images and streams without the internet. */
export class PrivateEndpoints extends Construct {
  constructor(scope: AwsStack, id: string, { vpc, subnets, privateRouteTables }: Network) {
    super(scope, id);
    const { names, zones, region, environment } = scope.site;
    for (const service of GATEWAYS)
      new VpcEndpoint(this, service, {
        vpcId: vpc.id,
        serviceName: `com.amazonaws.${region}.${service}`,
        vpcEndpointType: 'Gateway',
        routeTableIds: privateRouteTables.map((table) => table.id),
        tags: { Name: names.of(service) },
      });
    const securityGroup = new SecurityGroup(this, 'security-group', {
      name: names.of('endpoints'),
      description: 'Endpoints of services of AWS, reached from within the network alone',
      vpcId: vpc.id,
      tags: { Name: names.of('endpoints') },
    });
    new VpcSecurityGroupIngressRule(this, 'https', {
      securityGroupId: securityGroup.id,
      description: 'TLS from the network of the site',
      cidrIpv4: environment.network.range,
      ipProtocol: 'tcp',
      fromPort: 443,
      toPort: 443,
    });
    for (const service of INTERFACES)
      new VpcEndpoint(this, service.replace('.', '-'), {
        vpcId: vpc.id,
        serviceName: `com.amazonaws.${region}.${service}`,
        vpcEndpointType: 'Interface',
        privateDnsEnabled: true,
        subnetIds: subnets.services.slice(0, zones).map((subnet) => subnet.id),
        securityGroupIds: [securityGroup.id],
        tags: { Name: names.of(service) },
      });
  }
}
