import { Fn, TerraformLocal, TerraformOutput } from 'cdktf';
import { Construct } from 'constructs';
import { ResourceGroupTemplateDeployment } from '@cdktf/provider-azurerm/lib/resource-group-template-deployment/index.js';
import { RoleAssignment } from '@cdktf/provider-azurerm/lib/role-assignment/index.js';
import { ServicePlan } from '@cdktf/provider-azurerm/lib/service-plan/index.js';
import { UserAssignedIdentity } from '@cdktf/provider-azurerm/lib/user-assigned-identity/index.js';
import { mandatoryTags } from '../aspects/tags.ts';
import { acknowledge } from '../policy/acknowledge.ts';
import type { AzureStack } from './azure-stack.ts';
import type { DataStack } from './data-stack.ts';
import { deployerAddresses } from './deployer-addresses.ts';
import { DEVICES_HUB } from './device-hub.ts';
import type { FoundationStack } from './foundation-stack.ts';
import { functionAppTemplate } from './function-app-template.ts';
import { asParameters, madeBy } from './made-by-template.ts';
import { PrivateAccount } from './private-account.ts';
import { SENSOR_DATA_QUEUE, SensorDataQueue } from './sensor-data-queue.ts';

/** The folder of services/functions. */
const FUNCTION = 'sensor-data-processor';
const PACKAGES = 'packages';
/** Longer ones may have the id of another app's host. */
const MAX_NAME = 32;

interface Parts {
  readonly foundation: FoundationStack;
  readonly data: DataStack;
}

/**
 * The serverless path: a queue for programs that send readings of devices, and the function that puts them into the event hub which the device
 * gateway reads. It is run for what comes, by an identity alone, within the network, and nobody calls it. Its package comes after it
 * (infra/README.md): the provider would take a password for that.
 */
export class QueueFunctions extends Construct {
  readonly queue: SensorDataQueue;

  constructor(scope: AzureStack, id: string, { foundation, data }: Parts) {
    super(scope, id);
    const { site, place } = scope;
    const { logs, privateEndpoints: endpoints, key } = foundation;
    this.queue = new SensorDataQueue(scope, 'sensor-data', { logs });
    const own = new PrivateAccount(this, 'storage', scope, {
      ...{ part: 'functions', key: key.own, logs, containers: [PACKAGES], isMadeAgain: true },
    });
    endpoints.lead(own, scope, { kind: 'blob', part: 'functions', id: own.account.id });
    const identity = new UserAssignedIdentity(this, 'identity', { ...place, name: site.names.of(FUNCTION, 128) });
    const may = (part: string, roleDefinitionName: string, on: string) =>
      new RoleAssignment(this, part, {
        ...{ scope: on, roleDefinitionName, principalId: identity.principalId },
        ...{ principalType: 'ServicePrincipal', skipServicePrincipalAadCheck: true },
      });
    const rights = [
      // Of its own account alone: the runtime keeps there who of its copies does what.
      may('keeps', 'Storage Blob Data Owner', own.account.id),
      may('receives', 'Azure Service Bus Data Receiver', this.queue.queue.id),
      may('sends', 'Azure Event Hubs Data Sender', data.deviceHub.hub.id),
    ];
    const plan = new ServicePlan(this, 'plan', {
      ...{ ...place, name: site.names.of('functions', 60), osType: 'Linux', skuName: 'FC1' },
    });
    acknowledge(plan, {
      CKV_AZURE_212: 'Flex Consumption is nothing between calls: no instance waits for them, the queue does',
      CKV_AZURE_225: 'What is in the queue waits until a zone is back, two weeks if need be',
    });
    const byIdentity = (connection: string) => ({
      [`${connection}__credential`]: 'managedidentity',
      [`${connection}__clientId`]: identity.clientId,
    });
    const app = scope.globalName('functions', MAX_NAME);
    const made = new ResourceGroupTemplateDeployment(this, FUNCTION, {
      name: site.names.of(FUNCTION, 64),
      resourceGroupName: place.resourceGroupName,
      deploymentMode: 'Incremental',
      templateContent: JSON.stringify(functionAppTemplate()),
      parametersContent: Fn.jsonencode(
        asParameters({
          ...{ app, location: place.location, plan: plan.id, identity: identity.id },
          ...{ packages: `${own.url}/${PACKAGES}`, subnet: foundation.network.subnets.functions.id },
          settings: named({
            AzureWebJobsStorage__accountName: own.account.name,
            ...byIdentity('AzureWebJobsStorage'),
            TRIBO_QUEUE__fullyQualifiedNamespace: this.queue.host,
            ...byIdentity('TRIBO_QUEUE'),
            TRIBO_QUEUE_NAME: SENSOR_DATA_QUEUE,
            // Of the identities that an app may have, the one that the SDKs ask for.
            AZURE_CLIENT_ID: identity.clientId,
            TRIBO_DEVICE_NAMESPACE: data.deviceHub.host,
            TRIBO_DEVICE_HUB: DEVICES_HUB,
            TRIBO_TENANT: site.environment.tenants[0]!,
            TRIBO_SITE: site.environment.site,
          }),
          ...this.#openTo(),
          tags: mandatoryTags(site.environment),
        }),
      ),
      dependsOn: [...rights, own.containers[PACKAGES]!],
    });
    logs.of(this, madeBy(made, `${scope.resourceGroup.id}/providers/Microsoft.Web/sites/${app}`), ['FunctionAppLogs']);
    new TerraformOutput(this, 'app', {
      value: app,
      description: 'Where the package of sensor-data-processor goes (infra/README.md)',
      staticId: true,
    }).overrideLogicalId('function_app');
  }

  /** What takes packages is open to whoever deploys, while their addresses are named; the app itself to nobody. */
  #openTo() {
    const addresses = deployerAddresses(
      this,
      'Public addresses that may bring the package of the function; none shuts the app to all',
    );
    const expression = (id: string, hcl: string): unknown => new TerraformLocal(this, id, `\${${hcl}}`).expression;
    return {
      access: expression('access', `length(${addresses}) > 0 ? "Enabled" : "Disabled"`),
      deployers: expression(
        'deployers',
        `[for address in ${addresses} : { name = "deployer-\${replace(replace(address, ".", "-"), "/", "-")}", action = "Allow", priority = 100, ipAddress = strcontains(address, "/") ? address : "\${address}/32" }]`,
      ),
    };
  }
}

/** As an app has its settings. */
function named(settings: Readonly<Record<string, string>>) {
  return Object.entries(settings).map(([name, value]) => ({ name, value }));
}
