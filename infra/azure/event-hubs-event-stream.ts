import { Construct } from 'constructs';
import { EventhubConsumerGroup } from '@cdktf/provider-azurerm/lib/eventhub-consumer-group/index.js';
import { EventhubNamespace } from '@cdktf/provider-azurerm/lib/eventhub-namespace/index.js';
import { Eventhub } from '@cdktf/provider-azurerm/lib/eventhub/index.js';
import { devicesStream, partitionsFor, throughputUnitsFor } from '../../core/decision/azure-plan.ts';
import type { StreamFlow } from '../../core/decision/demand.ts';
import { STREAM_GROUPS } from '../../services/shared/observability/stream-lag.ts';
import type { AzureStack } from './azure-stack.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import type { Logs } from './logs.ts';
import type { EventStreamSection } from './ports.ts';
import type { PrivateEndpoints } from './private-endpoints.ts';

const HOUR_MS = 3_600_000;
const HOURS_A_DAY = 24;
/** Of timeseries-service, which reads the raw streams once more where the site keeps a raw archive. */
const ARCHIVE_GROUP = 'raw-archive';
/** What the routes of IoT Hub fill, and the gateway alone reads. */
export const DEVICES_HUB = 'devices';

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
  /** `tribo-akron-dev-events-0123abcd.servicebus.windows.net`. */
  readonly host: string;
  readonly section: EventStreamSection;

  constructor(scope: AzureStack, id: string, { checkpoints, logs, endpoints }: Parts) {
    super(scope, id);
    const { site, place } = scope;
    const { demand, environment } = site;
    const flows = [devicesStream(demand), ...demand.streams];
    this.namespace = new EventhubNamespace(this, 'namespace', {
      ...place,
      name: scope.globalName('events', 50),
      sku: 'Standard',
      capacity: throughputUnitsFor(flows, demand.peakFactor),
      // What is priced is what there is: above it publishers are throttled, and hold back.
      autoInflateEnabled: false,
      localAuthenticationEnabled: false,
      minimumTlsVersion: '1.2',
      publicNetworkAccessEnabled: false,
      networkRulesets: [
        { defaultAction: 'Deny', publicNetworkAccessEnabled: false, trustedServiceAccessEnabled: true },
      ],
      lifecycle: { preventDestroy: site.isProtected },
    });
    endpoints.lead(this, scope, { kind: 'namespace', part: 'events', id: this.namespace.id });
    logs.of(this, this.namespace.id, ['OperationalLogs']);
    this.hubs = Object.fromEntries(flows.map((flow) => [flow.stream, this.#hub(scope, flow)]));
    this.#groups(scope);
    this.host = `${this.namespace.name}.servicebus.windows.net`;
    this.section = {
      namespace: this.host,
      streams: Object.fromEntries(demand.streams.map(({ stream }) => [stream, stream])),
      ...checkpoints.place,
      retentionMs: environment.retention.streamHours * HOUR_MS,
    };
  }

  #hub({ site }: AzureStack, flow: StreamFlow): Eventhub {
    const { demand, environment, isProtected } = site;
    return new Eventhub(this, flow.stream, {
      name: flow.stream,
      namespaceId: this.namespace.id,
      partitionCount: partitionsFor(flow, demand.peakFactor, environment.sizes),
      messageRetention: environment.retention.streamHours / HOURS_A_DAY,
      lifecycle: { preventDestroy: isProtected },
    });
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
