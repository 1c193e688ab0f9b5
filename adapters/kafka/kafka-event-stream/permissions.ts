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
