import { Construct } from 'constructs';
import { IothubEndpointEventhub } from '@cdktf/provider-azurerm/lib/iothub-endpoint-eventhub/index.js';
import { IothubFallbackRouteA } from '@cdktf/provider-azurerm/lib/iothub-fallback-route/index.js';
import { IothubRouteA } from '@cdktf/provider-azurerm/lib/iothub-route/index.js';
import { RoleAssignment } from '@cdktf/provider-azurerm/lib/role-assignment/index.js';
import type { AzureStack } from './azure-stack.ts';
import type { DataStack } from './data-stack.ts';
import { DEVICES_HUB } from './device-hub.ts';
import type { DeviceGatewaySection } from './ports.ts';

/** What devices send, and whether they are there: the two that the gateway reads. */
const ROUTED = { messages: 'DeviceMessages', connections: 'DeviceConnectionStateEvents' } as const;

/**
 * The routes of the hub: all that devices send goes to the event hub of the devices, as the hub itself. Condition `true` leaves nothing over, so
 * the fallback is off; what could not be handed on is counted, and called for (alarms.ts).
 */
export class IotHubDeviceGateway extends Construct {
  readonly section: DeviceGatewaySection;

  constructor(scope: AzureStack, id: string, { iotHub: { hub }, deviceHub, checkpoints }: DataStack) {
    super(scope, id);
    const { resourceGroupName } = hub;
    const right = new RoleAssignment(this, 'sends', {
      scope: deviceHub.hub.id,
      roleDefinitionName: 'Azure Event Hubs Data Sender',
      principalId: hub.identity.principalId,
      principalType: 'ServicePrincipal',
      skipServicePrincipalAadCheck: true,
    });
    const endpoint = new IothubEndpointEventhub(this, 'endpoint', {
      name: DEVICES_HUB,
      resourceGroupName,
      iothubId: hub.id,
      authenticationType: 'identityBased',
      endpointUri: `sb://${deviceHub.host}`,
      entityPath: DEVICES_HUB,
      dependsOn: [right],
    });
    const routes = Object.entries(ROUTED).map(
      ([name, source]) =>
        new IothubRouteA(this, name, {
          name,
          resourceGroupName,
          iothubName: hub.name,
          source,
          condition: 'true',
          endpointNames: [endpoint.name],
          enabled: true,
        }),
    );
    new IothubFallbackRouteA(this, 'fallback', {
      resourceGroupName,
      iothubName: hub.name,
      source: ROUTED.messages,
      condition: 'true',
      // The endpoint that every hub has is of a name that the provider refuses; switched off it leads nowhere.
      endpointNames: [endpoint.name],
      enabled: false,
      dependsOn: routes,
    });
    this.section = { host: hub.hostname, namespace: deviceHub.host, eventHub: DEVICES_HUB, ...checkpoints.place };
  }
}
