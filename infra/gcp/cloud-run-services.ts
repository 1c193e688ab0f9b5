import { Fn, type TerraformVariable } from 'cdktf';
import { Construct } from 'constructs';
import { CloudRunV2ServiceIamMember } from '@cdktf/provider-google/lib/cloud-run-v2-service-iam-member/index.js';
import { CloudRunV2Service } from '@cdktf/provider-google/lib/cloud-run-v2-service/index.js';
import { CloudRunV2WorkerPoolIamMember } from '@cdktf/provider-google/lib/cloud-run-v2-worker-pool-iam-member/index.js';
import { CloudRunV2WorkerPool } from '@cdktf/provider-google/lib/cloud-run-v2-worker-pool/index.js';
import { ProjectIamCustomRole } from '@cdktf/provider-google/lib/project-iam-custom-role/index.js';
import { ServiceAccountIamMember } from '@cdktf/provider-google/lib/service-account-iam-member/index.js';
import type { ServiceSize } from '../../core/decision/demand.ts';
import { cloudRunSize } from '../../core/decision/gcp-plan.ts';
import { MOST_COPIES_TIMES } from '../copies.ts';
import { PUBLIC_SERVICE } from '../service-ports.ts';
import { API_PORT } from '../service-settings.ts';
import { containerOf, volumesOf } from './container.ts';
import type { DataStack } from './data-stack.ts';
import type { FoundationStack } from './foundation-stack.ts';
import type { GcpStack } from './gcp-stack.ts';
import type { GcpPorts } from './ports.ts';
import { serviceName } from './resource-names.ts';
import { ServiceIdentities } from './service-identities.ts';

/** The platform's event streams are held for as long as Cloud Run lets them. */
const LONGEST_REQUEST = '3600s';
/** Of one copy of the API at a time. */
const REQUESTS_AT_ONCE = 250;

interface Parts {
  readonly foundation: FoundationStack;
  readonly data: DataStack;
  readonly ports: GcpPorts;
  readonly digests: TerraformVariable;
}

/**
 * The platform's services on Cloud Run, each with an account of its own, in the private subnet. The API is a service behind the balancer, with as many
 * copies as its calls want; the others, which nobody calls, are pools of workers with the copies of the plan, which is made for the peak: Cloud Run
 * counts no load of theirs in this version of the provider.
 */
export class CloudRunServices extends Construct {
  readonly api: CloudRunV2Service;
  readonly #parts: Parts;
  readonly #stack: GcpStack;

  constructor(scope: GcpStack, id: string, parts: Parts) {
    super(scope, id);
    this.#stack = scope;
    this.#parts = parts;
    const { demand } = scope.site;
    const identities = new ServiceIdentities(scope, 'service-identities', parts);
    const roll = this.#rollRole();
    const sized = demand.services.map(cloudRunSize);
    for (const size of sized.filter(({ service }) => service !== PUBLIC_SERVICE)) {
      const { name } = this.#workers(size, identities);
      new CloudRunV2WorkerPoolIamMember(this, `${size.service}-rolled`, {
        ...{ name, location: scope.site.region, role: roll.name, member: parts.foundation.ciIdentity.member },
      });
    }
    this.api = this.#service(
      sized.find(({ service }) => service === PUBLIC_SERVICE)!,
      identities,
    );
    new CloudRunV2ServiceIamMember(this, `${PUBLIC_SERVICE}-rolled`, {
      name: this.api.name,
      location: scope.site.region,
      role: roll.name,
      member: parts.foundation.ciIdentity.member,
    });
    for (const [service, account] of identities.accounts)
      new ServiceAccountIamMember(this, `${service}-given`, {
        serviceAccountId: account.name,
        role: 'roles/iam.serviceAccountUser',
        member: parts.foundation.ciIdentity.member,
      });
  }

  #workers(size: ServiceSize, identities: ServiceIdentities): CloudRunV2WorkerPool {
    const { site } = this.#stack;
    const { service, copies } = size;
    return new CloudRunV2WorkerPool(this, `${service}-workers`, {
      name: serviceName(site.names, service),
      location: site.region,
      description: service,
      deletionProtection: false,
      scaling: { scalingMode: 'MANUAL', manualInstanceCount: copies },
      template: {
        ...this.#placed(service, identities),
        containers: [this.#container(size)],
        volumes: volumesOf(service, this.#parts.data),
      },
      instanceSplits: [{ type: 'INSTANCE_SPLIT_ALLOCATION_TYPE_LATEST', percent: 100 }],
    });
  }

  #service(size: ServiceSize, identities: ServiceIdentities): CloudRunV2Service {
    const { site } = this.#stack;
    const { service, copies } = size;
    const probe = { httpGet: { path: '/health/live', port: API_PORT }, periodSeconds: 10, timeoutSeconds: 5 };
    return new CloudRunV2Service(this, service, {
      name: serviceName(site.names, service),
      location: site.region,
      description: service,
      deletionProtection: false,
      // The balancer alone reaches it; who calls by it, the API asks itself.
      ingress: 'INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER',
      invokerIamDisabled: true,
      template: {
        ...this.#placed(service, identities),
        executionEnvironment: 'EXECUTION_ENVIRONMENT_GEN2',
        timeout: LONGEST_REQUEST,
        maxInstanceRequestConcurrency: REQUESTS_AT_ONCE,
        scaling: { minInstanceCount: copies, maxInstanceCount: copies * MOST_COPIES_TIMES },
        containers: [
          {
            ...this.#container(size, { cpuIdle: false, startupCpuBoost: true }),
            ports: { name: 'http1', containerPort: API_PORT },
            startupProbe: { ...probe, failureThreshold: 12 },
            livenessProbe: { ...probe, failureThreshold: 3 },
          },
        ],
        volumes: volumesOf(service, this.#parts.data),
      },
      traffic: [{ type: 'TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST', percent: 100 }],
    });
  }

  /** Who it is, and where in the network. */
  #placed(service: string, { accounts }: ServiceIdentities) {
    const { vpc, services, servicesTag } = this.#parts.foundation.network;
    const { keyName } = this.#parts.foundation.key;
    return {
      serviceAccount: accounts.get(service)!.email,
      encryptionKey: keyName,
      vpcAccess: {
        egress: 'ALL_TRAFFIC',
        networkInterfaces: [{ network: vpc.id, subnetwork: services.id, tags: [servicesTag] }],
      },
    };
  }

  #container(size: ServiceSize, billing: Readonly<Record<string, boolean>> = {}) {
    const { foundation, data, ports, digests } = this.#parts;
    return containerOf(this.#stack.site, size, {
      image: foundation.imageRegistry.image(size.service, Fn.lookup(digests.value, size.service) as string),
      ports: Fn.jsonencode(ports),
      data,
      billing,
    });
  }

  /** Of the pipeline, on each service: to give it another image. */
  #rollRole(): ProjectIamCustomRole {
    const { names } = this.#stack.site;
    return new ProjectIamCustomRole(this, 'roll', {
      roleId: names.underscored('roll-services', 64),
      title: names.of('roll-services', 100),
      description: 'Gives a service another image',
      permissions: ['run.services.get', 'run.services.update', 'run.workerpools.get', 'run.workerpools.update'],
      stage: 'GA',
    });
  }
}
