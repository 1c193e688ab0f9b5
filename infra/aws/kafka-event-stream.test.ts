import { describe, expect, it } from '@jest/globals';
import { KAFKA_ZONES, kafkaSize } from '../../core/decision/aws-plan.ts';
import { demandOf } from '../../core/decision/demand.ts';
import { STREAMS } from '../../core/domain/event.ts';
import { changed, shipped, statementsOf, synthesized, type Attributes } from '../testing/synthesized.ts';

const withKafka = (name: string, values: Parameters<typeof changed>[1] = {}) => {
  const environment = shipped(name);
  return changed(environment, { ...values, switches: { ...environment.switches, eventStream: 'kafka' } });
};
const prod = withKafka('akron.prod', { accounts: { aws: '123456789012' } });
const inProd = synthesized(prod);
const inDev = synthesized(withKafka('akron.dev'));
const cluster = inProd.of('aws_msk_cluster')[0]!;

describe('the cluster', () => {
  it('is as large as it was priced, in three zones, also where the site pays for one', () => {
    for (const [environment, site] of [
      [prod, inProd],
      [withKafka('akron.dev'), inDev],
    ] as const) {
      const { brokers, gbPerBroker } = kafkaSize(demandOf(environment), environment.retention);
      const [is] = site.of('aws_msk_cluster');
      expect(is).toMatchObject({
        number_of_broker_nodes: brokers,
        broker_node_group_info: {
          instance_type: 'kafka.t3.small',
          storage_info: { ebs_storage_info: { volume_size: gbPerBroker } },
        },
      });
      const { client_subnets: subnets } = is!['broker_node_group_info'] as { readonly client_subnets: string[] };
      expect(new Set(subnets).size).toBe(KAFKA_ZONES);
      expect(brokers % KAFKA_ZONES).toBe(0);
    }
  });

  it('speaks TLS alone, lets in by IAM alone, is not public, and is encrypted with the key of the site', () => {
    expect(cluster).toMatchObject({
      client_authentication: { unauthenticated: false, sasl: { iam: true, scram: false } },
      encryption_info: {
        encryption_at_rest_kms_key_arn: expect.stringContaining('aws_kms_key'),
        encryption_in_transit: { client_broker: 'TLS', in_cluster: true },
      },
      broker_node_group_info: { connectivity_info: { public_access: { type: 'DISABLED' } } },
    });
    expect((cluster['client_authentication'] as Attributes)['tls']).toBeUndefined();
  });

  it('has its metadata in its brokers, is measured broker by broker, and has a log that is kept as long as the others', () => {
    expect(cluster).toMatchObject({ kafka_version: '3.9.x.kraft', enhanced_monitoring: 'PER_BROKER' });
    expect(JSON.stringify(cluster['logging_info'])).toContain('aws_cloudwatch_log_group.event-stream_log');
    expect(inProd.one('aws_cloudwatch_log_group', 'event-stream/log')).toMatchObject({
      name: '/tribo/akron/prod/brokers',
      retention_in_days: 90,
    });
  });

  it('makes no topic that nobody sized, and keeps what it acknowledged', () => {
    const properties = (inProd.of('aws_msk_configuration')[0]!['server_properties'] as string).split('\n');
    expect(properties).toEqual([
      'auto.create.topics.enable=false',
      'default.replication.factor=3',
      'min.insync.replicas=2',
      'unclean.leader.election.enable=false',
    ]);
  });

  it('has disks that grow by themselves and never shrink', () => {
    expect(inProd.one('aws_appautoscaling_target', 'event-stream/disks')).toMatchObject({
      scalable_dimension: 'kafka:broker-storage:VolumeSize',
      max_capacity: 3 * kafkaSize(demandOf(prod), prod.retention).gbPerBroker,
    });
    expect(inProd.one('aws_appautoscaling_policy', 'event-stream/disks-by-use')).toMatchObject({
      target_tracking_scaling_policy_configuration: {
        disable_scale_in: true,
        predefined_metric_specification: { predefined_metric_type: 'KafkaBrokerStorageUtilization' },
      },
    });
    expect(cluster['lifecycle']).toEqual({
      prevent_destroy: true,
      ignore_changes: ['broker_node_group_info[0].storage_info[0].ebs_storage_info[0].volume_size'],
    });
    expect(inDev.of('aws_msk_cluster')[0]!['lifecycle']).toMatchObject({ prevent_destroy: false });
  });

  it('is reached by its clients alone, at the port for IAM, which the services carry the group of', () => {
    const rules = inProd
      .found('aws_vpc_security_group_ingress_rule')
      .filter(({ path }) => path.includes('event-stream'));
    expect(rules.map(({ is }) => is)).toEqual([
      expect.objectContaining({
        from_port: 9098,
        to_port: 9098,
        ip_protocol: 'tcp',
        referenced_security_group_id: expect.stringContaining('event-stream_clients'),
        security_group_id: expect.stringContaining('event-stream_server'),
      }),
    ]);
    for (const service of inProd.of('aws_ecs_service')) {
      const { security_groups: groups } = service['network_configuration'] as Record<string, readonly string[]>;
      expect(groups).toContainEqual(expect.stringContaining('event-stream_clients'));
    }
  });
});

describe('the streams of the platform', () => {
  it('are topics, with three replicas, that the first service makes; those of the devices stay at Kinesis', () => {
    const { eventStream } = inProd.json.platform.output!['ports']!.value as { readonly eventStream: Attributes };
    expect(eventStream).toMatchObject({
      adapter: 'kafka-event-stream',
      prefix: 'tribo.',
      tls: true,
      sasl: { mechanism: 'aws-msk-iam', region: 'us-east-2' },
      retentionMs: 72 * 3_600_000,
      topics: { replicas: 3 },
    });
    const { partitions } = eventStream['topics'] as { readonly partitions: Readonly<Record<string, number>> };
    expect(new Set(Object.keys(partitions))).toEqual(new Set(STREAMS));
    expect(new Set(inProd.of('aws_kinesis_stream').map(({ name }) => name))).toEqual(
      new Set(['tribo-akron-prod-devices', 'tribo-akron-prod-device-errors']),
    );
  });

  it('may be read and written by each service, topic by topic, and groups by their begin', () => {
    const statements = statementsOf(
      inProd.one('aws_iam_role_policy', 'task-roles/timeseries-service-rights')['policy'],
    ).filter(({ Action }) => Action.some((action) => action.startsWith('kafka-cluster:')));
    const rights = statements.map(({ Action, Resource }) => [
      Action.map((action) => action.slice('kafka-cluster:'.length)),
      Resource.map((arn) => arn.replace(/\$\{[^}]*\}/g, '')),
    ]);
    const begin = 'arn::kafka:us-east-2:123456789012:';
    const topics = STREAMS.map((stream) => `${begin}topic//tribo.${stream}`);
    expect(rights).toEqual([
      [['Connect', 'WriteDataIdempotently'], [`${begin}cluster/`]],
      [['DescribeTopic', 'WriteData', 'ReadData'], topics],
      [['CreateTopic'], topics],
      [['DescribeGroup', 'AlterGroup', 'DeleteGroup'], [`${begin}group//tribo.*`]],
    ]);
  });

  it('have roles that fit into what IAM takes', () => {
    for (const { policy } of inProd.of('aws_iam_role_policy'))
      expect((policy as string).replace(/\$\{[^}]*\}/g, 'x'.repeat(60)).length).toBeLessThan(10_240);
  });
});

describe('alarms', () => {
  const alarms = inProd.of('aws_cloudwatch_metric_alarm');

  it('are of what nothing leads, of each broker, and of whoever is furthest behind', () => {
    const ofKafka = alarms.filter(({ namespace }) => namespace === 'AWS/Kafka');
    const metrics = ofKafka.map(({ metric_name: metric }) => metric);
    expect(new Set(metrics)).toEqual(
      new Set(['OfflinePartitionsCount', 'UnderMinIsrPartitionCount', 'KafkaDataLogsDiskUsed', 'CpuUser']),
    );
    expect(ofKafka).toHaveLength(1 + 3 * (cluster['number_of_broker_nodes'] as number));
    const lag = inProd.one('aws_cloudwatch_metric_alarm', 'kafka-lag');
    expect(lag).toMatchObject({
      threshold: (72 * 3600) / 4,
      metric_query: [expect.objectContaining({ expression: expect.stringContaining("'tribo-akron-prod-streams'") })],
      alarm_actions: [expect.stringContaining('operators')],
    });
    expect(lag).not.toHaveProperty('metric_name');
  });
});
