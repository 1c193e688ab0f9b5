import { createHash } from 'node:crypto';
import { Aspects, AzurermBackend, Fn, LocalBackend, TerraformStack } from 'cdktf';
import { Construct } from 'constructs';
import { DataAzurermClientConfig } from '@cdktf/provider-azurerm/lib/data-azurerm-client-config/index.js';
import { AzurermProvider } from '@cdktf/provider-azurerm/lib/provider/index.js';
import { ResourceGroup } from '@cdktf/provider-azurerm/lib/resource-group/index.js';
import { MandatoryTags } from '../aspects/tags.ts';
import { isKubernetes, type Site } from '../site.ts';
import { stateFile } from '../state-file.ts';
import type { SecondPlace } from './second-place.ts';

/** Ephemeral values and write-only attributes, by which no password is in the state. */
const TERRAFORM = '>= 1.11.0';
/** Of the subscription: the provider would register twice as many. In the letters in which Azure lists each: others it passes over, and says so in its log alone. */
const RESOURCE_PROVIDERS = [
  ...['App', 'Cdn', 'Communication', 'Consumption', 'ContainerRegistry', 'DBforPostgreSQL', 'DataProtection'],
  ...['Devices', 'EventHub', 'KeyVault', 'ManagedIdentity', 'Network', 'OperationalInsights', 'Portal', 'ServiceBus'],
  ...['Storage', 'Web'],
].map(ofMicrosoft);
const MONITORING = 'microsoft.insights';
/** The one of policies is asked for by endpoints of models, and by what AKS checks pods with. Whoever only looks may register none, so a site is planned with those alone that it needs. */
const POLICIES = ofMicrosoft('PolicyInsights');
const OF_MODELS = [ofMicrosoft('MachineLearningServices'), POLICIES];
/** Whose servers are what Synapse answers queries with. */
const OF_WAREHOUSES = ['Sql', 'Synapse'].map(ofMicrosoft);
const OF_CLUSTERS = [...['Compute', 'ContainerService'].map(ofMicrosoft), POLICIES];

const DIGEST_LENGTH = 8;

type StackName = 'foundation' | 'data' | 'platform' | 'services';

/** What a name that is all the world's may have, beside small letters and digits. */
type Charset = 'hyphens' | 'alphanumeric';

/** Where something is made. */
export interface Place {
  /** As it is called in that region. */
  readonly site: Site;
  readonly subscription: string;
  readonly tenantId: string;
  /** In which region all of it is, and in which group: what nearly every resource asks for. */
  readonly place: { readonly location: string; readonly resourceGroupName: string };
  /** A name that is one of all the world's. */
  globalName(part: string, maxLength: number, charset?: Charset): string;
}

/** One of the stacks of a site at Azure, in one subscription, with its state apart from the others'. */
export class AzureState extends TerraformStack {
  readonly site: Site;
  /** Of the subscription: its id, as Azure's addresses have it. */
  readonly subscription: string;
  /** The directory that the subscription trusts. */
  readonly tenantId: string;

  constructor(scope: Construct, id: StackName, site: Site) {
    super(scope, id);
    this.site = site;
    const { environment, isProtected } = site;
    const own = environment.accounts?.azure;
    new AzurermProvider(this, 'azure', {
      // Without it the provider takes ARM_SUBSCRIPTION_ID, and nothing else: never what somebody happens to be signed in to.
      ...(own !== undefined && { subscriptionId: own }),
      storageUseAzuread: true,
      resourceProviderRegistrations: 'none',
      resourceProvidersToRegister: [
        ...new Set([
          ...RESOURCE_PROVIDERS,
          MONITORING,
          ...(environment.switches.modelEndpoint === 'none' ? [] : OF_MODELS),
          ...(environment.switches.warehouse ? OF_WAREHOUSES : []),
          ...(isKubernetes(site) ? OF_CLUSTERS : []),
        ]),
      ],
      features: [
        {
          keyVault: [{ purgeSoftDeleteOnDestroy: !isProtected, recoverSoftDeletedKeyVaults: true }],
          logAnalyticsWorkspace: [{ permanentlyDeleteOnDestroy: !isProtected }],
          // One that was deleted would hold its name for two weeks, and nobody could make the stack again.
          machineLearning: [{ purgeSoftDeletedWorkspaceOnDestroy: true }],
          // What watches an application gets rules from Azure beside it, which are in no state: `platform` goes with them.
          resourceGroup: [{ preventDeletionIfContainsResources: isProtected && id !== 'platform' }],
          // Accounts are closed to the network of whoever deploys: all of them is said to Azure's control plane.
          storage: [{ dataPlaneAvailable: false }],
        },
      ],
    });
    const who = new DataAzurermClientConfig(this, 'who');
    this.subscription = own ?? who.subscriptionId;
    this.tenantId = who.tenantId;
    this.addOverride('terraform.required_version', TERRAFORM);
    keepState(this, id);
    Aspects.of(this).add(new MandatoryTags(environment));
  }
}

/** A stack with a resource group of its own, in one region. */
export class AzureStack extends AzureState implements Place {
  readonly resourceGroup: ResourceGroup;
  readonly place: Place['place'];

  constructor(scope: Construct, id: 'foundation' | 'data' | 'platform', site: Site) {
    super(scope, id, site);
    const { names, region } = site;
    this.resourceGroup = new ResourceGroup(this, 'resource-group', { name: names.of(id, 90), location: region });
    this.place = { location: region, resourceGroupName: this.resourceGroup.name };
  }

  globalName(part: string, maxLength: number, charset?: Charset): string {
    return oneOfAll(this, part, maxLength, charset);
  }
}

/** What a stack has in the second region: in a group of its own there, which is called as that of the stack would be if it were in that region. */
export class SecondGroup extends Construct implements Place {
  readonly site: Site;
  readonly subscription: string;
  readonly tenantId: string;
  readonly place: Place['place'];

  constructor(scope: AzureStack, id: string, { region, names }: SecondPlace) {
    super(scope, id);
    this.site = { ...scope.site, names, region };
    this.subscription = scope.subscription;
    this.tenantId = scope.tenantId;
    const group = new ResourceGroup(this, 'resource-group', { name: names.of(scope.node.id, 90), location: region });
    this.place = { location: region, resourceGroupName: group.name };
  }

  globalName(part: string, maxLength: number, charset?: Charset): string {
    return oneOfAll(this, part, maxLength, charset);
  }
}

/**
 * The begin of what something is called, and a digest of the whole with the subscription, by which the same site of somebody else has another name.
 */
function oneOfAll(
  { site: { names, environment }, subscription }: Pick<Place, 'site' | 'subscription'>,
  part: string,
  maxLength: number,
  charset: Charset = 'hyphens',
): string {
  const whole = names.of(part);
  const readable = charset === 'hyphens' ? whole : whole.replaceAll('-', '');
  const joint = charset === 'hyphens' ? '-' : '';
  const begin = readable.slice(0, maxLength - DIGEST_LENGTH - joint.length).replace(/-+$/, '');
  const own = environment.accounts?.azure;
  const digest =
    own === undefined
      ? Fn.substr(Fn.sha256(Fn.join('/', [whole, subscription])), 0, DIGEST_LENGTH)
      : createHash('sha256').update(`${whole}/${own}`).digest('hex').slice(0, DIGEST_LENGTH);
  return `${begin}${joint}${digest}`;
}

function ofMicrosoft(name: string): string {
  return `Microsoft.${name}`;
}

/** In the container that `TRIBO_STATE_BUCKET` names as `<storage account>/<container>`, one blob a stack, locked by its lease. */
function keepState(stack: AzureState, id: string): void {
  const { bucket, key, localPath } = stateFile('azure', stack.site.environment, id);
  if (bucket === undefined) {
    new LocalBackend(stack, { path: localPath });
    return;
  }
  const [storageAccountName = '', containerName] = bucket.split('/');
  if (containerName === undefined)
    throw new Error(`TRIBO_STATE_BUCKET must be <storage account>/<container> at Azure, got ${bucket}`);
  new AzurermBackend(stack, { storageAccountName, containerName, key });
  stack.addOverride('terraform.backend.azurerm.use_azuread_auth', true);
}
