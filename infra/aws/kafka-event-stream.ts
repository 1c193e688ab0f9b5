import { Fn } from 'cdktf';
import { Construct } from 'constructs';
import { AppautoscalingPolicy } from '@cdktf/provider-aws/lib/appautoscaling-policy/index.js';
import { AppautoscalingTarget } from '@cdktf/provider-aws/lib/appautoscaling-target/index.js';
import { MskCluster } from '@cdktf/provider-aws/lib/msk-cluster/index.js';
import { MskConfiguration } from '@cdktf/provider-aws/lib/msk-configuration/index.js';
import type { SecurityGroup } from '@cdktf/provider-aws/lib/security-group/index.js';
import { KAFKA_ZONES, kafkaSize, shardsFor } from '../../core/decision/aws-plan.ts';
import type { AwsStack } from './aws-stack.ts';
import { guardedPort } from './guarded-port.ts';
import { logGroup } from './log-group.ts';
import type { Network } from './network.ts';
import type { KafkaEventStreamSection } from './ports.ts';

/** The last of the 3rd generation, for which MSK names no end of support; the metadata are in the brokers themselves. */
const KAFKA_VERSION = '3.9.x.kraft';
/** What was priced (environments/prices/aws.yaml). */
const BROKER_TYPE = 'kafka.t3.small';
/** Where brokers answer clients that sign in by IAM, over TLS. */
export const IAM_PORT = 9098;
/** MSK names as many brokers to begin with, however many there are. */
const FIRST_BROKERS = 3;
const REPLICAS = 3;
/** As many copies of a service as may read a stream at once while its load is small. */
const FEWEST_PARTITIONS = 6;
/** Of the disks, from where on they grow, to so many times their first size. */
const FULL_PERCENT = 60;
const MOST_STORAGE_TIMES = 3;
const LARGEST_STORAGE_GB = 16_384;
const HOUR_MS = 3_600_000;
const PREFIX = 'tribo.';

/** Of the brokers; what concerns one topic is said as it is made. */
const SERVER_PROPERTIES = [
  // A topic that nobody sized would have one partition, and be kept for a week.
  'auto.create.topics.enable=false',
  `default.replication.factor=${REPLICAS}`,
  `min.insync.replicas=${REPLICAS - 1}`,
  // What was acknowledged is not lost by a replica that missed it.
  'unclean.leader.election.enable=false',
];

/**
 * MSK: a broker in each of three zones, that answers those alone that carry the security group of its clients and sign in by IAM. The first service
 * that starts makes the topics.
 */
export class KafkaEventStream extends Construct {
  readonly clusterName: string;
  readonly brokers: number;
  readonly clients: SecurityGroup;
  readonly section: KafkaEventStreamSection;
  /** What MSK's rights are on: name and id of the cluster, as its ARN ends. */
  readonly cluster: string;

  constructor(
    scope: AwsStack,
    id: string,
    { network, keyArn }: { readonly network: Network; readonly keyArn: string },
  ) {
    super(scope, id);
    const { names, demand, environment, isProtected, region } = scope.site;
    const { brokers, gbPerBroker } = kafkaSize(demand, environment.retention);
    this.clusterName = names.of('streams', 64);
    this.brokers = brokers;
    const { clients, server } = guardedPort(this, {
      ...{ names, network, port: IAM_PORT },
      ...{ name: 'streams', protocol: 'Kafka', what: 'the brokers' },
    });
    this.clients = clients;
    const configuration = new MskConfiguration(this, 'configuration', {
      name: this.clusterName,
      description: 'No topic that nobody asked for, three replicas of which two have what was acknowledged',
      serverProperties: SERVER_PROPERTIES.join('\n'),
    });
    const log = logGroup(this, 'log', scope.site, { name: `/${names.path}brokers`, keyArn });
    const cluster = new MskCluster(this, 'cluster', {
      clusterName: this.clusterName,
      kafkaVersion: KAFKA_VERSION,
      numberOfBrokerNodes: brokers,
      brokerNodeGroupInfo: {
        instanceType: BROKER_TYPE,
        clientSubnets: network.subnets.data.slice(0, KAFKA_ZONES).map((subnet) => subnet.id),
        securityGroups: [server.id],
        connectivityInfo: { publicAccess: { type: 'DISABLED' } },
        storageInfo: { ebsStorageInfo: { volumeSize: gbPerBroker } },
      },
      clientAuthentication: { unauthenticated: false, sasl: { iam: true, scram: false } },
      configurationInfo: { arn: configuration.arn, revision: configuration.latestRevision },
      encryptionInfo: {
        encryptionAtRestKmsKeyArn: keyArn,
        encryptionInTransit: { clientBroker: 'TLS', inCluster: true },
      },
      enhancedMonitoring: 'PER_BROKER',
      loggingInfo: { brokerLogs: { cloudwatchLogs: { enabled: true, logGroup: log.name } } },
      lifecycle: {
        preventDestroy: isProtected,
        // Disks grow by themselves, and never shrink.
        ignoreChanges: ['broker_node_group_info[0].storage_info[0].ebs_storage_info[0].volume_size'],
      },
    });
    this.#growingDisks(cluster.arn, gbPerBroker);
    this.cluster = Fn.element(Fn.split(':cluster/', cluster.arn), 1) as string;
    const addresses = Fn.split(',', cluster.bootstrapBrokersSaslIam);
    this.section = {
      adapter: 'kafka-event-stream',
      brokers: Array.from({ length: FIRST_BROKERS }, (_, index) => Fn.element(addresses, index) as string),
      prefix: PREFIX,
      tls: true,
      sasl: { mechanism: 'aws-msk-iam', region },
      retentionMs: environment.retention.streamHours * HOUR_MS,
      topics: {
        partitions: Object.fromEntries(
          demand.streams.map((flow) => [flow.stream, Math.max(FEWEST_PARTITIONS, shardsFor(flow, demand.peakFactor))]),
        ),
        replicas: REPLICAS,
      },
    };
  }

  #growingDisks(clusterArn: string, gbPerBroker: number): void {
    const target = new AppautoscalingTarget(this, 'disks', {
      serviceNamespace: 'kafka',
      scalableDimension: 'kafka:broker-storage:VolumeSize',
      resourceId: clusterArn,
      minCapacity: 1,
      maxCapacity: Math.min(gbPerBroker * MOST_STORAGE_TIMES, LARGEST_STORAGE_GB),
    });
    new AppautoscalingPolicy(this, 'disks-by-use', {
      name: 'disk',
      policyType: 'TargetTrackingScaling',
      serviceNamespace: target.serviceNamespace,
      scalableDimension: target.scalableDimension,
      resourceId: target.resourceId,
      targetTrackingScalingPolicyConfiguration: {
        predefinedMetricSpecification: { predefinedMetricType: 'KafkaBrokerStorageUtilization' },
        targetValue: FULL_PERCENT,
        disableScaleIn: true,
      },
    });
  }
}
