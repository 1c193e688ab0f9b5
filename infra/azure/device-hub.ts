import { Construct } from 'constructs';
import type { EventhubNamespace } from '@cdktf/provider-azurerm/lib/eventhub-namespace/index.js';
import type { Eventhub } from '@cdktf/provider-azurerm/lib/eventhub/index.js';
import { devicesStream } from '../../core/decision/azure-plan.ts';
import type { AzureStack } from './azure-stack.ts';
import type { Logs } from './logs.ts';
import type { PrivateEndpoints } from './private-endpoints.ts';
import { privateNamespace } from './private-namespace.ts';

/** What the routes of IoT Hub fill, and the gateway alone reads. */
export const DEVICES_HUB = 'devices';

/** Where that is. */
export interface DeviceHub {
  readonly namespace: EventhubNamespace;
  readonly hub: Eventhub;
  /** Of its namespace. */
  readonly host: string;
}

/**
 * The event hub of the devices in a namespace of its own, beside streams of Kafka: rights to those are on all of their namespace, with which a
 * service could send as a device.
 */
export class DeviceNamespace extends Construct implements DeviceHub {
  readonly namespace: EventhubNamespace;
  readonly hub: Eventhub;
  readonly host: string;

  constructor(
    scope: AzureStack,
    id: string,
    { logs, endpoints }: { readonly logs: Logs; readonly endpoints: PrivateEndpoints },
  ) {
    super(scope, id);
    const { namespace, hubs, host } = privateNamespace(this, scope, {
      part: 'device-events',
      flows: [devicesStream(scope.site.demand)],
      isOpenToAzure: true,
      logged: ['OperationalLogs'],
      ...{ logs, endpoints },
    });
    this.namespace = namespace;
    this.hub = hubs[DEVICES_HUB]!;
    this.host = host;
  }
}
