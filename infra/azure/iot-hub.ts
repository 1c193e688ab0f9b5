import { Construct } from 'constructs';
import { Iothub } from '@cdktf/provider-azurerm/lib/iothub/index.js';
import { hubOf } from '../../core/decision/azure-plan.ts';
import { acknowledge } from '../policy/acknowledge.ts';
import type { AzureStack } from './azure-stack.ts';
import type { Logs } from './logs.ts';

/** As long as the hub keeps a command for a device that is away. */
const COMMAND_TTL = 'P2D';

/**
 * How long the hub keeps what became of a command, and for how long one reader has it to itself. Said although the first is the hub's own: a hub always
 * has these, and the provider plans to take away what is not written. Half a minute, as it has one spelling: PT60S might be read back as PT1M.
 */
const FEEDBACK = { timeToLive: 'PT1H', lockDuration: 'PT30S', maxDeliveryCount: 10 } as const;

/**
 * The hub that devices connect to, from anywhere, each with a key of its own. It is with the data: identities of devices, their keys and their
 * machines are in it and nowhere else. No key of the hub itself is taken: services come as who they are.
 */
export class IotHub extends Construct {
  readonly hub: Iothub;

  constructor(scope: AzureStack, id: string, { logs }: { readonly logs: Logs }) {
    super(scope, id);
    const { site, place } = scope;
    const { name, units } = hubOf(site.demand, site.prices.azure);
    this.hub = new Iothub(this, 'hub', {
      ...place,
      name: scope.globalName('devices', 50),
      sku: { name, capacity: units },
      localAuthenticationEnabled: false,
      publicNetworkAccessEnabled: true,
      identity: { type: 'SystemAssigned' },
      cloudToDevice: { defaultTtl: COMMAND_TTL, maxDeliveryCount: 10, feedback: [FEEDBACK] },
      lifecycle: { preventDestroy: site.isProtected },
    });
    acknowledge(this.hub, { CKV_AZURE_108: 'Devices come from wherever plants are, each with a key of its own' });
    logs.of(this, this.hub.id, ['Connections', 'Routes', 'DeviceIdentityOperations']);
  }
}
