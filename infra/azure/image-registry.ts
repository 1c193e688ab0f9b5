import { Construct } from 'constructs';
import { ContainerRegistry } from '@cdktf/provider-azurerm/lib/container-registry/index.js';
import type { AzureStack } from './azure-stack.ts';
import type { OwnKey } from './encryption-key.ts';
import type { Logs } from './logs.ts';
import type { PrivateEndpoints } from './private-endpoints.ts';
import { tiersOf } from './tiers.ts';

const UNTAGGED_DAYS = 30;

interface Parts {
  readonly key: OwnKey | undefined;
  readonly logs: Logs;
  readonly endpoints: PrivateEndpoints;
}

/**
 * The registry, with a repository a service, which a push makes. Nobody signs in by a password, and nobody unnamed fetches. Premium is
 * closed to the internet but for the pipeline's pushes: those come by an agent within the network (infra/README.md).
 */
export class ImageRegistry extends Construct {
  readonly registry: ContainerRegistry;

  constructor(scope: AzureStack, id: string, { key, logs, endpoints }: Parts) {
    super(scope, id);
    const { site, place } = scope;
    const { registry: sku, isPrivate } = tiersOf(site);
    this.registry = new ContainerRegistry(this, 'registry', {
      ...place,
      name: scope.globalName('images', 50, 'alphanumeric'),
      sku,
      adminEnabled: false,
      anonymousPullEnabled: false,
      publicNetworkAccessEnabled: !isPrivate,
      ...(isPrivate && {
        networkRuleBypassOption: 'AzureServices',
        retentionPolicyInDays: UNTAGGED_DAYS,
        zoneRedundancyEnabled: site.zones > 1,
      }),
      ...(isPrivate &&
        key && {
          identity: { type: 'UserAssigned', identityIds: [key.identityId] },
          encryption: [{ keyVaultKeyId: key.id, identityClientId: key.identityClientId }],
          dependsOn: [key.ready],
        }),
      lifecycle: { preventDestroy: site.isProtected },
    });
    if (isPrivate) endpoints.lead(this, scope, { kind: 'registry', part: 'images', id: this.registry.id });
    logs.of(this, this.registry.id, ['ContainerRegistryLoginEvents', 'ContainerRegistryRepositoryEvents']);
  }
}
