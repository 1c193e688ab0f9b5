import { Fn } from 'cdktf';
import { Construct } from 'constructs';
import { DiskEncryptionSet } from '@cdktf/provider-azurerm/lib/disk-encryption-set/index.js';
import { FederatedIdentityCredential } from '@cdktf/provider-azurerm/lib/federated-identity-credential/index.js';
import { KubernetesClusterNodePool } from '@cdktf/provider-azurerm/lib/kubernetes-cluster-node-pool/index.js';
import { KubernetesCluster } from '@cdktf/provider-azurerm/lib/kubernetes-cluster/index.js';
import { RoleAssignment } from '@cdktf/provider-azurerm/lib/role-assignment/index.js';
import { UserAssignedIdentity } from '@cdktf/provider-azurerm/lib/user-assigned-identity/index.js';
import { AKS_SYSTEM_NODE_VCPU, aksNodesFor } from '../../core/decision/azure-plan.ts';
import { mandatoryTags } from '../aspects/tags.ts';
import { MOST_COPIES_TIMES } from '../copies.ts';
import { acknowledge } from '../policy/acknowledge.ts';
import type { AzureMlModelInference } from './azure-ml-model-inference.ts';
import type { AzureStack } from './azure-stack.ts';
import { AUDIENCE } from './ci-identity.ts';
import { ClusterLogs } from './cluster-logs.ts';
import type { CommunicationNotifier } from './communication-notifier.ts';
import type { DataStack } from './data-stack.ts';
import { deployers } from './deployers.ts';
import type { OwnKey } from './encryption-key.ts';
import type { FoundationStack } from './foundation-stack.ts';
import type { AzurePorts } from './ports.ts';
import { ServiceIdentities } from './service-identities.ts';

const DISK_GB = 64;
const MAX_PODS = 60;
/** Of the addresses for names of the cluster, the one that answers for them. */
const DNS_ADDRESS = 10;
/** A new node first, then one less of the old. */
const ONE_BY_ONE = { upgradeSettings: { maxSurge: '1' } };
/** In hours of a night, by UTC; AKS wants four at the least. */
const NIGHT = { frequency: 'Weekly', interval: 1, startTime: '02:00', utcOffset: '+00:00', duration: 6 };

interface Parts {
  readonly foundation: FoundationStack;
  readonly data: DataStack;
  readonly notifier: CommunicationNotifier;
  /** Undefined where the services run models themselves. */
  readonly inference: AzureMlModelInference | undefined;
  readonly ports: AzurePorts;
}

/**
 * The cluster of the services, on AKS: Azure runs its control plane, which is reached from within the network of the site alone, by people and programs
 * of its directory, and renews it and its nodes in nights of the week. Pods have addresses of their own, and the way out is that of the subnet.
 * What runs in it is in the stack `services`.
 */
export class AksCluster extends Construct {
  readonly cluster: KubernetesCluster;
  /** In which the services are. */
  readonly namespace: string;
  readonly identities: ServiceIdentities;

  constructor(scope: AzureStack, id: string, parts: Parts) {
    super(scope, id);
    const { foundation } = parts;
    this.namespace = scope.site.names.base;
    this.identities = new ServiceIdentities(scope, 'service-identities', parts);
    this.cluster = this.#cluster(scope, foundation);
    this.#servicesPool(scope, foundation);
    for (const [service, { identity }] of this.identities.byService)
      // Whoever is that ServiceAccount of the cluster is this identity at Azure.
      new FederatedIdentityCredential(this, `${service}-is`, {
        name: 'cluster',
        resourceGroupName: scope.place.resourceGroupName,
        parentId: identity.id,
        issuer: this.cluster.oidcIssuerUrl,
        audience: [AUDIENCE],
        subject: `system:serviceaccount:${this.namespace}:${service}`,
      });
    this.#letIn(scope, foundation);
    new ClusterLogs(this, 'container-logs', scope, {
      ...{ clusterId: this.cluster.id, namespace: this.namespace, logs: foundation.logs },
    });
  }

  #cluster(scope: AzureStack, { network, key, imageRegistry, logs }: FoundationStack): KubernetesCluster {
    const { site, place, tenantId } = scope;
    const { names, environment, zones, demand } = site;
    const { pods, services } = environment.network;
    const { system } = aksNodesFor(demand.services, zones);
    const itself = this.#identity(scope, 'cluster');
    const nodes = this.#identity(scope, 'nodes');
    const disks = key.own && this.#disks(scope, key.own);
    const rights = [
      this.#may('nodes-fetch-images', 'AcrPull', imageRegistry.registry.id, nodes),
      this.#may('cluster-joins-network', 'Network Contributor', network.subnets.services.id, itself),
      this.#may('cluster-gives-nodes-identity', 'Managed Identity Operator', nodes.id, itself),
      ...(disks ? [this.#may('cluster-finds-key', 'Reader', disks.id, itself)] : []),
    ];
    const cluster = new KubernetesCluster(this, 'cluster', {
      ...place,
      name: names.of('services', 63),
      dnsPrefix: names.of('services', 54),
      nodeResourceGroup: names.of('nodes', 80),
      // Of the versions that Azure supports the one before the newest, with what was mended of it.
      automaticUpgradeChannel: 'stable',
      nodeOsUpgradeChannel: 'NodeImage',
      maintenanceWindowAutoUpgrade: { ...NIGHT, dayOfWeek: 'Monday' },
      maintenanceWindowNodeOs: { ...NIGHT, dayOfWeek: 'Tuesday' },
      skuTier: 'Standard',
      identity: { type: 'UserAssigned', identityIds: [itself.id] },
      kubeletIdentity: {
        clientId: nodes.clientId,
        objectId: nodes.principalId,
        userAssignedIdentityId: nodes.id,
      },
      privateClusterEnabled: true,
      privateClusterPublicFqdnEnabled: false,
      privateDnsZoneId: 'System',
      // A way in beside the network.
      runCommandEnabled: false,
      localAccountDisabled: true,
      roleBasedAccessControlEnabled: true,
      azureActiveDirectoryRoleBasedAccessControl: { azureRbacEnabled: true, tenantId },
      oidcIssuerEnabled: true,
      workloadIdentityEnabled: true,
      azurePolicyEnabled: true,
      imageCleanerEnabled: true,
      imageCleanerIntervalHours: 48,
      keyVaultSecretsProvider: { secretRotationEnabled: true },
      omsAgent: { logAnalyticsWorkspaceId: logs.workspaceId, msiAuthForMonitoringEnabled: true },
      // A pod's folder in memory keeps no node that is not needed any more.
      autoScalerProfile: { skipNodesWithLocalStorage: false },
      // Services keep nothing in the cluster.
      storageProfile: {
        blobDriverEnabled: false,
        diskDriverEnabled: false,
        fileDriverEnabled: false,
        snapshotControllerEnabled: false,
      },
      ...(disks && { diskEncryptionSetId: disks.id }),
      networkProfile: {
        networkPlugin: 'azure',
        networkPluginMode: 'overlay',
        networkDataPlane: 'cilium',
        networkPolicy: 'cilium',
        loadBalancerSku: 'standard',
        outboundType: 'userAssignedNATGateway',
        podCidr: pods!,
        serviceCidr: services!,
        dnsServiceIp: Fn.cidrhost(services!, DNS_ADDRESS),
      },
      defaultNodePool: {
        ...this.#pool(scope, network.subnets.services.id),
        ...ONE_BY_ONE,
        name: 'system',
        vmSize: `Standard_D${AKS_SYSTEM_NODE_VCPU}s_v5`,
        onlyCriticalAddonsEnabled: true,
        tags: mandatoryTags(environment),
        minCount: system,
        maxCount: system * 2,
        temporaryNameForRotation: 'systemnew',
      },
      dependsOn: rights,
    });
    return acknowledge(cluster, {
      CKV_AZURE_226:
        'Machines of this kind have no disk of their own; that of a node is encrypted, and holds nothing that is missed',
      ...(!disks && { CKV_AZURE_117: "In dev disks are encrypted with Azure's own key, as all is there" }),
    });
  }

  /** Where services are: as many nodes as are priced, and as many more as their copies want. */
  #servicesPool(scope: AzureStack, { network }: FoundationStack): void {
    const { demand, zones } = scope.site;
    const { nodes, nodeVcpu } = aksNodesFor(demand.services, zones);
    new KubernetesClusterNodePool(this, 'services', {
      ...this.#pool(scope, network.subnets.services.id),
      ...ONE_BY_ONE,
      name: 'services',
      kubernetesClusterId: this.cluster.id,
      mode: 'User',
      vmSize: `Standard_D${nodeVcpu}s_v5`,
      minCount: nodes,
      maxCount: nodes * MOST_COPIES_TIMES,
      temporaryNameForRotation: 'servicesnew',
    });
  }

  #pool({ site: { zones } }: AzureStack, vnetSubnetId: string) {
    return {
      vnetSubnetId,
      autoScalingEnabled: true,
      nodePublicIpEnabled: false,
      // What is on its way to the disk and beside it too (infra/README.md: the subscription has to be asked for it once).
      hostEncryptionEnabled: true,
      osDiskType: 'Managed',
      osDiskSizeGb: DISK_GB,
      maxPods: MAX_PODS,
      ...(zones > 1 && { zones: ['1', '2', '3'] }),
    };
  }

  #disks({ place, site: { names } }: AzureStack, key: OwnKey): DiskEncryptionSet {
    return new DiskEncryptionSet(this, 'disks', {
      ...place,
      name: names.of('nodes', 80),
      keyVaultKeyId: key.versionlessId,
      autoKeyRotationEnabled: true,
      identity: { type: 'UserAssigned', identityIds: [key.identityId] },
    });
  }

  /** Who enters, and who is known there. People have no rights in it but those who deploy. */
  #letIn(scope: AzureStack, { ciIdentity }: FoundationStack): void {
    const each = deployers(scope, 'the cluster will not let it plan or apply services');
    const administers = new RoleAssignment(this, 'deployers-apply', {
      scope: this.cluster.id,
      roleDefinitionName: 'Azure Kubernetes Service RBAC Cluster Admin',
      principalId: '${each.value}',
    });
    administers.addOverride('for_each', `\${${each}}`);
    // To find the cluster; what it may do in it is said in the namespace of the services.
    new RoleAssignment(this, 'pipeline-enters', {
      scope: this.cluster.id,
      roleDefinitionName: 'Azure Kubernetes Service Cluster User Role',
      principalId: ciIdentity.principalId,
      principalType: 'ServicePrincipal',
      skipServicePrincipalAadCheck: true,
    });
  }

  #identity({ place, site: { names } }: AzureStack, part: string): UserAssignedIdentity {
    return new UserAssignedIdentity(this, `${part}-identity`, { ...place, name: names.of(part, 128) });
  }

  #may(id: string, roleDefinitionName: string, scope: string, { principalId }: UserAssignedIdentity): RoleAssignment {
    return new RoleAssignment(this, id, {
      scope,
      roleDefinitionName,
      principalId,
      principalType: 'ServicePrincipal',
      skipServicePrincipalAadCheck: true,
    });
  }
}
