import { Construct } from 'constructs';
import { MachineLearningComputeCluster } from '@cdktf/provider-azurerm/lib/machine-learning-compute-cluster/index.js';
import { MachineLearningWorkspaceNetworkOutboundRulePrivateEndpoint } from '@cdktf/provider-azurerm/lib/machine-learning-workspace-network-outbound-rule-private-endpoint/index.js';
import { RoleAssignment } from '@cdktf/provider-azurerm/lib/role-assignment/index.js';
import { RoleDefinition } from '@cdktf/provider-azurerm/lib/role-definition/index.js';
import { UserAssignedIdentity } from '@cdktf/provider-azurerm/lib/user-assigned-identity/index.js';
import type { AzureStack } from './azure-stack.ts';
import type { DataStack } from './data-stack.ts';
import type { FoundationStack } from './foundation-stack.ts';
import { CONNECTION_APPROVER, type MachineLearningWorkspace } from './machine-learning-workspace.ts';

const MACHINE = 'Standard_DS3_v2';
const MOST_MACHINES = 4;
/** A machine that has nothing to do goes after so long. */
const IDLE = 'PT5M';
const BLOBS = 'Microsoft.Storage/storageAccounts/blobServices/containers/blobs';
/** Where among the site's objects a job reads and writes: beside what the platform keeps there. */
const TRAINING_PREFIX = 'training/';

interface Parts {
  readonly foundation: FoundationStack;
  readonly data: DataStack;
  readonly workspace: MachineLearningWorkspace;
}

/**
 * Machines for training jobs, which are made for a job and gone after it, without a public address and without SSH, and who those jobs are: they read
 * and write their own part of the site's objects.
 */
export class TrainingCompute extends Construct {
  readonly cluster: MachineLearningComputeCluster;

  constructor(scope: AzureStack, id: string, { foundation, data, workspace }: Parts) {
    super(scope, id);
    const { site, place } = scope;
    const identity = new UserAssignedIdentity(this, 'identity', { ...place, name: site.names.of('training', 128) });
    const to = (principal: UserAssignedIdentity) =>
      ({
        ...{ principalId: principal.principalId, principalType: 'ServicePrincipal' },
        skipServicePrincipalAadCheck: true,
      }) as const;
    const objects = new RoleDefinition(this, 'objects-role', {
      name: site.names.of('training-objects', 128),
      description: `What training jobs of ${site.names.base} do among the site's objects`,
      scope: data.resourceGroup.id,
      assignableScopes: [data.resourceGroup.id],
      permissions: [{ actions: [], dataActions: [`${BLOBS}/read`, `${BLOBS}/write`, `${BLOBS}/add/action`] }],
    });
    const rights = [
      new RoleAssignment(this, 'objects', {
        ...{ scope: data.objectStore.container.id, roleDefinitionId: objects.roleDefinitionResourceId },
        ...{ condition: withinPrefix(TRAINING_PREFIX), conditionVersion: '2.0' },
        ...to(identity),
      }),
      new RoleAssignment(this, 'store', {
        ...{ scope: workspace.account.account.id, roleDefinitionName: 'Storage Blob Data Contributor' },
        ...to(identity),
      }),
      new RoleAssignment(this, 'images', {
        ...{ scope: foundation.imageRegistry.registry.id, roleDefinitionName: 'AcrPull' },
        ...to(identity),
      }),
    ];
    const lets = new RoleAssignment(this, 'objects-approver', {
      ...{ scope: data.objectStore.accountId, roleDefinitionName: CONNECTION_APPROVER },
      ...to(workspace.identity),
    });
    const way = new MachineLearningWorkspaceNetworkOutboundRulePrivateEndpoint(this, 'way-to-objects', {
      name: 'objects',
      workspaceId: workspace.workspace.id,
      ...{ serviceResourceId: data.objectStore.accountId, subResourceTarget: 'blob' },
      dependsOn: [lets],
    });
    this.cluster = new MachineLearningComputeCluster(this, 'cluster', {
      name: 'training',
      location: place.location,
      machineLearningWorkspaceId: workspace.workspace.id,
      ...{ vmSize: MACHINE, vmPriority: 'Dedicated' },
      scaleSettings: { minNodeCount: 0, maxNodeCount: MOST_MACHINES, scaleDownNodesAfterIdleDuration: IDLE },
      ...{ nodePublicIpEnabled: false, sshPublicAccessEnabled: false, localAuthEnabled: false },
      identity: { type: 'UserAssigned', identityIds: [identity.id] },
      dependsOn: [...rights, way],
    });
  }
}

/** Of a container the blobs whose names begin so, and lists of those alone. */
function withinPrefix(prefix: string): string {
  const does = (action: string) => `ActionMatches{'${BLOBS}/${action}'}`;
  const lists = "SubOperationMatches{'Blob.List'}";
  const container = 'Microsoft.Storage/storageAccounts/blobServices/containers';
  return [
    `((!(${does('read')} AND NOT ${lists}) AND !(${does('write')}) AND !(${does('add/action')}))`,
    `OR (@Resource[${container}/blobs:path] StringLike '${prefix}*'))`,
    `AND (!(${does('read')} AND ${lists})`,
    `OR (@Request[${container}/blobs:prefix] StringLike '${prefix}*'))`,
  ].join(' ');
}
