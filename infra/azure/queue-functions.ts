import { TerraformOutput } from 'cdktf';
import { Construct } from 'constructs';
import { FunctionAppFlexConsumption } from '@cdktf/provider-azurerm/lib/function-app-flex-consumption/index.js';
import { RoleAssignment } from '@cdktf/provider-azurerm/lib/role-assignment/index.js';
import { ServicePlan } from '@cdktf/provider-azurerm/lib/service-plan/index.js';
import { UserAssignedIdentity } from '@cdktf/provider-azurerm/lib/user-assigned-identity/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import type { AzureStack } from './azure-stack.ts';
import type { DataStack } from './data-stack.ts';
import { deployerAddresses } from './deployer-addresses.ts';
import { DEVICES_HUB } from './device-hub.ts';
import type { FoundationStack } from './foundation-stack.ts';
import { PrivateAccount } from './private-account.ts';
import { SENSOR_DATA_QUEUE, SensorDataQueue } from './sensor-data-queue.ts';

/** The folder of services/functions. */
const FUNCTION = 'sensor-data-processor';
const PACKAGES = 'packages';
/** Longer ones may have the id of another app's host. */
const MAX_NAME = 32;
/** As few as may be: what is sent to the queue must not take the event hub from the devices. */
const MOST_INSTANCES = 40;
const MEMORY_MB = 512;

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
    const app = new FunctionAppFlexConsumption(this, FUNCTION, {
      ...place,
      name: scope.globalName('functions', MAX_NAME),
      servicePlanId: plan.id,
      ...{ runtimeName: 'node', runtimeVersion: '22', instanceMemoryInMb: MEMORY_MB },
      maximumInstanceCount: MOST_INSTANCES,
      storageContainerType: 'blobContainer',
      storageContainerEndpoint: `${own.url}/${PACKAGES}`,
      storageAuthenticationType: 'UserAssignedIdentity',
      storageUserAssignedIdentityId: identity.id,
      identity: { type: 'UserAssigned', identityIds: [identity.id] },
      virtualNetworkSubnetId: foundation.network.subnets.functions.id,
      httpsOnly: true,
      webdeployPublishBasicAuthenticationEnabled: false,
      appSettings: {
        // The provider would put a connection string without a key there, which goes before the identity.
        AzureWebJobsStorage: '',
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
      },
      siteConfig: {
        ...{ minimumTlsVersion: '1.2', scmMinimumTlsVersion: '1.2', http2Enabled: true },
        ...{ ipRestrictionDefaultAction: 'Deny', scmIpRestrictionDefaultAction: 'Deny' },
        vnetRouteAllEnabled: true,
      },
      dependsOn: [...rights, own.containers[PACKAGES]!],
    });
    this.#openTo(app);
    logs.of(this, app.id, ['FunctionAppLogs']);
    new TerraformOutput(this, 'app', {
      value: app.name,
      description: 'Where the package of sensor-data-processor goes (infra/README.md)',
      staticId: true,
    }).overrideLogicalId('function_app');
  }

  /** What takes packages is open to whoever deploys, while their addresses are named; the app itself to nobody. */
  #openTo(app: FunctionAppFlexConsumption): void {
    const addresses = deployerAddresses(
      this,
      'Public addresses that may bring the package of the function; none shuts the app to all',
    );
    app.addOverride('public_network_access_enabled', `\${length(${addresses}) > 0}`);
    app.addOverride('site_config.dynamic', {
      scm_ip_restriction: {
        for_each: `\${toset(${addresses})}`,
        content: {
          name: 'deployer-${replace(replace(scm_ip_restriction.value, ".", "-"), "/", "-")}',
          action: 'Allow',
          priority: 100,
          ip_address:
            '${strcontains(scm_ip_restriction.value, "/") ? scm_ip_restriction.value : "${scm_ip_restriction.value}/32"}',
        },
      },
    });
  }
}
