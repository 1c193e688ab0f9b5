import { Construct } from 'constructs';
import { ArtifactRegistryRepositoryIamMember } from '@cdktf/provider-google/lib/artifact-registry-repository-iam-member/index.js';
import { ContainerCluster } from '@cdktf/provider-google/lib/container-cluster/index.js';
import { ProjectIamCustomRole } from '@cdktf/provider-google/lib/project-iam-custom-role/index.js';
import { ProjectIamMember } from '@cdktf/provider-google/lib/project-iam-member/index.js';
import { ServiceAccountIamMember } from '@cdktf/provider-google/lib/service-account-iam-member/index.js';
import { ServiceAccount } from '@cdktf/provider-google/lib/service-account/index.js';
import { mandatoryLabels } from '../aspects/labels.ts';
import { acknowledge } from '../policy/acknowledge.ts';
import { ClusterFirewall } from './cluster-firewall.ts';
import type { DataStack } from './data-stack.ts';
import type { FoundationStack } from './foundation-stack.ts';
import type { GcpStack } from './gcp-stack.ts';
import { SECONDARY_RANGES } from './network.ts';
import type { GcpPorts } from './ports.ts';
import { clusterName } from './resource-names.ts';
import { serviceAccountId } from './service-account-id.ts';
import { ServiceIdentities } from './service-identities.ts';

/** A fixed day, a Monday: the window begins there, and comes again each week. */
const MAINTENANCE = {
  startTime: '2026-01-05T02:00:00Z',
  endTime: '2026-01-05T08:00:00Z',
  recurrence: 'FREQ=WEEKLY;BYDAY=MO,TU',
};

interface Parts {
  readonly foundation: FoundationStack;
  readonly data: DataStack;
  readonly ports: GcpPorts;
}

/**
 * The cluster of the services, on Autopilot: Google runs, mends and renews its nodes, and a month costs what pods ask for. Nodes have no public
 * address, and the control plane has no address at all: it is reached by a name of Google's, by whom IAM lets in. What runs in it is in the stack
 * `services`.
 */
export class AutopilotCluster extends Construct {
  readonly cluster: ContainerCluster;
  /** In which the services are. */
  readonly namespace: string;
  /** By service. */
  readonly accounts: ReadonlyMap<string, ServiceAccount>;

  constructor(scope: GcpStack, id: string, parts: Parts) {
    super(scope, id);
    const { names } = scope.site;
    const { foundation } = parts;
    this.namespace = names.base;
    const identities = new ServiceIdentities(scope, 'service-identities', parts);
    this.accounts = identities.accounts;
    new ClusterFirewall(this, 'firewall', scope, foundation.network);
    this.cluster = this.#cluster(scope, foundation, this.#nodes(scope, foundation));
    for (const [service, account] of identities.accounts)
      // Whoever is that ServiceAccount of the cluster is this account at Google.
      new ServiceAccountIamMember(this, `${service}-is`, {
        serviceAccountId: account.name,
        role: 'roles/iam.workloadIdentityUser',
        member: `serviceAccount:${scope.project}.svc.id.goog[${this.namespace}/${service}]`,
        dependsOn: [this.cluster],
      });
    this.#letPipelineIn(scope, foundation);
  }

  #cluster({ site }: GcpStack, { network, key }: FoundationStack, nodes: ServiceAccount): ContainerCluster {
    const { names, region, environment } = site;
    const [pods, services] = SECONDARY_RANGES;
    const cluster = new ContainerCluster(this, 'cluster', {
      name: clusterName(names),
      location: region,
      description: `Services of ${names.base}`,
      enableAutopilot: true,
      // It holds no data: what runs in it can be made again.
      deletionProtection: false,
      resourceLabels: mandatoryLabels(environment),
      network: network.vpc.id,
      subnetwork: network.services.id,
      ipAllocationPolicy: { clusterSecondaryRangeName: pods, servicesSecondaryRangeName: services },
      privateClusterConfig: { enablePrivateNodes: true },
      controlPlaneEndpointsConfig: {
        dnsEndpointConfig: { allowExternalTraffic: true },
        ipEndpointsConfig: { enabled: false },
      },
      // Of the versions that Google supports the one that has been in use for months.
      releaseChannel: { channel: 'REGULAR' },
      maintenancePolicy: { recurringWindow: MAINTENANCE },
      databaseEncryption: { state: 'ENCRYPTED', keyName: key.keyName },
      clusterAutoscaling: {
        autoProvisioningDefaults: { serviceAccount: nodes.email, bootDiskKmsKey: key.keyName },
      },
      nodePoolAutoConfig: {
        networkTags: { tags: [network.servicesTag] },
        nodeKubeletConfig: { insecureKubeletReadonlyPortEnabled: 'FALSE' },
      },
      masterAuth: { clientCertificateConfig: { issueClientCertificate: false } },
      gatewayApiConfig: { channel: 'CHANNEL_STANDARD' },
      secretManagerConfig: { enabled: true },
      securityPostureConfig: { mode: 'BASIC' },
    });
    return acknowledge(cluster, {
      CKV_GCP_12: 'Autopilot enforces network policies by itself, and takes no switch for it',
      CKV_GCP_20: 'The control plane has no address: its name answers whom IAM lets in',
      CKV_GCP_61: 'Flows are in the log of the subnet; Autopilot takes no switch for those within a node',
      CKV_GCP_65: 'People have no rights in the cluster: the pipeline alone has, by its account',
      CKV_GCP_66: 'Images are by digest, and the pipeline verifies who built them before it copies them',
      CKV_GCP_69: 'Autopilot has the metadata server of workloads on each node, and takes no switch for it',
    });
  }

  /** Nodes fetch images, and say how they are; what services may do is theirs alone. */
  #nodes(scope: GcpStack, { imageRegistry }: FoundationStack): ServiceAccount {
    const { names } = scope.site;
    const account = new ServiceAccount(this, 'nodes', {
      accountId: serviceAccountId(names, 'nodes'),
      displayName: `${names.base}: nodes of the cluster`,
    });
    const { member } = account;
    new ProjectIamMember(this, 'nodes-work', {
      project: scope.project,
      role: 'roles/container.defaultNodeServiceAccount',
      member,
    });
    new ArtifactRegistryRepositoryIamMember(this, 'nodes-images', {
      location: imageRegistry.location,
      repository: imageRegistry.repository.name,
      role: 'roles/artifactregistry.reader',
      member,
    });
    return account;
  }

  /** To the door of the control plane; what it may do behind that is said in the namespace. */
  #letPipelineIn(scope: GcpStack, { ciIdentity }: FoundationStack): void {
    const { names } = scope.site;
    const role = new ProjectIamCustomRole(this, 'connect', {
      roleId: names.underscored('connect-to-cluster', 64),
      title: names.of('connect-to-cluster', 100),
      description: 'Reaches the control plane of the cluster',
      permissions: ['container.clusters.connect', 'container.clusters.get'],
      stage: 'GA',
    });
    new ProjectIamMember(this, 'pipeline-connects', {
      project: scope.project,
      role: role.name,
      member: ciIdentity.member,
    });
  }
}
