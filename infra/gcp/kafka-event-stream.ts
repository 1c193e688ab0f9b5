import { Construct } from 'constructs';
import { ManagedKafkaCluster } from '@cdktf/provider-google/lib/managed-kafka-cluster/index.js';
import { ManagedKafkaTopic } from '@cdktf/provider-google/lib/managed-kafka-topic/index.js';
import { bytesPerS } from '../../core/decision/demand.ts';
import { managedKafkaSize } from '../../core/decision/gcp-plan.ts';
import type { GcpStack } from './gcp-stack.ts';
import type { Network } from './network.ts';
import type { KafkaEventStreamSection } from './ports.ts';

/** Where the bootstrap address and each broker answer clients, over TLS. */
export const KAFKA_PORT = 9092;
const GIB = 2 ** 30;
const REPLICAS = 3;
/** As many copies of a service as may read a stream at once while its load is small. */
const FEWEST_PARTITIONS = 6;
const PARTITION_BYTES_A_S = 1e6;
/** A machine's share of a stream may be far above the mean. */
const PARTITIONS_HEADROOM = 4;
/** What the adapter may publish as one record. */
const LARGEST_RECORD_BYTES = 2 ** 20;
const HOUR_MS = 3_600_000;
const PREFIX = 'tribo.';

/**
 * Managed Service for Apache Kafka: brokers of Google's in three zones, which have addresses in the site's own network alone, and let in whom IAM
 * does. The topics are made with it, so that what is kept for how long is in the plan, and no service makes any.
 */
export class KafkaEventStream extends Construct {
  readonly clusterId: string;
  /** By the platform's name of the stream. */
  readonly topics: ReadonlyMap<string, ManagedKafkaTopic>;
  readonly section: KafkaEventStreamSection;

  constructor(
    scope: GcpStack,
    id: string,
    { network, keyName }: { readonly network: Network; readonly keyName: string },
  ) {
    super(scope, id);
    const { names, demand, environment, isProtected, region } = scope.site;
    const { vcpu, memoryGib } = managedKafkaSize(demand);
    this.clusterId = names.of('streams', 63);
    const cluster = new ManagedKafkaCluster(this, 'cluster', {
      clusterId: this.clusterId,
      location: region,
      capacityConfig: { vcpuCount: String(vcpu), memoryBytes: String(memoryGib * GIB) },
      gcpConfig: {
        accessConfig: { networkConfigs: [{ subnet: network.streams!.id }] },
        kmsKey: keyName,
      },
      rebalanceConfig: { mode: 'AUTO_REBALANCE_ON_SCALE_UP' },
      lifecycle: { preventDestroy: isProtected },
    });
    const retentionMs = environment.retention.streamHours * HOUR_MS;
    this.topics = new Map(
      demand.streams.map((flow) => [
        flow.stream,
        new ManagedKafkaTopic(this, flow.stream, {
          topicId: `${PREFIX}${flow.stream}`,
          cluster: cluster.clusterId,
          location: region,
          partitionCount: Math.max(
            FEWEST_PARTITIONS,
            Math.ceil((bytesPerS(flow) * demand.peakFactor * PARTITIONS_HEADROOM) / PARTITION_BYTES_A_S),
          ),
          replicationFactor: REPLICAS,
          configs: {
            'cleanup.policy': 'delete',
            'max.message.bytes': String(LARGEST_RECORD_BYTES),
            'min.insync.replicas': String(REPLICAS - 1),
            'retention.ms': String(retentionMs),
          },
          // More partitions move machines between them, which wants publishers that stand still.
          lifecycle: { preventDestroy: isProtected, ignoreChanges: ['partition_count'] },
        }),
      ]),
    );
    this.section = {
      adapter: 'kafka-event-stream',
      brokers: [`bootstrap.${this.clusterId}.${region}.managedkafka.${scope.project}.cloud.goog:${KAFKA_PORT}`],
      prefix: PREFIX,
      tls: true,
      sasl: { mechanism: 'gcp-managed-kafka' },
      retentionMs,
    };
  }
}
