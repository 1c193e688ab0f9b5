import { Fn, type TerraformVariable } from 'cdktf';
import { Construct } from 'constructs';
import { CloudRunV2ServiceIamMember } from '@cdktf/provider-google/lib/cloud-run-v2-service-iam-member/index.js';
import { CloudRunV2Service } from '@cdktf/provider-google/lib/cloud-run-v2-service/index.js';
import { ProjectIamCustomRole } from '@cdktf/provider-google/lib/project-iam-custom-role/index.js';
import { ServiceAccountIamMember } from '@cdktf/provider-google/lib/service-account-iam-member/index.js';
import type { ServiceSize } from '../../core/decision/demand.ts';
import { cloudRunSize } from '../../core/decision/gcp-plan.ts';
import { mostCopies } from '../copies.ts';
import { PUBLIC_SERVICE } from '../service-ports.ts';
import { API_PORT, LINK_PORT } from '../service-settings.ts';
import { containerOf, volumesOf } from './container.ts';
import type { DataStack } from './data-stack.ts';
import type { FoundationStack } from './foundation-stack.ts';
import type { GcpStack } from './gcp-stack.ts';
import type { GcpPorts } from './ports.ts';
import { serviceName } from './resource-names.ts';
import { ServiceIdentities } from './service-identities.ts';

/** The platform's event streams, and links, are held for as long as Cloud Run lets them. */
const LONGEST_REQUEST = '3600s';
/** Of one copy of the API at a time; of the others, which have a few links of each caller, as many as Cloud Run lets through. */
const REQUESTS_AT_ONCE = 250;
const LINKS_AT_ONCE = 1000;
const PROBE_EVERY_S = 10;
const PROBE_WITHIN_S = 5;
/** What Cloud Run waits at the most for a copy that starts, and has to where it waits for the store first. */
const STARTED_WITHIN_S = 240;

interface Parts {
  readonly foundation: FoundationStack;
  readonly data: DataStack;
  readonly ports: GcpPorts;
  readonly digests: TerraformVariable;
}

/**
 * The platform's services on Cloud Run, each with an account of its own, in the private subnet. The API is behind the balancer, with as many copies as
 * its calls want. The others are reached from within the network alone, by the links of those that call them, which are WebSockets as Cloud Run passes
 * on no TCP; whoever has not the key of the links is answered nothing. They have the copies of the plan, which is made for the peak: Cloud Run counts
 * requests, and theirs are links.
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
    const sized = new Map(demand.services.map((size) => [size.service, cloudRunSize(size)]));
    const made = new Map<string, CloudRunV2Service>();
    // Those that it calls first: it is told where they are.
    const serviceOf = (service: string): CloudRunV2Service => {
      const known =
        made.get(service) ?? this.#service(sized.get(service)!, identities, (called) => hostAt(serviceOf(called)));
      made.set(service, known);
      return known;
    };
    for (const service of sized.keys())
      new CloudRunV2ServiceIamMember(this, `${service}-rolled`, {
        name: serviceOf(service).name,
        location: scope.site.region,
        role: roll.name,
        member: parts.foundation.ciIdentity.member,
      });
    this.api = serviceOf(PUBLIC_SERVICE);
    for (const [service, account] of identities.accounts)
      new ServiceAccountIamMember(this, `${service}-given`, {
        serviceAccountId: account.name,
        role: 'roles/iam.serviceAccountUser',
        member: parts.foundation.ciIdentity.member,
      });
  }

  #service(size: ServiceSize, identities: ServiceIdentities, hostOf: (service: string) => string): CloudRunV2Service {
    const { site } = this.#stack;
    const { service } = size;
    const { ingress, port, requestsAtOnce, scaling, copies } = reachedOf(size);
    const probe = {
      httpGet: { path: '/health/live', port },
      periodSeconds: PROBE_EVERY_S,
      timeoutSeconds: PROBE_WITHIN_S,
    };
    return new CloudRunV2Service(this, service, {
      name: serviceName(site.names, service),
      location: site.region,
      description: service,
      deletionProtection: false,
      ingress,
      // Who calls, the API asks itself, and services by the key of the links.
      invokerIamDisabled: true,
      ...(scaling && { scaling }),
      template: {
        ...this.#placed(service, identities),
        executionEnvironment: 'EXECUTION_ENVIRONMENT_GEN2',
        timeout: LONGEST_REQUEST,
        maxInstanceRequestConcurrency: requestsAtOnce,
        ...(copies && { scaling: copies }),
        containers: [
          {
            ...this.#container(size, hostOf),
            ports: { name: 'http1', containerPort: port },
            startupProbe: { ...probe, failureThreshold: STARTED_WITHIN_S / PROBE_EVERY_S },
            livenessProbe: { ...probe, failureThreshold: 3 },
          },
        ],
        volumes: volumesOf(service, this.#parts.data),
      },
      traffic: [{ type: 'TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST', percent: 100 }],
      // Cloud Run refuses one whose account may not read what it is started with.
      dependsOn: [...identities.reads.get(service)!],
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

  #container(size: ServiceSize, hostOf: (service: string) => string) {
    const { foundation, data, ports, digests } = this.#parts;
    return containerOf(this.#stack.site, size, {
      image: foundation.imageRegistry.image(size.service, Fn.lookup(digests.value, size.service) as string),
      ports: Fn.jsonencode(ports),
      hostOf,
      data,
    });
  }

  /** Of the pipeline, on each service: to give it another image. */
  #rollRole(): ProjectIamCustomRole {
    const { names } = this.#stack.site;
    return new ProjectIamCustomRole(this, 'roll', {
      roleId: names.underscored('roll-services', 64),
      title: names.of('roll-services', 100),
      description: 'Gives a service another image',
      permissions: ['run.services.get', 'run.services.update'],
      stage: 'GA',
    });
  }
}

/** By whom it is reached, at which port, and how many copies there are. */
function reachedOf(size: ServiceSize) {
  const { service, copies } = size;
  if (service === PUBLIC_SERVICE)
    return {
      ingress: 'INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER',
      port: API_PORT,
      requestsAtOnce: REQUESTS_AT_ONCE,
      copies: { minInstanceCount: copies, maxInstanceCount: mostCopies(size) },
    };
  return {
    ingress: 'INGRESS_TRAFFIC_INTERNAL_ONLY',
    port: LINK_PORT,
    requestsAtOnce: LINKS_AT_ONCE,
    scaling: { scalingMode: 'MANUAL', manualInstanceCount: copies },
  };
}

/** Where a service is answered for, at 443. */
function hostAt({ uri }: CloudRunV2Service): string {
  return Fn.trimprefix(uri, 'https://');
}
