import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { shipped, synthesized, type Attributes } from '../testing/synthesized.ts';
import { inCluster } from '../testing/variations.ts';

const prod = shipped('gent.prod');
const inProd = synthesized(prod, 'gcp');
const inProdCluster = synthesized(inCluster(prod), 'gcp');

const PUBSUB = 'serviceAccount:service-${data.google_project.project.number}@gcp-sa-pubsub.iam.gserviceaccount.com';
const ofAccount = (part: string, attribute: string) =>
  expect.stringMatching(
    new RegExp(String.raw`^\$\{google_service_account\.functions_${part}-account_\w+\.${attribute}\}$`),
  );

const run = inProd.one('google_cloud_run_v2_service', 'sensor-data-processor');
const template = run['template'] as Attributes;
const [container] = template['containers'] as readonly [Attributes];

describe('the function', () => {
  it('is run for what comes, within bounds, and is nothing between', () => {
    expect(template).toMatchObject({
      ...{ scaling: { min_instance_count: 0, max_instance_count: 4 }, max_instance_request_concurrency: 40 },
      timeout: '60s',
    });
    expect(container['resources']).toMatchObject({ cpu_idle: true, limits: { cpu: '1', memory: '512Mi' } });
  });

  it('runs the program of services/functions by the image of ingestion, by digest', () => {
    expect(container).toMatchObject({
      image: expect.stringMatching(/\/ingestion-service@\$\{var\.image_digests\["ingestion-service"\]\}$/),
      ...{ command: ['node'], args: ['services/functions/sensor-data-processor/gcp/main.ts'] },
    });
    const [program] = container['args'] as readonly [string];
    expect(existsSync(join(import.meta.dirname, '../..', program))).toBe(true);
  });

  it('is reached from within alone, and called by one account, which only Pub/Sub takes', () => {
    expect(run).toMatchObject({ ingress: 'INGRESS_TRAFFIC_INTERNAL_ONLY' });
    expect(run).not.toHaveProperty('invoker_iam_disabled');
    const callers = inProd
      .of('google_cloud_run_v2_service_iam_member')
      .filter(({ role }) => role === 'roles/run.invoker')
      .map(({ name, member }) => [name, member]);
    expect(callers).toEqual([
      [
        expect.stringContaining('google_cloud_run_v2_service.functions_sensor-data-processor'),
        ofAccount('pusher', 'member'),
      ],
    ]);
    const signing = inProd
      .of('google_service_account_iam_member')
      .filter(({ service_account_id: of }) => (of as string).includes('pusher'));
    expect(signing).toEqual([
      expect.objectContaining({ role: 'roles/iam.serviceAccountOpenIdTokenCreator', member: PUBSUB }),
    ]);
  });

  it('may read its certificate, its key and the authority of the broker, and nothing else', () => {
    expect(template['service_account']).toEqual(ofAccount('relay', 'email'));
    const rights = inProd.resources
      .filter(({ is }) => typeof is['member'] === 'string' && is['member'].includes('functions_relay'))
      .map(({ type, is }) => [type, is['role']]);
    expect(rights).toHaveLength(3);
    for (const right of rights)
      expect(right).toEqual(['google_secret_manager_secret_iam_member', 'roles/secretmanager.secretAccessor']);
  });

  it('finds each of them where its settings say, and the place of what it reads', () => {
    const settings = Object.fromEntries(
      (container['env'] as readonly { name: string; value: string }[]).map(({ name, value }) => [name, value]),
    );
    expect(settings).toEqual({
      TRIBO_BROKER_URL: 'mqtts://broker.internal.tribo.gent.example:8884',
      TRIBO_BROKER_CA_FILE: '/etc/tribo/relay/ca-pem/ca.pem',
      TRIBO_BROKER_CERTIFICATE_FILE: '/etc/tribo/relay/relay-pem/relay.pem',
      TRIBO_BROKER_KEY_FILE: '/etc/tribo/relay/relay-key/relay.key',
      ...{ TRIBO_TENANT: 'textiel', TRIBO_SITE: 'gent' },
    });
    const mounts = container['volume_mounts'] as readonly { name: string; mount_path: string }[];
    const volumes = template['volumes'] as readonly { name: string; secret: { items: readonly { path: string }[] } }[];
    const files = mounts.map(
      ({ name, mount_path: folder }) =>
        `${folder}/${volumes.find((each) => each.name === name)!.secret.items[0]!.path}`,
    );
    expect(new Set(files)).toEqual(
      new Set(Object.entries(settings).flatMap(([name, value]) => (name.endsWith('_FILE') ? [value] : []))),
    );
  });

  it('gets through the network to the brokers’ port for the platform alone', () => {
    const { network_interfaces: interfaces } = template['vpc_access'] as Attributes;
    expect(interfaces).toEqual([expect.objectContaining({ tags: ['tribo-gent-prod-relay'] })]);
    expect(template['vpc_access']).toMatchObject({ egress: 'ALL_TRAFFIC' });
    const rules = inProd
      .of('google_compute_firewall')
      .filter(({ target_tags: tags }) => (tags as readonly string[] | undefined)?.includes('tribo-gent-prod-relay'));
    expect(rules).toEqual([
      expect.objectContaining({
        ...{ direction: 'EGRESS', allow: [{ protocol: 'tcp', ports: ['8884'] }] },
        destination_ranges: [expect.stringContaining('network_brokers')],
      }),
    ]);
  });

  it.each([
    ['containers', inProd],
    ['a cluster', inProdCluster],
  ])('is there also beside %s, and Cloud Run may use the key of the site', (_what, site) => {
    expect(site.one('google_cloud_run_v2_service', 'functions/sensor-data-processor')).toMatchObject({
      template: { encryption_key: expect.stringContaining('google_kms_crypto_key') },
    });
    expect(site.one('google_kms_crypto_key_iam_binding', 'users')['members']).toContainEqual(
      expect.stringContaining('@serverless-robot-prod.iam'),
    );
  });
});

describe('the topic of readings', () => {
  const subscription = (part: string) => inProd.one('google_pubsub_subscription', `functions/${part}`);

  it('is encrypted and in the region alone, as is what could not be handed on', () => {
    for (const part of ['sensor-data', 'sensor-data-failed'])
      expect(inProd.one('google_pubsub_topic', `functions/${part}-topic`)).toMatchObject({
        name: `tribo-gent-prod-${part}`,
        kms_key_name: expect.stringContaining('google_kms_crypto_key'),
        message_storage_policy: { allowed_persistence_regions: ['europe-west1'] },
      });
  });

  it('is pushed to the function with a token for it', () => {
    const uri = expect.stringMatching(/google_cloud_run_v2_service\.functions_sensor-data-processor_\w+\.uri\}$/);
    expect(subscription('sensor-data')).toMatchObject({
      push_config: {
        push_endpoint: uri,
        oidc_token: { audience: uri, service_account_email: ofAccount('pusher', 'email') },
      },
      ack_deadline_seconds: 60,
    });
  });

  it('has what is not taken in ten attempts moved apart by Pub/Sub, which keeps it for two weeks', () => {
    expect(subscription('sensor-data')).toMatchObject({
      message_retention_duration: '1209600s',
      retry_policy: { minimum_backoff: '10s', maximum_backoff: '600s' },
      dead_letter_policy: {
        dead_letter_topic: expect.stringContaining('functions_sensor-data-failed-topic'),
        max_delivery_attempts: 10,
      },
    });
    const failed = subscription('sensor-data-failed');
    expect(failed).toMatchObject({ message_retention_duration: '1209600s', expiration_policy: { ttl: '' } });
    expect(failed).not.toHaveProperty('push_config');
    expect(inProd.one('google_pubsub_topic_iam_member', 'functions/keeps')).toMatchObject({
      ...{ role: 'roles/pubsub.publisher', member: PUBSUB, topic: expect.stringContaining('sensor-data-failed') },
    });
    expect(inProd.one('google_pubsub_subscription_iam_member', 'functions/moves')).toMatchObject({
      ...{ role: 'roles/pubsub.subscriber', member: PUBSUB },
    });
  });

  it('calls operators for the first that is kept apart, and where readings wait', () => {
    const filterOf = (part: string) => {
      const { conditions, notification_channels: called } = inProd.one(
        'google_monitoring_alert_policy',
        `alarms/${part}`,
      );
      expect(called).toHaveLength(1);
      const [{ condition_threshold: threshold }] = conditions as readonly [{ condition_threshold: Attributes }];
      return [threshold['filter'], threshold['threshold_value']];
    };
    expect(filterOf('sensor-data-failed')).toEqual([
      expect.stringMatching(/subscription_id="tribo-gent-prod-sensor-data-failed" AND .*num_undelivered_messages"$/),
      0,
    ]);
    expect(filterOf('sensor-data-waits')).toEqual([
      expect.stringMatching(/subscription_id="tribo-gent-prod-sensor-data" AND .*oldest_unacked_message_age"$/),
      900,
    ]);
  });
});
