import type { Construct } from 'constructs';
import { EventhubNamespace } from '@cdktf/provider-azurerm/lib/eventhub-namespace/index.js';
import { Eventhub } from '@cdktf/provider-azurerm/lib/eventhub/index.js';
import { partitionsFor, throughputUnitsFor } from '../../core/decision/azure-plan.ts';
import type { StreamFlow } from '../../core/decision/demand.ts';
import type { AzureStack } from './azure-stack.ts';
import type { Logs } from './logs.ts';
import type { PrivateEndpoints } from './private-endpoints.ts';

const HOURS_A_DAY = 24;

interface Wanted {
  /** What tells its name from those of the site's other namespaces. */
  readonly part: string;
  readonly flows: readonly StreamFlow[];
  /** Begin of the names of its hubs, which end as their streams are called. */
  readonly prefix?: string;
  /** Whether IoT Hub comes in, as who it is. */
  readonly isOpenToAzure: boolean;
  readonly logged: readonly string[];
  readonly logs: Logs;
  readonly endpoints: PrivateEndpoints;
}

/** A namespace of Event Hubs. */
interface PrivateNamespace {
  readonly namespace: EventhubNamespace;
  /** By the name of the stream. */
  readonly hubs: Readonly<Record<string, Eventhub>>;
  /** `tribo-akron-dev-events-0123abcd.servicebus.windows.net`. */
  readonly host: string;
}

/** A namespace with the throughput units of the plan and a hub a stream: no key opens it, and nobody outside the network. */
export function privateNamespace(
  scope: Construct,
  stack: AzureStack,
  { part, flows, prefix = '', isOpenToAzure, logged, logs, endpoints }: Wanted,
): PrivateNamespace {
  const { site, place } = stack;
  const { demand, environment, isProtected } = site;
  const namespace = new EventhubNamespace(scope, 'namespace', {
    ...place,
    name: stack.globalName(part, 50),
    sku: 'Standard',
    capacity: throughputUnitsFor(flows, demand.peakFactor),
    // What is priced is what there is: above it publishers are throttled, and hold back.
    autoInflateEnabled: false,
    localAuthenticationEnabled: false,
    minimumTlsVersion: '1.2',
    publicNetworkAccessEnabled: false,
    networkRulesets: [
      { defaultAction: 'Deny', publicNetworkAccessEnabled: false, trustedServiceAccessEnabled: isOpenToAzure },
    ],
    lifecycle: { preventDestroy: isProtected },
  });
  endpoints.lead(scope, stack, { kind: 'namespace', part, id: namespace.id });
  logs.of(scope, namespace.id, [...logged]);
  const hub = (flow: StreamFlow) =>
    new Eventhub(scope, flow.stream, {
      name: `${prefix}${flow.stream}`,
      namespaceId: namespace.id,
      partitionCount: partitionsFor(flow, demand.peakFactor, environment.sizes),
      messageRetention: environment.retention.streamHours / HOURS_A_DAY,
      lifecycle: { preventDestroy: isProtected },
    });
  return {
    namespace,
    hubs: Object.fromEntries(flows.map((flow) => [flow.stream, hub(flow)])),
    host: `${namespace.name}.servicebus.windows.net`,
  };
}
