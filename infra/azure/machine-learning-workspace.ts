import { Construct } from 'constructs';
import { ApplicationInsights } from '@cdktf/provider-azurerm/lib/application-insights/index.js';
import { MachineLearningWorkspace as Workspace } from '@cdktf/provider-azurerm/lib/machine-learning-workspace/index.js';
import { RoleAssignment } from '@cdktf/provider-azurerm/lib/role-assignment/index.js';
import { UserAssignedIdentity } from '@cdktf/provider-azurerm/lib/user-assigned-identity/index.js';
import type { AzureStack } from './azure-stack.ts';
import type { FoundationStack } from './foundation-stack.ts';
import { PrivateAccount } from './private-account.ts';
import { PrivateVault } from './private-vault.ts';
import { tiersOf } from './tiers.ts';

/** Half an hour and more goes into its network, as long as the provider would wait for all of it. */
const MADE_WITHIN = '90m';
/** What a job wrote there and somebody deleted can be had back for so long. */
const KEPT_DAYS = 7;
/** By which the workspace lets its own network come to something of the site. */
export const CONNECTION_APPROVER = 'Azure AI Enterprise Network Connection Approver';
const LOGGED = ['AmlComputeClusterEvent', 'AmlComputeJobEvent', 'AmlRunStatusChangedEvent'];

/**
 * A workspace of Azure Machine Learning that is reached from within the network alone, with a store, a vault and insights of its own and the registry
 * of the site. What it runs is in a network that Azure keeps for it, from which nothing leads out but to what is named; with the registry of
 * `sizes: small`, which has no private endpoint, the internet. What it keeps itself, names and settings of jobs, is encrypted with keys of Azure: with
 * a key of the site Azure makes a database and a search service in the subscription, by the hour, and what it has as a preview without them takes no
 * key from a vault that is closed to the internet.
 */
export class MachineLearningWorkspace extends Construct {
  readonly workspace: Workspace;
  /** Where jobs keep what they log and make. */
  readonly account: PrivateAccount;
  /** As whom the workspace opens what belongs to it, and lets its network in. */
  readonly identity: UserAssignedIdentity;

  constructor(scope: AzureStack, id: string, foundation: FoundationStack) {
    super(scope, id);
    const { site, place } = scope;
    const { logs, privateEndpoints: endpoints, imageRegistry, key } = foundation;
    const { isPrivate } = tiersOf(site);
    this.account = new PrivateAccount(this, 'store', scope, {
      ...{ part: 'ml-store', key: key.own, logs, containers: [], keptDays: KEPT_DAYS, isMadeAgain: true },
      openedByKey: 'The workspace opens its own store by key: provider 4.55 cannot have it do so as an identity',
    });
    endpoints.lead(this.account, scope, { kind: 'blob', part: 'ml-store', id: this.account.account.id });
    const { vault } = new PrivateVault(this, 'vault', scope, { part: 'ml-vault', logs, endpoints, isMadeAgain: true });
    const insights = new ApplicationInsights(this, 'insights', {
      ...{ ...place, name: site.names.of('ml-insights', 260), applicationType: 'web', workspaceId: logs.workspaceId },
      ...{ localAuthenticationDisabled: true, internetIngestionEnabled: false, internetQueryEnabled: false },
    });
    this.identity = new UserAssignedIdentity(this, 'identity', { ...place, name: site.names.of('ml-workspace', 128) });
    // Those that Azure asks of the identity of a workspace. Of the registry it asks for Contributor, to build images there; none is built, and whoever
    // may could replace those of the services.
    const rights = [
      ...this.#may('store', this.account.account.id, ['Contributor', 'Storage Blob Data Contributor']),
      ...this.#may('vault', vault.id, ['Contributor', 'Key Vault Administrator']),
      ...this.#may('insights', insights.id, ['Contributor']),
      ...this.#may('registry', imageRegistry.registry.id, ['Reader', 'AcrPull']),
      // The workspace itself is one of those that its network comes to, and that is made with it.
      ...this.#may('network', scope.resourceGroup.id, [CONNECTION_APPROVER]),
      ...(isPrivate ? this.#may('images', imageRegistry.registry.id, [CONNECTION_APPROVER]) : []),
    ];
    this.workspace = new Workspace(this, 'workspace', {
      ...place,
      name: scope.globalName('models', 33),
      identity: { type: 'UserAssigned', identityIds: [this.identity.id] },
      primaryUserAssignedIdentity: this.identity.id,
      storageAccountId: this.account.account.id,
      keyVaultId: vault.id,
      applicationInsightsId: insights.id,
      containerRegistryId: imageRegistry.registry.id,
      publicNetworkAccessEnabled: false,
      // Less is told to Microsoft of what goes on, and disks of the machines are encrypted.
      highBusinessImpact: true,
      managedNetwork: {
        isolationMode: isPrivate ? 'AllowOnlyApprovedOutbound' : 'AllowInternetOutbound',
        provisionOnCreationEnabled: true,
      },
      timeouts: { create: MADE_WITHIN },
      dependsOn: rights,
    });
    this.#may('workspace', this.workspace.id, ['Contributor']);
    endpoints.lead(this, scope, { kind: 'workspace', part: 'ml-workspace', id: this.workspace.id });
    logs.of(this, this.workspace.id, LOGGED);
  }

  #may(part: string, scope: string, roles: readonly string[]): readonly RoleAssignment[] {
    return roles.map(
      (roleDefinitionName) =>
        new RoleAssignment(this, `${part}-${roleDefinitionName.toLowerCase().replaceAll(' ', '-')}`, {
          ...{ scope, roleDefinitionName, principalId: this.identity.principalId },
          ...{ principalType: 'ServicePrincipal', skipServicePrincipalAadCheck: true },
        }),
    );
  }
}
