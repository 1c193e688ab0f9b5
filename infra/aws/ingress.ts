import { Construct } from 'constructs';
import { AcmCertificateValidation } from '@cdktf/provider-aws/lib/acm-certificate-validation/index.js';
import { AcmCertificate } from '@cdktf/provider-aws/lib/acm-certificate/index.js';
import { LbListener } from '@cdktf/provider-aws/lib/lb-listener/index.js';
import { LbTargetGroup } from '@cdktf/provider-aws/lib/lb-target-group/index.js';
import { Lb } from '@cdktf/provider-aws/lib/lb/index.js';
import { Route53Record } from '@cdktf/provider-aws/lib/route53-record/index.js';
import { SecurityGroup } from '@cdktf/provider-aws/lib/security-group/index.js';
import { VpcSecurityGroupEgressRule } from '@cdktf/provider-aws/lib/vpc-security-group-egress-rule/index.js';
import { VpcSecurityGroupIngressRule } from '@cdktf/provider-aws/lib/vpc-security-group-ingress-rule/index.js';
import { API_PORT } from '../service-settings.ts';
import { acknowledge } from '../policy/acknowledge.ts';
import { isKubernetes } from '../site.ts';
import type { AwsStack } from './aws-stack.ts';
import { clusterName } from './cluster-names.ts';
import type { DataStack } from './data-stack.ts';
import { Firewall } from './firewall.ts';
import type { FoundationStack } from './foundation-stack.ts';

/** TLS 1.2 and 1.3, forward secrecy alone. */
const TLS_POLICY = 'ELBSecurityPolicy-TLS13-1-2-Res-2021-06';
/** The platform's event streams send something more often; the API keeps idle connections for longer, or the balancer asks by one that just closed. */
const IDLE_S = 60;
const HSTS = 'max-age=31536000; includeSubDomains';

interface Parts {
  readonly foundation: FoundationStack;
  readonly data: DataStack;
}

/** The one way in for people and programs: DNS, certificate, firewall and balancer, before the API alone. Devices come by IoT Core. */
export class Ingress extends Construct {
  readonly balancer: Lb;
  readonly listener: LbListener;
  readonly targetGroup: LbTargetGroup;
  /** Of the API: the balancer alone reaches it. */
  readonly targetSecurityGroup: SecurityGroup;
  readonly firewall: Firewall;

  constructor(scope: AwsStack, id: string, { foundation, data }: Parts) {
    super(scope, id);
    const { names, isProtected } = scope.site;
    const { vpc, subnets } = foundation.network;
    const group = this.#securityGroup(scope, foundation, 'balancer', 'The balancer: open to all, for TLS');
    this.targetSecurityGroup = this.#securityGroup(scope, foundation, 'api-gateway', 'The API, behind its balancer');
    this.#rules(group);
    this.balancer = new Lb(this, 'balancer', {
      name: names.of('api', 32),
      loadBalancerType: 'application',
      internal: false,
      securityGroups: [group.id],
      subnets: subnets.public.map((subnet) => subnet.id),
      idleTimeout: IDLE_S,
      dropInvalidHeaderFields: true,
      desyncMitigationMode: 'defensive',
      enableDeletionProtection: isProtected,
      accessLogs: { enabled: true, bucket: data.auditStore.access.bucket, prefix: 'api' },
    });
    acknowledge(this.balancer, {
      CKV2_AWS_76:
        'Requests with such content are blocked by the rules for known bad inputs; the list of anonymous addresses would turn away plants behind a VPN',
      ...(!isProtected && { CKV_AWS_150: 'In dev alone, where a site is taken down again' }),
    });
    this.targetGroup = new LbTargetGroup(this, 'api', {
      name: names.of('api', 32),
      vpcId: vpc.id,
      targetType: 'ip',
      protocol: 'HTTP',
      port: API_PORT,
      // By which EKS may take targets out of it.
      ...(isKubernetes(scope.site) && { tags: { 'eks:eks-cluster-name': clusterName(names) } }),
      deregistrationDelay: '30',
      healthCheck: { path: '/health/live', matcher: '200', interval: 15, healthyThreshold: 2, unhealthyThreshold: 3 },
    });
    this.listener = new LbListener(this, 'https', {
      loadBalancerArn: this.balancer.arn,
      port: 443,
      protocol: 'HTTPS',
      sslPolicy: TLS_POLICY,
      certificateArn: this.#certificate(scope, foundation),
      routingHttpResponseStrictTransportSecurityHeaderValue: HSTS,
      defaultAction: [{ type: 'forward', targetGroupArn: this.targetGroup.arn }],
    });
    new LbListener(this, 'http', {
      loadBalancerArn: this.balancer.arn,
      port: 80,
      protocol: 'HTTP',
      defaultAction: [{ type: 'redirect', redirect: { port: '443', protocol: 'HTTPS', statusCode: 'HTTP_301' } }],
    });
    this.firewall = new Firewall(scope, 'firewall', { balancerArn: this.balancer.arn, keyArn: foundation.key.arn });
  }

  #securityGroup({ site: { names } }: AwsStack, { network }: FoundationStack, part: string, description: string) {
    const name = names.of(part);
    return new SecurityGroup(this, `${part}-group`, { name, description, vpcId: network.vpc.id, tags: { Name: name } });
  }

  #rules(balancer: SecurityGroup): void {
    for (const port of [443, 80]) {
      const rule = new VpcSecurityGroupIngressRule(this, `from-anywhere-${port}`, {
        securityGroupId: balancer.id,
        description: port === 443 ? 'TLS from anywhere' : 'To be sent to TLS',
        cidrIpv4: '0.0.0.0/0',
        ipProtocol: 'tcp',
        fromPort: port,
        toPort: port,
      });
      if (port === 80) acknowledge(rule, { CKV_AWS_260: 'Its one answer is where TLS is' });
    }
    const api = { ipProtocol: 'tcp', fromPort: API_PORT, toPort: API_PORT };
    new VpcSecurityGroupEgressRule(this, 'to-api', {
      ...api,
      securityGroupId: balancer.id,
      referencedSecurityGroupId: this.targetSecurityGroup.id,
      description: 'To the API, and nowhere else',
    });
    new VpcSecurityGroupIngressRule(this, 'api-from-balancer', {
      ...api,
      securityGroupId: this.targetSecurityGroup.id,
      referencedSecurityGroupId: balancer.id,
      description: 'From the balancer alone',
    });
  }

  /** Proven by a record in the site's zone, and renewed by itself as long as that is there. */
  #certificate({ site: { environment } }: AwsStack, { domain }: FoundationStack): string {
    const certificate = new AcmCertificate(this, 'certificate', {
      domainName: environment.domain,
      validationMethod: 'DNS',
      lifecycle: { createBeforeDestroy: true },
    });
    const proof = certificate.domainValidationOptions.get(0);
    const record = new Route53Record(this, 'certificate-proof', {
      zoneId: domain.zoneId,
      name: proof.resourceRecordName,
      type: proof.resourceRecordType,
      records: [proof.resourceRecordValue],
      ttl: 300,
      allowOverwrite: true,
    });
    new Route53Record(this, 'address', {
      zoneId: domain.zoneId,
      name: environment.domain,
      type: 'A',
      alias: { name: this.balancer.dnsName, zoneId: this.balancer.zoneId, evaluateTargetHealth: true },
    });
    return new AcmCertificateValidation(this, 'certificate-proven', {
      certificateArn: certificate.arn,
      validationRecordFqdns: [record.fqdn],
    }).certificateArn;
  }
}
