import type { Grant } from '../../permissions.ts';

const CLUSTER = 'arn:aws:kafka:<region>:*:cluster/<cluster>';
const TOPIC = 'arn:aws:kafka:<region>:*:topic/<cluster>/<prefix><streams>';
const GROUP = 'arn:aws:kafka:<region>:*:group/<cluster>/<prefix>*';

/**
 * Of MSK's IAM, with the region of `sasl`; `<cluster>` is the cluster's name and id, as its ARN ends: brokers are all that the adapter knows of it.
 * https://docs.aws.amazon.com/msk/latest/developerguide/kafka-actions.html
 */
export const kafkaEventStreamPermissions: readonly Grant[] = [
  { actions: ['kafka-cluster:Connect', 'kafka-cluster:WriteDataIdempotently'], on: CLUSTER },
  { actions: ['kafka-cluster:DescribeTopic', 'kafka-cluster:WriteData', 'kafka-cluster:ReadData'], on: TOPIC },
  { actions: ['kafka-cluster:CreateTopic'], on: TOPIC, note: 'with the setting `topics`' },
  {
    actions: ['kafka-cluster:DescribeGroup', 'kafka-cluster:AlterGroup', 'kafka-cluster:DeleteGroup'],
    on: GROUP,
  },
  { actions: ['kafka-cluster:DescribeCluster'], on: CLUSTER, isForVerification: true },
  { actions: ['kafka-cluster:DescribeTopicDynamicConfiguration'], on: TOPIC, isForVerification: true },
];

/**
 * Of Managed Service for Apache Kafka: who may connect may do all, unless the cluster has lists of its own (`acl`).
 * https://cloud.google.com/managed-service-for-apache-kafka/docs/access-control
 */
export const managedKafkaPermissions: readonly Grant[] = [
  { actions: ['managedkafka.clusters.connect'], on: 'project', role: 'roles/managedkafka.client' },
];

/**
 * Of Event Hubs' Kafka endpoint, whose topics and groups are hubs and groups of the namespace.
 * https://learn.microsoft.com/azure/event-hubs/authorize-access-azure-active-directory
 */
export const eventHubsKafkaPermissions: readonly Grant[] = [
  {
    actions: ['Microsoft.EventHub/namespaces/messages/send/action'],
    on: 'namespace <namespace>',
    role: 'Azure Event Hubs Data Sender',
  },
  {
    actions: ['Microsoft.EventHub/namespaces/messages/receive/action'],
    on: 'namespace <namespace>',
    role: 'Azure Event Hubs Data Receiver',
  },
];
