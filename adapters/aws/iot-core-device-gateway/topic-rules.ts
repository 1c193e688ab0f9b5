import type { TopicRulePayload } from '@aws-sdk/client-iot';

interface RuleTargets {
  /** Of Kinesis. */
  readonly deviceStream: string;
  readonly errorStream: string;
  /** Allows `kinesis:PutRecord` on both. */
  readonly roleArn: string;
}

/**
 * What the stack registers by CreateTopicRule, by name. Payloads are taken as they are, whatever is in them; a machine, and a client, is always in
 * one shard. Commands, which the platform publishes, are left out.
 * https://docs.aws.amazon.com/iot/latest/developerguide/binary-payloads.html
 * https://docs.aws.amazon.com/iot/latest/developerguide/life-cycle-events.html
 */
export function topicRules(targets: RuleTargets): Readonly<Record<string, TopicRulePayload>> {
  const fields = [
    "encode(*, 'base64') AS payload",
    'topic() AS topic',
    'clientid() AS clientId',
    'principal() AS principal',
    'timestamp() AS timestamp',
  ];
  const machine = '${topic(3)}/${topic(4)}/${topic(5)}';
  const messages = `SELECT ${fields.join(', ')} FROM 'tribo/v1/+/+/+/#' WHERE topic(6) <> 'command'`;
  return {
    tribo_messages: rule(messages, machine, targets),
    tribo_presence: rule("SELECT * FROM '$aws/events/presence/+/+'", '${clientId}', targets),
    tribo_subscriptions: rule("SELECT * FROM '$aws/events/subscriptions/+/+'", '${clientId}', targets),
  };
}

function rule(
  sql: string,
  partitionKey: string,
  { deviceStream, errorStream, roleArn }: RuleTargets,
): TopicRulePayload {
  return {
    sql,
    awsIotSqlVersion: '2016-03-23',
    actions: [{ kinesis: { roleArn, streamName: deviceStream, partitionKey } }],
    // Of what IoT Core acknowledged nothing is lost where the first stream is throttled.
    errorAction: { kinesis: { roleArn, streamName: errorStream, partitionKey: '${newuuid()}' } },
  };
}
