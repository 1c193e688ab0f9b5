import { Construct } from 'constructs';
import { ContainerRegistry } from '@cdktf/provider-azurerm/lib/container-registry/index.js';
import { mandatoryTags } from '../aspects/tags.ts';
import { acknowledge } from '../policy/acknowledge.ts';
import type { AzureStack } from './azure-stack.ts';
import type { OwnKey } from './encryption-key.ts';
import type { Logs } from './logs.ts';
import type { PrivateEndpoints } from './private-endpoints.ts';
import type { SecondPlace } from './second-place.ts';
import { tiersOf } from './tiers.ts';

const UNTAGGED_DAYS = 30;

interface Parts {
  readonly key: OwnKey | undefined;
  readonly logs: Logs;
  readonly endpoints: PrivateEndpoints;
  readonly second: SecondPlace | undefined;
}

/**
 * The registry, with a repository a service, which a push makes. Nobody signs in by a password, and nobody unnamed fetches. Premium is
 * closed to the internet but for the pipeline's pushes: those come by an agent within the network (infra/README.md). With a second region each image
 * is there, too.
 */
export class ImageRegistry extends Construct {
  readonly registry: ContainerRegistry;

  constructor(scope: AzureStack, id: string, { key, logs, endpoints, second }: Parts) {
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
      ...(second && {
        georeplications: [
          {
            location: second.region,
            zoneRedundancyEnabled: site.zones > 1,
            // Else nobody would be led there, and who could change that may be away with the first region.
            regionalEndpointEnabled: true,
            tags: mandatoryTags(site.environment),
          },
        ],
      }),
      ...(isPrivate &&
        key && {
          identity: { type: 'UserAssigned', identityIds: [key.identityId] },
          encryption: [{ keyVaultKeyId: key.versionlessId, identityClientId: key.identityClientId }],
          dependsOn: [key.ready],
        }),
      lifecycle: { preventDestroy: site.isProtected },
    });
    acknowledge(this.registry, {
      CKV_AZURE_164: 'Images are named by their digests, which says more than a tag that is signed',
      ...(!second && { CKV_AZURE_165: 'A copy in another region is bought by switches.secondRegion' }),
      CKV_AZURE_166:
        'The pipeline looks images through before it names their digests; a quarantine is lifted by a webhook that nobody runs here',
      CKV_AZURE_237:
        'Pulls come by the private endpoint, or in the cheaper tier from services without rules for what goes out',
      ...(!isPrivate && {
        CKV_AZURE_139: 'The cheaper tier has no private network: it opens to roles alone',
        CKV_AZURE_163: 'The cheaper tier is not looked through by Azure',
        CKV_AZURE_167: 'The cheaper tier keeps what has no tag until somebody deletes it',
      }),
      ...(site.zones === 1 && { CKV_AZURE_233: 'Several zones are bought by switches.multiAz' }),
    });
    if (isPrivate) endpoints.lead(this, scope, { kind: 'registry', part: 'images', id: this.registry.id });
    logs.of(this, this.registry.id, ['ContainerRegistryLoginEvents', 'ContainerRegistryRepositoryEvents']);
  }
}
