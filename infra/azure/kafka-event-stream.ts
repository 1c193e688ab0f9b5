import { Construct } from 'constructs';
import type { EventhubNamespace } from '@cdktf/provider-azurerm/lib/eventhub-namespace/index.js';
import type { Eventhub } from '@cdktf/provider-azurerm/lib/eventhub/index.js';
import type { AzureStack } from './azure-stack.ts';
import type { Logs } from './logs.ts';
import type { KafkaEventStreamSection } from './ports.ts';
import type { PrivateEndpoints } from './private-endpoints.ts';
import { privateNamespace } from './private-namespace.ts';

/** Where a namespace speaks Kafka, over TLS: all of its partitions at the one address of its endpoint. */
export const KAFKA_PORT = 9093;
const HOUR_MS = 3_600_000;
const PREFIX = 'tribo.';

/**
 * Event Hubs, spoken to as Kafka: a hub is a topic, made here alone. Groups are those of Kafka's clients, which keep their positions in the
 * service and are nothing of Azure's. Standard is the least tier with that endpoint and its idempotent producers:
 * https://learn.microsoft.com/azure/event-hubs/azure-event-hubs-apache-kafka-overview
 */
export class KafkaEventStream extends Construct {
  readonly namespace: EventhubNamespace;
  /** By the platform's name of the stream. */
  readonly hubs: Readonly<Record<string, Eventhub>>;
  readonly section: KafkaEventStreamSection;

  constructor(
    scope: AzureStack,
    id: string,
    { logs, endpoints }: { readonly logs: Logs; readonly endpoints: PrivateEndpoints },
  ) {
    super(scope, id);
    const { demand, environment } = scope.site;
    const { namespace, hubs, host } = privateNamespace(this, scope, {
      part: 'streams',
      flows: demand.streams,
      prefix: PREFIX,
      isOpenToAzure: false,
      logged: ['OperationalLogs', 'KafkaCoordinatorLogs', 'KafkaUserErrorLogs'],
      ...{ logs, endpoints },
    });
    this.namespace = namespace;
    this.hubs = hubs;
    this.section = {
      adapter: 'kafka-event-stream',
      brokers: [`${host}:${KAFKA_PORT}`],
      prefix: PREFIX,
      tls: true,
      sasl: { mechanism: 'azure-event-hubs', namespace: host },
      retentionMs: environment.retention.streamHours * HOUR_MS,
    };
  }
}
