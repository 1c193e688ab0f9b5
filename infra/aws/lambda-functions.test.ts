import { describe, expect, it } from '@jest/globals';
import { changed, shipped, statementsOf, synthesized } from '../testing/synthesized.ts';

const inProd = synthesized(changed(shipped('akron.prod'), { accounts: { aws: '123456789012' } }));
const PARTITION = '${data.aws_partition.partition.partition}';
const arn = (service: string, resource: string) => `arn:${PARTITION}:${service}:us-east-2:123456789012:${resource}`;

/** Of references to what was made in this stack, whose names end in a digest of their place. */
const FAILED_ARN = expect.stringMatching(/^\$\{aws_sqs_queue\.functions_failed_\w+\.arn\}$/);
const TOPIC_ARN = expect.stringMatching(/^\$\{aws_sns_topic\.functions_topic_\w+\.arn\}$/);
const FUNCTION_ARN = expect.stringMatching(/^\$\{aws_lambda_function\.functions_sensor-data-processor_\w+\.arn\}$/);

describe('the function', () => {
  const [run] = inProd.of('aws_lambda_function');

  it('is a bundle of a release on the newest runtime that the provider knows, within bounds', () => {
    expect(inProd.of('aws_lambda_function')).toHaveLength(1);
    expect(run).toMatchObject({
      function_name: 'tribo-akron-prod-sensor-data-processor',
      ...{ package_type: 'Zip', runtime: 'nodejs22.x', handler: 'index.handler', architectures: ['arm64'] },
      filename: '${var.sensor_data_processor_bundle}',
      source_code_hash: '${filebase64sha256(var.sensor_data_processor_bundle)}',
      ...{ timeout: 30, memory_size: 256, reserved_concurrent_executions: 10 },
    });
    expect(inProd.of('aws_lambda_function_event_invoke_config')[0]).toMatchObject({
      ...{ maximum_retry_attempts: 2, maximum_event_age_in_seconds: 21_600 },
    });
  });

  it('is told the stream behind the device gateway and the place of what it reads, and no secret', () => {
    expect(run!['environment']).toEqual({
      variables: { TRIBO_DEVICE_STREAM: 'tribo-akron-prod-devices', TRIBO_TENANT: 'acme', TRIBO_SITE: 'akron' },
    });
    expect(run!['kms_key_arn']).toContain('aws_kms_key');
  });

  it('may put into that stream, keep what it failed for and write its log, and nothing else', () => {
    const statements = statementsOf(inProd.one('aws_iam_role_policy', 'functions/rights')['policy']);
    expect(statements.map(({ Action, Resource }) => [Action, Resource])).toEqual([
      [['kinesis:PutRecords'], [expect.stringMatching(/aws_kinesis_streamdevice-streams_devices_\w+arn\}$/)]],
      [['sqs:SendMessage'], [FAILED_ARN]],
      [['kms:GenerateDataKey', 'kms:Decrypt'], [expect.stringMatching(/aws_kms_keykey_\w+arn\}$/)]],
      [
        ['logs:CreateLogStream', 'logs:PutLogEvents'],
        [arn('logs', 'log-group:/tribo/akron/prod/sensor-data-processor:log-stream:*')],
      ],
    ]);
  });

  it('has a log of its own, which it does not make itself', () => {
    expect(inProd.one('aws_cloudwatch_log_group', 'functions/log')).toMatchObject({
      ...{ name: '/tribo/akron/prod/sensor-data-processor', retention_in_days: 90 },
    });
    expect(run!['logging_config']).toEqual({
      ...{ log_format: 'JSON', log_group: expect.stringContaining('aws_cloudwatch_log_group.functions_log') },
    });
  });
});

describe('the topic of readings', () => {
  it('is encrypted, calls the function, and may do so alone', () => {
    expect(inProd.one('aws_sns_topic', 'functions/topic/topic')).toMatchObject({
      ...{ name: 'tribo-akron-prod-sensor-data', kms_master_key_id: expect.stringContaining('aws_kms_key') },
    });
    expect(inProd.one('aws_sns_topic_subscription', 'functions/subscription')).toMatchObject({
      ...{ protocol: 'lambda', topic_arn: TOPIC_ARN, endpoint: FUNCTION_ARN },
    });
    expect(inProd.of('aws_lambda_permission')).toEqual([
      expect.objectContaining({
        ...{ action: 'lambda:InvokeFunction', principal: 'sns.amazonaws.com', source_arn: TOPIC_ARN },
      }),
    ]);
  });
});

describe('what the function failed for', () => {
  it('is kept for two weeks, encrypted, whether it was called in vain or not at all', () => {
    expect(inProd.of('aws_sqs_queue')).toEqual([
      expect.objectContaining({
        ...{ name: 'tribo-akron-prod-sensor-data-failed', message_retention_seconds: 1_209_600 },
        kms_master_key_id: expect.stringContaining('aws_kms_key'),
      }),
    ]);
    expect(inProd.of('aws_lambda_function')[0]!['dead_letter_config']).toEqual({ target_arn: FAILED_ARN });
    const { redrive_policy: redrive } = inProd.one('aws_sns_topic_subscription', 'functions/subscription');
    expect(JSON.parse(redrive as string)).toEqual({ deadLetterTargetArn: FAILED_ARN });
  });

  it('comes by the topic and the function alone, over TLS, and SNS may use the key for it', () => {
    const [tls, topic] = statementsOf(inProd.of('aws_sqs_queue_policy')[0]!['policy']);
    expect(tls).toMatchObject({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } });
    expect(topic).toMatchObject({
      ...{ Effect: 'Allow', Action: ['sqs:SendMessage'], Principal: { Service: 'sns.amazonaws.com' } },
      Condition: { ArnEquals: { 'aws:SourceArn': TOPIC_ARN } },
    });
    const ofKey = statementsOf(inProd.of('aws_kms_key')[0]!['policy']);
    expect(ofKey.find(({ Sid }) => Sid === 'FailedReadingsToTheirQueue')).toMatchObject({
      ...{ Principal: { Service: 'sns.amazonaws.com' }, Action: ['kms:GenerateDataKey*', 'kms:Decrypt'] },
      Condition: { ArnEquals: { 'aws:SourceArn': arn('sns', 'tribo-akron-prod-sensor-data') } },
    });
  });

  it('calls somebody at once', () => {
    expect(inProd.one('aws_cloudwatch_metric_alarm', 'sensor-data-failed')).toMatchObject({
      ...{ namespace: 'AWS/SQS', metric_name: 'ApproximateNumberOfMessagesVisible', threshold: 0 },
      ...{ evaluation_periods: 1, comparison_operator: 'GreaterThanThreshold' },
    });
  });
});
