import { Construct } from 'constructs';
import { ServicebusNamespace } from '@cdktf/provider-azurerm/lib/servicebus-namespace/index.js';
import { ServicebusQueue } from '@cdktf/provider-azurerm/lib/servicebus-queue/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import type { AzureStack } from './azure-stack.ts';
import type { Logs } from './logs.ts';

export const SENSOR_DATA_QUEUE = 'sensor-data';
/** What nobody fetches for so long is a dead letter too. */
const KEPT = 'P14D';
/** Of a message, before it is a dead letter: each try lasts a minute and a half where the event hub is away. */
const TRIES = 5;

/**
 * The queue of readings, for programs that have no connection to the hub of the devices. Service Bus keeps what could not be handed on among its
 * dead letters, and says within a minute how many they are; a queue of Storage has no number of its own that anybody could be called by, and Event Grid
 * would have to call a function that nobody outside may reach. Basic costs by what is sent alone.
 */
export class SensorDataQueue extends Construct {
  readonly namespace: ServicebusNamespace;
  readonly queue: ServicebusQueue;
  /** `tribo-akron-dev-queues-0123abcd.servicebus.windows.net`. */
  readonly host: string;

  constructor(scope: AzureStack, id: string, { logs }: { readonly logs: Logs }) {
    super(scope, id);
    this.namespace = new ServicebusNamespace(this, 'namespace', {
      ...scope.place,
      name: scope.globalName('queues', 50),
      sku: 'Basic',
      localAuthEnabled: false,
      minimumTlsVersion: '1.2',
      // Whoever sends is wherever plants are, and comes as who it is.
      publicNetworkAccessEnabled: true,
    });
    acknowledge(this.namespace, {
      CKV_AZURE_199:
        'Encrypted by Azure: a second time is of the tier Premium, at seventy times the price of all else here',
      CKV_AZURE_201: 'Encrypted by a key of Azure: one of the site is of the tier Premium',
      CKV_AZURE_202: 'It reaches nothing itself, and so needs no identity',
      CKV_AZURE_204:
        'Whoever sends is wherever plants are, and comes by a role; private networks are of the tier Premium',
    });
    this.queue = new ServicebusQueue(this, 'queue', {
      name: SENSOR_DATA_QUEUE,
      namespaceId: this.namespace.id,
      maxDeliveryCount: TRIES,
      lockDuration: 'PT5M',
      defaultMessageTtl: KEPT,
      deadLetteringOnMessageExpiration: true,
      maxSizeInMegabytes: 1024,
    });
    this.host = `${this.namespace.name}.servicebus.windows.net`;
    logs.of(this, this.namespace.id, ['OperationalLogs']);
  }
}
