import { Construct } from 'constructs';
import { EventhubConsumerGroup } from '@cdktf/provider-azurerm/lib/eventhub-consumer-group/index.js';
import type { EventhubNamespace } from '@cdktf/provider-azurerm/lib/eventhub-namespace/index.js';
import type { Eventhub } from '@cdktf/provider-azurerm/lib/eventhub/index.js';
import { devicesStream } from '../../core/decision/azure-plan.ts';
import { STREAM_GROUPS } from '../../services/shared/observability/stream-lag.ts';
import type { AzureStack } from './azure-stack.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import type { DeviceHub } from './device-hub.ts';
import type { Logs } from './logs.ts';
import type { EventStreamSection } from './ports.ts';
import type { PrivateEndpoints } from './private-endpoints.ts';
import { privateNamespace } from './private-namespace.ts';

const HOUR_MS = 3_600_000;
/** Of timeseries-service, which reads the raw streams once more where the site keeps a raw archive. */
const ARCHIVE_GROUP = 'raw-archive';

interface Parts {
  readonly checkpoints: CheckpointStore;
  readonly logs: Logs;
  readonly endpoints: PrivateEndpoints;
}

/**
 * The platform's streams and that of the devices, in one namespace with the throughput units of the plan: no key opens it, and nobody outside the
 * network but IoT Hub, as who it is. A consumer group for each group of the platform: groups are made here alone.
 */
export class EventHubsEventStream extends Construct {
  readonly namespace: EventhubNamespace;
  /** By name, the devices' too. */
  readonly hubs: Readonly<Record<string, Eventhub>>;
  readonly devices: DeviceHub;
  readonly section: EventStreamSection;

  constructor(scope: AzureStack, id: string, { checkpoints, logs, endpoints }: Parts) {
    super(scope, id);
    const { demand, environment } = scope.site;
    const devices = devicesStream(demand);
    const { namespace, hubs, host } = privateNamespace(this, scope, {
      part: 'events',
      flows: [devices, ...demand.streams],
      isOpenToAzure: true,
      logged: ['OperationalLogs'],
      ...{ logs, endpoints },
    });
    this.namespace = namespace;
    this.hubs = hubs;
    this.devices = { namespace, hub: hubs[devices.stream]!, host };
    this.#groups(scope);
    this.section = {
      namespace: host,
      streams: Object.fromEntries(demand.streams.map(({ stream }) => [stream, stream])),
      ...checkpoints.place,
      retentionMs: environment.retention.streamHours * HOUR_MS,
    };
  }

  #groups({ site: { environment }, place }: AzureStack): void {
    for (const [stream, group] of STREAM_GROUPS) {
      if (group === ARCHIVE_GROUP && !environment.switches.rawArchive) continue;
      new EventhubConsumerGroup(this, `${stream}-${group}`, {
        name: group,
        eventhubName: this.hubs[stream]!.name,
        namespaceName: this.namespace.name,
        resourceGroupName: place.resourceGroupName,
      });
    }
  }
}
