import { dependable, TerraformOutput } from 'cdktf';
import { Construct } from 'constructs';
import { RoleAssignment } from '@cdktf/provider-azurerm/lib/role-assignment/index.js';
import { SynapseWorkspaceExtendedAuditingPolicy } from '@cdktf/provider-azurerm/lib/synapse-workspace-extended-auditing-policy/index.js';
import { SynapseWorkspaceKey } from '@cdktf/provider-azurerm/lib/synapse-workspace-key/index.js';
import { SynapseWorkspace } from '@cdktf/provider-azurerm/lib/synapse-workspace/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import type { AzureStack } from './azure-stack.ts';
import type { BlobObjectStore } from './blob-object-store.ts';
import type { OwnKey } from './encryption-key.ts';
import type { Logs } from './logs.ts';
import { PrivateAccount } from './private-account.ts';
import type { PrivateEndpoints } from './private-endpoints.ts';
import { warehouseSql } from './warehouse-sql.ts';

/** The file system that a workspace has to have. */
const FILES = 'workspace';
/** As the workspace calls the key of the site. */
const KEY = 'data';
/** Who asked what and how much that read, who signed in or was given a right, and whom the workspace gave a role. */
const LOGGED = ['BuiltinSqlReqsEnded', 'SQLSecurityAuditEvents', 'SynapseRbacOperations'];
/** The queries of a day read no more than so much of what is priced for a month: a tenth, rounded up to what Azure can bound. */
const BOUNDED_DAYS_A_MONTH = 10;

interface Parts {
  readonly key: OwnKey | undefined;
  readonly logs: Logs;
  readonly endpoints: PrivateEndpoints;
  readonly objectStore: BlobObjectStore;
}

/**
 * The serverless pool of a Synapse workspace over what is in the container of objects: the raw archive as it is written, and exports of the history.
 * It is reached from within the network alone, by people of the directory. It reads the files where they are by the right of the workspace: the pool is
 * in no network of anybody's, and the account, closed to every network, lets in those of Azure's services that have a role on it. The workspace itself
 * holds nothing but what the tables are called, which is the file of SQL that the stack puts out.
 */
export class SynapseWarehouse extends Construct {
  readonly workspace: SynapseWorkspace;

  constructor(scope: AzureStack, id: string, { key, logs, endpoints, objectStore }: Parts) {
    super(scope, id);
    const { site, place, tenantId } = scope;
    const { account, containers } = new PrivateAccount(this, 'files', scope, {
      ...{ part: 'history-files', key, logs, containers: [FILES], isHierarchical: true },
    });
    acknowledge(account, { CKV2_AZURE_33: 'The workspace has to have it, and nothing is put there or read' });
    this.workspace = new SynapseWorkspace(this, 'workspace', {
      ...place,
      // Without hyphens none can hold "-ondemand", which Azure refuses.
      name: scope.globalName('history', 50, 'alphanumeric'),
      managedResourceGroupName: site.names.of('history-managed', 90),
      storageDataLakeGen2FilesystemId: `https://${account.name}.dfs.core.windows.net/${FILES}`,
      identity: { type: 'SystemAssigned' },
      // No password: Azure calls an administrator by itself, who cannot sign in.
      azureadAuthenticationOnly: true,
      publicNetworkAccessEnabled: false,
      // The pool is not in it, but without one a workspace cannot be closed to the internet.
      managedVirtualNetworkEnabled: true,
      dataExfiltrationProtectionEnabled: true,
      linkingAllowedForAadTenantIds: [tenantId],
      ...(key && { customerManagedKey: { keyName: KEY, keyVersionlessId: key.versionlessId } }),
      dependsOn: [containers[FILES]!],
      lifecycle: {
        preventDestroy: site.isProtected,
        ignoreChanges: [
          // What Azure called it would else have the workspace made anew by each plan.
          'sql_administrator_login',
          // Once there is no password the provider 4.55 can change nothing of a workspace: it sends an empty one.
          'tags',
        ],
      },
    });
    if (!key)
      acknowledge(this.workspace, { CKV_AZURE_240: 'In dev no key is kept that could not be purged with the vault' });
    const active = key && this.#activate(key);
    const endpoint = endpoints.lead(this, scope, { kind: 'warehouse', part: 'history', id: this.workspace.id });
    const logging = logs.of(this, this.workspace.id, LOGGED);
    const auditing = new SynapseWorkspaceExtendedAuditingPolicy(this, 'auditing', {
      synapseWorkspaceId: this.workspace.id,
      logMonitoringEnabled: true,
    });
    if (active) for (const later of [endpoint, logging, auditing]) later.dependsOn = [dependable(active)];
    this.#may('reads-objects', objectStore.container.id, 'Storage Blob Data Reader');
    this.#tellTables(scope, objectStore);
  }

  /** Until its own identity may use the key the workspace waits: with an identity of the site's it could not come to a vault that is closed. */
  #activate(key: OwnKey): SynapseWorkspaceKey {
    const right = this.#may('uses-key', key.resourceId, 'Key Vault Crypto Service Encryption User');
    return new SynapseWorkspaceKey(this, 'key', {
      synapseWorkspaceId: this.workspace.id,
      customerManagedKeyName: KEY,
      customerManagedKeyVersionlessId: key.versionlessId,
      active: true,
      dependsOn: [right],
    });
  }

  #may(part: string, scope: string, roleDefinitionName: string): RoleAssignment {
    return new RoleAssignment(this, part, {
      ...{ scope, roleDefinitionName, principalId: this.workspace.identity.principalId },
      ...{ principalType: 'ServicePrincipal', skipServicePrincipalAadCheck: true },
    });
  }

  /** In the plan, too: a table that becomes another is seen there. */
  #tellTables(stack: AzureStack, { section }: BlobObjectStore): void {
    const { queryTb } = stack.site.demand;
    const wholeTb = (tb: number) => Math.max(1, Math.ceil(tb));
    new TerraformOutput(stack, 'history-server', {
      value: `${this.workspace.name}-ondemand.sql.azuresynapse.net`,
      description: 'Where questions of the history are asked, from within the network',
      staticId: true,
    }).overrideLogicalId('history_server');
    new TerraformOutput(stack, 'history-sql', {
      value: warehouseSql({
        containerUrl: `${section.accountUrl}/${section.container}`,
        limitTb: { daily: wholeTb(queryTb / BOUNDED_DAYS_A_MONTH), monthly: wholeTb(queryTb) },
      }),
      description: 'Bounds, tables and the role of those who ask, for sqlcmd',
      staticId: true,
    }).overrideLogicalId('history_sql');
  }
}
