import { Fn } from 'cdktf';
import { Construct } from 'constructs';
import { AppautoscalingPolicy } from '@cdktf/provider-aws/lib/appautoscaling-policy/index.js';
import { AppautoscalingTarget } from '@cdktf/provider-aws/lib/appautoscaling-target/index.js';
import { EcsCluster } from '@cdktf/provider-aws/lib/ecs-cluster/index.js';
import { EcsService } from '@cdktf/provider-aws/lib/ecs-service/index.js';
import { EcsTaskDefinition } from '@cdktf/provider-aws/lib/ecs-task-definition/index.js';
import { SecurityGroup } from '@cdktf/provider-aws/lib/security-group/index.js';
import { VpcSecurityGroupEgressRule } from '@cdktf/provider-aws/lib/vpc-security-group-egress-rule/index.js';
import type { ServiceSize } from '../../core/decision/demand.ts';
import { BUSY_PERCENT, mostCopies, ROLLOUT_TIMES } from '../copies.ts';
import { PUBLIC_SERVICE } from '../service-ports.ts';
import { API_PORT } from '../service-settings.ts';
import type { AwsStack } from './aws-stack.ts';
import { containerOf } from './container.ts';
import type { DataStack } from './data-stack.ts';
import type { FoundationStack } from './foundation-stack.ts';
import type { Ingress } from './ingress.ts';
import { logGroup } from './log-group.ts';
import type { AwsPorts } from './ports.ts';
import { ServiceLinks } from './service-links.ts';
import { StartRole } from './start-role.ts';
import { TaskRoles } from './task-roles.ts';

interface Parts {
  readonly foundation: FoundationStack;
  readonly data: DataStack;
  readonly ingress: Ingress;
  readonly ports: AwsPorts;
  /** By service: {@link imageDigests}. */
  readonly imageDigests: unknown;
}

interface Running {
  readonly size: ServiceSize;
  readonly definition: EcsTaskDefinition;
  readonly links: ServiceLinks;
  readonly own: SecurityGroup;
}

/** The platform's services on Fargate: in the private subnets, each with a role, a security group and a log of its own, and as many copies as its load wants. */
export class FargateServices extends Construct {
  readonly cluster: EcsCluster;

  constructor(scope: AwsStack, id: string, parts: Parts) {
    super(scope, id);
    const { site } = scope;
    const { names, demand } = site;
    const { foundation } = parts;
    this.cluster = new EcsCluster(this, 'cluster', {
      name: names.base,
      setting: [{ name: 'containerInsights', value: 'enabled' }],
    });
    const { roles } = new TaskRoles(scope, 'task-roles', {
      ...{ ports: parts.ports, data: parts.data, keyArn: foundation.key.arn },
    });
    const links = new ServiceLinks(scope, 'links', foundation);
    const start = new StartRole(scope, 'start-role', { ...parts, links });
    const groups = this.#securityGroups(scope, parts);
    links.connect(groups);
    for (const size of demand.services) {
      const { service } = size;
      const name = `/${names.path}${service}`;
      const log = logGroup(this, `${service}-log`, site, { name, keyArn: foundation.key.arn });
      const repository = foundation.imageRegistry.repositories.get(service)!;
      const definition = new EcsTaskDefinition(this, `${service}-task`, {
        family: names.of(service),
        requiresCompatibilities: ['FARGATE'],
        networkMode: 'awsvpc',
        cpu: String(size.vcpu * 1024),
        memory: String(Math.round(size.memoryGb * 1024)),
        runtimePlatform: { operatingSystemFamily: 'LINUX', cpuArchitecture: 'X86_64' },
        executionRoleArn: start.role.arn,
        taskRoleArn: roles.get(service)!.arn,
        volume: [{ name: 'data' }],
        containerDefinitions: JSON.stringify([
          containerOf(site, service, {
            image: `${repository.repositoryUrl}@${Fn.lookup(parts.imageDigests, service) as string}`,
            logGroup: log.name,
            secrets: start.secrets,
            nameOf: (other) => links.nameOf(other),
            portsDigest: Fn.sha256(start.portsParameter.value),
          }),
        ]),
      });
      const running = this.#service(scope, parts, { size, definition, links, own: groups.get(service)! });
      this.#scaling(service, running, size);
    }
  }

  #service(
    scope: AwsStack,
    { foundation, data, ingress }: Parts,
    { size, definition, links, own }: Running,
  ): EcsService {
    const { service, copies } = size;
    const { zones } = scope.site;
    const registry = links.registryOf(service);
    return new EcsService(this, `${service}-service`, {
      name: service,
      cluster: this.cluster.arn,
      taskDefinition: definition.arn,
      launchType: 'FARGATE',
      desiredCount: copies,
      deploymentMinimumHealthyPercent: 100,
      deploymentMaximumPercent: 100 * ROLLOUT_TIMES,
      deploymentCircuitBreaker: { enable: true, rollback: true },
      enableExecuteCommand: false,
      enableEcsManagedTags: true,
      propagateTags: 'SERVICE',
      networkConfiguration: {
        subnets: foundation.network.subnets.services.slice(0, zones).map((subnet) => subnet.id),
        securityGroups: [own.id, ...data.clientGroups.map((group) => group.id)],
        assignPublicIp: false,
      },
      ...(registry && { serviceRegistries: { registryArn: registry.arn } }),
      ...(service === PUBLIC_SERVICE && {
        loadBalancer: [{ targetGroupArn: ingress.targetGroup.arn, containerName: service, containerPort: API_PORT }],
        healthCheckGracePeriodSeconds: 60,
        dependsOn: [ingress.listener],
      }),
      // The number of copies is the autoscaling's from here on.
      lifecycle: { ignoreChanges: ['desired_count'] },
    });
  }

  /** By service. */
  #securityGroups({ site }: AwsStack, { foundation, ingress }: Parts): ReadonlyMap<string, SecurityGroup> {
    const { names, demand } = site;
    return new Map(
      demand.services.map(({ service }) => {
        const group =
          service === PUBLIC_SERVICE
            ? ingress.targetSecurityGroup
            : new SecurityGroup(this, `${service}-group`, {
                name: names.of(service),
                description: `${service}, which other services alone connect to`,
                vpcId: foundation.network.vpc.id,
                tags: { Name: names.of(service) },
              });
        this.#letOut(service, group);
        return [service, group];
      }),
    );
  }

  /** Services of AWS, and issuers of tokens, answer at 443; nothing else does. */
  #letOut(service: string, { id }: SecurityGroup): void {
    new VpcSecurityGroupEgressRule(this, `${service}-out`, {
      securityGroupId: id,
      description: 'TLS to services of AWS and to issuers',
      cidrIpv4: '0.0.0.0/0',
      ipProtocol: 'tcp',
      fromPort: 443,
      toPort: 443,
    });
  }

  #scaling(service: string, { name }: EcsService, size: ServiceSize): void {
    if (size.isAlone) return;
    const target = new AppautoscalingTarget(this, `${service}-copies`, {
      serviceNamespace: 'ecs',
      scalableDimension: 'ecs:service:DesiredCount',
      resourceId: `service/${this.cluster.name}/${name}`,
      minCapacity: size.copies,
      maxCapacity: mostCopies(size),
    });
    new AppautoscalingPolicy(this, `${service}-by-cpu`, {
      name: 'cpu',
      policyType: 'TargetTrackingScaling',
      serviceNamespace: target.serviceNamespace,
      scalableDimension: target.scalableDimension,
      resourceId: target.resourceId,
      targetTrackingScalingPolicyConfiguration: {
        predefinedMetricSpecification: { predefinedMetricType: 'ECSServiceAverageCPUUtilization' },
        targetValue: BUSY_PERCENT,
        scaleOutCooldown: 60,
        scaleInCooldown: 300,
      },
    });
  }
}
