import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { FAMILIES, PROVIDERS } from '../../adapters/providers.ts';
import { demandOf, eventsPerS, HOURS_A_MONTH } from '../../core/decision/demand.ts';
import { managedKafkaSize, planGcp } from '../../core/decision/gcp-plan.ts';
import { STREAMS } from '../../core/domain/event.ts';
import { loadPrices } from '../../services/shared/environments/environment-files.ts';
import { loadPortsFile } from '../../services/shared/config/ports-file.ts';
import { changed, notMade, shipped, synthesized, type Attributes } from '../testing/synthesized.ts';
import { inCluster, withKafka } from '../testing/variations.ts';

const GIB = 2 ** 30;
const prod = withKafka(changed(shipped('gent.prod'), { accounts: { gcp: 'tribo-gent' } }));
const inProd = synthesized(prod, 'gcp');
const inDev = synthesized(withKafka(shipped('gent.dev')), 'gcp');
const demand = demandOf(prod);
const RETENTION_S = prod.retention.streamHours * 3600;
const cluster = inProd.one('google_managed_kafka_cluster', 'event-stream/cluster');
const topics = inProd.of('google_managed_kafka_topic');

describe('the cluster', () => {
  it('is asked for by a switch, in place of the topics of Pub/Sub', () => {
    expect(notMade('gcp', prod)).toEqual([]);
    expect(inProd.resources.filter(({ stack, type }) => stack === 'data' && type.startsWith('google_pubsub'))).toEqual(
      [],
    );
    expect(inProd.of('google_project_service').map(({ service }) => service)).toContain('managedkafka.googleapis.com');
  });

  it('is as large as it was priced', () => {
    const { vcpu, memoryGib } = managedKafkaSize(demand);
    expect(cluster).toMatchObject({
      cluster_id: 'tribo-gent-prod-streams',
      location: 'europe-west1',
      capacity_config: { vcpu_count: String(vcpu), memory_bytes: String(memoryGib * GIB) },
    });
    const { lines } = planGcp(prod, demand, loadPrices(join(import.meta.dirname, '../../environments/prices')).gcp);
    const units = lines.find(({ item }) => item === 'kafkaUnitHour')!.quantity / HOURS_A_MONTH;
    expect(units).toBeCloseTo(vcpu * 0.6 + memoryGib * 0.1, 6);
  });

  it('has a name that the service takes, whatever the site is called', () => {
    const longest = changed(shipped('gent.dev'), { site: 'a-site-of-many-letters-x', stage: 'staging' });
    const [named] = synthesized(withKafka(longest), 'gcp').of('google_managed_kafka_cluster');
    expect(named!['cluster_id']).toMatch(/^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/);
  });

  it('is encrypted with the key of the site, which the service is let use first', () => {
    expect(cluster).toMatchObject({ gcp_config: { kms_key: expect.stringContaining('google_kms_crypto_key') } });
    expect(inProd.one('google_kms_crypto_key_iam_binding', 'key/users')['members']).toContainEqual(
      expect.stringContaining('@gcp-sa-managedkafka.iam.gserviceaccount.com'),
    );
  });

  it('has addresses in a subnet of its own alone, to which the services may speak Kafka', () => {
    expect(cluster).toMatchObject({
      gcp_config: {
        access_config: { network_configs: [{ subnet: expect.stringContaining('google_compute_subnetwork') }] },
      },
    });
    const subnet = inProd.one('google_compute_subnetwork', 'network/streams');
    expect(inProd.one('google_compute_firewall', 'network/services-to-streams')).toMatchObject({
      direction: 'EGRESS',
      target_tags: ['tribo-gent-prod-services'],
      destination_ranges: [expect.stringContaining('google_compute_subnetwork')],
      allow: [{ protocol: 'tcp', ports: ['9092'] }],
    });
    const ranges = inProd.of('google_compute_subnetwork').map(({ ip_cidr_range: range }) => range);
    expect(ranges.filter((range) => range === subnet['ip_cidr_range'])).toHaveLength(1);
    expect(() => synthesized(shipped('gent.prod'), 'gcp').one('google_compute_subnetwork', 'network/streams')).toThrow(
      'not one',
    );
  });

  it('cannot be destroyed but in dev, nor can its topics', () => {
    for (const [site, prevent_destroy] of [
      [inProd, true],
      [inDev, false],
    ] as const)
      for (const type of ['google_managed_kafka_cluster', 'google_managed_kafka_topic'])
        for (const is of site.of(type)) expect(is['lifecycle']).toMatchObject({ prevent_destroy });
  });
});

describe('the streams of the platform', () => {
  it('are topics of three replicas, two of which have what was acknowledged, kept as long as the environment says', () => {
    expect(new Set(topics.map(({ topic_id: topic }) => topic))).toEqual(
      new Set(STREAMS.map((stream) => `tribo.${stream}`)),
    );
    for (const topic of topics) {
      expect(topic).toMatchObject({
        replication_factor: 3,
        configs: {
          'cleanup.policy': 'delete',
          'max.message.bytes': '1048576',
          'min.insync.replicas': '2',
          'retention.ms': String(RETENTION_S * 1000),
        },
        lifecycle: { ignore_changes: ['partition_count'] },
      });
      expect(topic['partition_count']).toBeGreaterThanOrEqual(6);
    }
  });

  it('are read and published by the services as themselves, as the platform takes the ports file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'tribo-ports-'));
    try {
      const path = join(folder, 'ports.json');
      const { value } = inProd.json.platform.output!['ports']!;
      writeFileSync(path, JSON.stringify(value).replace(/\$\{[^}]*\}/g, 'known-once-deployed'));
      const chosen = loadPortsFile(path, { families: FAMILIES, providers: PROVIDERS });
      const stream = chosen.find(({ offer }) => offer.port === 'eventStream')!;
      expect(stream.offer.adapter).toBe('kafka-event-stream');
      expect(stream.settings).toMatchObject({
        brokers: ['bootstrap.tribo-gent-prod-streams.europe-west1.managedkafka.tribo-gent.cloud.goog:9092'],
        prefix: 'tribo.',
        tls: true,
        sasl: { mechanism: 'gcp-managed-kafka' },
        retentionMs: RETENTION_S * 1000,
      });
      expect(stream.settings).not.toHaveProperty('topics');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('let each service in that asks for them by a role with that right alone', () => {
    const role = inProd.one('google_project_iam_custom_role', 'service-identities/role-eventStream-0');
    expect(role['permissions']).toEqual(['managedkafka.clusters.connect']);
    const members = inProd.found('google_project_iam_member').filter(({ path }) => path.includes('-eventStream-'));
    expect(new Set(members.map(({ path }) => path.split('/').at(-1)))).toEqual(
      new Set(demand.services.map(({ service }) => `${service}-eventStream-0`)),
    );
  });

  it('are reached from pods, too, by the policies of a cluster', () => {
    const stacks = synthesized(inCluster(prod), 'gcp');
    for (const { service } of demand.services) {
      const { spec } = stacks.one('kubernetes_network_policy_v1', `network/${service}`) as {
        readonly spec: { readonly egress: readonly { readonly ports: readonly Attributes[] }[] };
      };
      expect(spec.egress.map(({ ports }) => ports)).toContainEqual([{ port: '9092', protocol: 'TCP' }]);
    }
  });
});

describe('alarms', () => {
  it('promise nothing of how soon events are stored: how old what waits is Google does not say of topics of Kafka', () => {
    const levels = inProd
      .found('google_monitoring_alert_policy')
      .filter(({ path }) => path.includes('/service-levels/'))
      .map(({ path }) => path.split('/').at(-1));
    expect(levels).toEqual(['answers-fast', 'answers-slow', 'burn-fast', 'burn-slow']);
  });

  const conditionOf = (path: string) => {
    const [condition] = inProd.one('google_monitoring_alert_policy', path)['conditions'] as readonly Attributes[];
    return condition!['condition_threshold'] as Attributes;
  };

  it.each([...demand.streams])('call when a group is a quarter of the retention behind: $stream', (flow) => {
    expect(conditionOf(`alarms/${flow.stream}-lag`)).toMatchObject({
      filter: expect.stringContaining(
        `resource.labels.topic_id="tribo.${flow.stream}" AND metric.type="managedkafka.googleapis.com/offset_lag"`,
      ),
      threshold_value: Math.ceil((eventsPerS(flow) * RETENTION_S) / 4),
      aggregations: [
        expect.objectContaining({
          cross_series_reducer: 'REDUCE_SUM',
          group_by_fields: ['resource.label.consumer_group_id'],
        }),
      ],
    });
  });

  it('call when brokers fail what is published or read', () => {
    expect(conditionOf('alarms/kafka-errors')['filter']).toBe(
      'resource.type="managedkafka.googleapis.com/Topic" AND resource.labels.cluster_id="tribo-gent-prod-streams" AND resource.labels.topic_id=starts_with("tribo.") AND metric.type="managedkafka.googleapis.com/topic_error_count"',
    );
  });

  it('and the dashboard have nothing of Pub/Sub but what the functions and notifiers have', () => {
    const dashboard = inProd.one('google_monitoring_dashboard', 'dashboard/site')['dashboard_json'] as string;
    expect(dashboard).toContain('managedkafka.googleapis.com/offset_lag');
    expect(dashboard).not.toContain('pubsub');
  });
});
