import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { FAMILIES, PROVIDERS } from '../../adapters/providers.ts';
import { loadPortsFile } from '../../services/shared/config/ports-file.ts';
import { SERVICE_LINKS, SERVICE_PORTS } from '../service-ports.ts';
import { changed, notMade, shipped, synthesized, type Attributes } from '../testing/synthesized.ts';
import { withModels } from '../testing/variations.ts';
import { DECLARED } from './service-identities.ts';

const prod = shipped('gent.prod');
const inProd = synthesized(prod, 'gcp');
const inZones = synthesized(shipped('akron.prod'), 'gcp');

describe('the ports file', () => {
  it.each([
    ...['gent.prod', 'gent.dev', 'akron.prod'].map((name) => [name, shipped(name), []] as const),
    ['gent.prod with an endpoint of models', withModels(prod), ['vertex-ai-model-inference']] as const,
  ])('of %s is one that the platform takes', (_name, environment, besides) => {
    const folder = mkdtempSync(join(tmpdir(), 'tribo-ports-'));
    try {
      const path = join(folder, 'ports.json');
      const { value } = synthesized(environment, 'gcp').json.platform.output!['ports']!;
      writeFileSync(path, JSON.stringify(value).replace(/\$\{[^}]*\}/g, 'known-once-deployed'));
      const chosen = loadPortsFile(path, { families: FAMILIES, providers: PROVIDERS });
      expect(chosen.map(({ offer }) => offer.adapter)).toEqual(
        expect.arrayContaining([
          ...['pubsub-event-stream', 'gcs-object-store', 'secret-manager-secret-store', 'pubsub-notifier'],
          ...['mqtt-device-gateway', 'postgres-device-registry', 'postgres-time-series-store'],
          ...besides,
        ]),
      );
      // The access file of the brokers gives it the platform's rights.
      const registry = chosen.find(({ offer }) => offer.port === 'deviceRegistry')!;
      expect(registry.settings).toMatchObject({ reservedIds: ['tribo-gateway', 'tribo-relay'] });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('services', () => {
  const template = (is: Attributes) => is['template'] as Attributes;
  // The function is one of its own (push-functions.test.ts).
  const all = inProd.found('google_cloud_run_v2_service').filter(({ path }) => !path.includes('/functions/'));
  const isApi = ({ path }: { readonly path: string }) => path.endsWith('/api-gateway');
  const containerOf = (service: string) => {
    const [container] = template(inProd.one('google_cloud_run_v2_service', `/${service}`))['containers'] as [
      Attributes,
    ];
    return container as Attributes & { readonly env: readonly Attributes[] };
  };

  it('are the API behind its balancer, and the others within the network alone', () => {
    const reached = all.map(({ path, is }) => [path.split('/').at(-1), is['ingress']]);
    expect(Object.fromEntries(reached)).toEqual({
      ...Object.fromEntries(
        ['ingestion-service', 'timeseries-service', 'feature-service', 'ml-service', 'alert-engine'].map((service) => [
          service,
          'INGRESS_TRAFFIC_INTERNAL_ONLY',
        ]),
      ),
      'api-gateway': 'INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER',
    });
  });

  it('have copies: the API as its calls want, the others those of the plan', () => {
    for (const each of all) {
      const { scaling } = each.is;
      if (isApi(each)) {
        expect(scaling).toBeUndefined();
        expect(template(each.is)).toMatchObject({ scaling: { min_instance_count: 1, max_instance_count: 4 } });
      } else {
        expect(scaling).toEqual({ scaling_mode: 'MANUAL', manual_instance_count: 1 });
        expect(template(each.is)).not.toHaveProperty('scaling');
      }
    }
  });

  it('are asked whether they live at the one port that requests go to, and have their CPU also without one', () => {
    for (const each of all) {
      const port = isApi(each) ? 8080 : 9443;
      const probe = { http_get: { path: '/health/live', port } };
      const [container] = template(each.is)['containers'] as [Attributes];
      expect(container).toMatchObject({
        ports: { container_port: port },
        startup_probe: probe,
        liveness_probe: probe,
        resources: { cpu_idle: false },
      });
    }
  });

  it('run by digest, in the private subnet, each as its own account, encrypted, with passwords by reference', () => {
    const templates = all.map(({ is }) => template(is));
    expect(new Set(templates.map((each) => each['service_account'])).size).toBe(6);
    for (const each of templates) {
      expect(each).toMatchObject({
        encryption_key: expect.stringContaining('google_kms_crypto_key'),
        vpc_access: { egress: 'ALL_TRAFFIC' },
      });
      const [container] = each['containers'] as [Attributes & { readonly env: readonly Attributes[] }];
      expect(container['image']).toMatch(/^europe-west1-docker\.pkg\.dev\/.*@\$\{var\.image_digests\[/);
      const secrets = container.env.filter((variable) => 'value_source' in variable);
      expect(secrets.map(({ name }) => name)).toEqual(['PGPASSWORD', 'TRIBO_LINK_KEY']);
      for (const secret of secrets)
        expect(secret['value_source']).toEqual({ secret_key_ref: { secret: expect.any(String), version: 'latest' } });
    }
  });

  it('wait until their accounts may read each secret that they are started with, as Cloud Run refuses them before', () => {
    for (const { path, is } of all) {
      const service = path.split('/').at(-1)!;
      const [container] = template(is)['containers'] as [Attributes];
      const mounted = (template(is)['volumes'] as readonly Attributes[]).filter((volume) => 'secret' in volume);
      const started = (container['env'] as readonly Attributes[]).filter((variable) => 'value_source' in variable);
      const waitsFor = is['depends_on'] as readonly string[];
      expect(waitsFor).toHaveLength(mounted.length + started.length);
      for (const right of waitsFor)
        expect(right).toContain(`google_secret_manager_secret_iam_member.service-identities_${service}-`);
    }
  });

  it('have whole vCPUs, as Cloud Run wants of what is always there', () => {
    const limits = all.map(({ is }) => {
      const [container] = template(is)['containers'] as [{ readonly resources: { readonly limits: Attributes } }];
      return container.resources.limits;
    });
    expect(new Set(limits.map(({ cpu }) => cpu))).toEqual(new Set(['1']));
  });

  describe('links', () => {
    const linksOf = (service: string) =>
      Object.fromEntries(
        containerOf(service)
          .env.filter(({ name, value }) => String(name).startsWith('TRIBO_LINK_') && value !== undefined)
          .map(({ name, value }) => [String(name), String(value)] as const),
      );
    const at = (service: string) => `${service}=wss://\${trimprefix(google_cloud_run_v2_service.services_${service}_`;

    it('are WebSockets to those alone that a service calls, at the host where Cloud Run answers for them', () => {
      const answers = { TRIBO_LINK_PORT: '9443', TRIBO_LINK_OVER: 'websocket' };
      expect(linksOf('timeseries-service')).toEqual(answers);
      const { TRIBO_LINK_ADDRESSES: toStore = '', ...others } = linksOf('ml-service');
      expect(others).toEqual(answers);
      expect(toStore).toMatch(/\.uri, "https:\/\/"\)\}$/);
      expect(toStore.startsWith(at('timeseries-service'))).toBe(true);
      const { TRIBO_LINK_ADDRESSES: toAll = '', ...none } = linksOf('api-gateway');
      expect(none).toEqual({});
      for (const called of SERVICE_LINKS['api-gateway']!) expect(toAll).toContain(at(called));
    });

    it('have one key, which is in no state, and which services alone may read', () => {
      const version = inProd.one('google_secret_manager_secret_version', 'data/link-key-value');
      expect(version).toMatchObject({ secret_data_wo: '${ephemeral.random_password.link_key.result}' });
      expect(version).not.toHaveProperty('secret_data');
      const readers = inProd
        .found('google_secret_manager_secret_iam_member')
        .filter(({ path }) => path.endsWith('-link-key'));
      expect(readers).toHaveLength(all.length);
      for (const { is } of readers) expect(is['role']).toBe('roles/secretmanager.secretAccessor');
    });

    it('stay within the network: the names of Cloud Run lead to addresses that are reached from within Google alone', () => {
      expect(inProd.one('google_dns_managed_zone', 'run-app')).toMatchObject({
        dns_name: 'run.app.',
        visibility: 'private',
      });
      expect(inProd.one('google_dns_record_set', 'run-app-names')).toMatchObject({ name: '*.run.app.', type: 'CNAME' });
    });
  });
});

describe('what a service may do', () => {
  const roles = new Map(
    inProd
      .found('google_project_iam_custom_role')
      .map(({ path, is }) => [path.split('/').at(-1)!, is['permissions'] as readonly string[]]),
  );

  it.each(Object.entries(SERVICE_PORTS))(
    '%s: what the adapters of its ports declare, and nothing else',
    (service, ports) => {
      const expected = ports.flatMap((port) =>
        DECLARED[port].filter(({ isForVerification }) => !isForVerification).flatMap(({ actions }) => actions),
      );
      const given = inProd.resources
        .filter(({ path, type }) => type.endsWith('_iam_member') && path.includes(`service-identities/${service}-`))
        .map(({ is }) => /service-identities_role-(\w+-\d+)_/.exec(String(is['role']))?.[1])
        .filter((role) => role !== undefined)
        .flatMap((role) => roles.get(`role-${role}`)!);
      expect(new Set(given)).toEqual(new Set(expected));
    },
  );

  it('is told one by one', () => {
    expect([...roles.values()].flat().filter((permission) => permission.includes('*'))).toEqual([]);
    const given = inProd.resources.flatMap(({ is }) => (typeof is['role'] === 'string' ? [is['role']] : []));
    expect(given.filter((role) => /^roles\/(owner|editor|viewer)$/.test(role))).toEqual([]);
  });

  it('is of secrets those of the site alone', () => {
    const conditions = inProd
      .found('google_project_iam_member')
      .map(({ is }) => is['condition'] as Attributes | undefined)
      .filter((condition) => condition !== undefined);
    expect(conditions.map(({ expression }) => expression)).toEqual([
      'resource.name.startsWith("projects/${data.google_project.project.number}/secrets/tribo_gent_prod_")',
    ]);
  });
});

describe('brokers', () => {
  it('are one in one zone, and one more that stands by in the next where several are paid for', () => {
    expect(inProd.of('google_compute_instance_group_manager')).toHaveLength(1);
    expect(inZones.of('google_compute_instance_group_manager').map(({ zone }) => zone)).toEqual([
      expect.stringContaining(', 0)'),
      expect.stringContaining(', 1)'),
    ]);
    for (const backend of inZones.of('google_compute_region_backend_service')) {
      const groups = backend['backend'] as readonly Attributes[];
      expect(groups.map(({ failover }) => failover)).toEqual([undefined, true]);
      expect(backend).toMatchObject({ protocol: 'TCP', failover_policy: { drop_traffic_if_unhealthy: true } });
    }
  });

  it('are shielded, without a public address, encrypted, healed, with sessions on a disk that stays', () => {
    const machine = inProd.one('google_compute_instance_template', 'machine');
    expect(machine).toMatchObject({
      machine_type: 'e2-medium',
      shielded_instance_config: { enable_secure_boot: true, enable_vtpm: true, enable_integrity_monitoring: true },
      metadata: expect.objectContaining({ 'block-project-ssh-keys': 'true', 'serial-port-enable': 'false' }),
    });
    expect(machine['network_interface']).toEqual([{ subnetwork: expect.any(String) }]);
    for (const disk of machine['disk'] as readonly Attributes[])
      expect(disk['disk_encryption_key']).toEqual({
        kms_key_self_link: expect.stringContaining('google_kms_crypto_key'),
      });
    expect(inProd.of('google_compute_instance_group_manager')[0]).toMatchObject({
      target_size: 1,
      stateful_disk: [{ device_name: 'sessions', delete_rule: 'NEVER' }],
      auto_healing_policies: { initial_delay_sec: 300 },
      lifecycle: { ignore_changes: ['zone'] },
    });
  });

  it('start Mosquitto by digest with what the adapter is tested with; no key or certificate is in a stack', () => {
    const { metadata } = inProd.one('google_compute_instance_template', 'machine');
    const start = (metadata as Attributes)['user-data'] as string;
    expect(start.startsWith('#cloud-config\n')).toBe(true);
    const { write_files: files } = JSON.parse(start.slice('#cloud-config\n'.length)) as {
      readonly write_files: readonly { readonly path: string; readonly content: string }[];
    };
    const content = (name: string) => files.find(({ path }) => path.endsWith(name))!.content;
    expect(content('mosquitto.conf')).toContain('listener 8883');
    expect(content('mosquitto.conf').match(/require_certificate true/g)).toHaveLength(2);
    expect(content('mosquitto.conf')).toContain('allow_anonymous false');
    expect(content('/acl')).toContain('pattern write device/%u/tribo/v1/+/+/+/telemetry');
    expect(content('/acl').match(/^user .*$/gm)).toEqual(['user tribo-gateway', 'user tribo-relay']);
    expect(content('start-broker.sh')).toContain('/mosquitto@${var.image_digests.mosquitto} ');
    expect(start).not.toMatch(/BEGIN (CERTIFICATE|.*PRIVATE KEY)/);
  });
});

describe('the way in', () => {
  it('is TLS 1.2 at the least, a certificate, a firewall, and the API alone', () => {
    expect(inProd.one('google_compute_ssl_policy', 'tls')).toMatchObject({
      min_tls_version: 'TLS_1_2',
      profile: 'RESTRICTED',
    });
    expect(inProd.one('google_compute_backend_service', 'backend')).toMatchObject({
      load_balancing_scheme: 'EXTERNAL_MANAGED',
      security_policy: expect.stringContaining('google_compute_security_policy'),
      log_config: { enable: true, sample_rate: 1 },
    });
    expect(inProd.one('google_compute_url_map', 'to-https')['default_url_redirect']).toMatchObject({
      https_redirect: true,
    });
    const ports = inProd.of('google_compute_global_forwarding_rule').map(({ port_range: port }) => port);
    expect(new Set(ports)).toEqual(new Set(['443', '80']));
  });

  it('turns away known attacks and floods, by the three rules that were priced', () => {
    const rules = inProd.one('google_compute_security_policy', 'policy')['rule'] as readonly Attributes[];
    expect(rules.map(({ action, priority }) => [action, priority])).toEqual([
      ['deny(403)', 1000],
      ['deny(403)', 1001],
      ['throttle', 2000],
      ['allow', 2_147_483_647],
    ]);
    // Log4j's among them, in force and not only looked at.
    expect(rules[0]).toMatchObject({
      match: { expr: { expression: "evaluatePreconfiguredWaf('cve-canary', {'sensitivity': 1})" } },
    });
    expect(rules[0]).not.toHaveProperty('preview');
  });
});

describe('what is watched', () => {
  it('calls the owner for services, database, streams, the API, objects and brokers, and for its error budget', () => {
    const policies = inProd.found('google_monitoring_alert_policy');
    expect(policies.map(({ path }) => path.split('/').at(-1))).toEqual(
      expect.arrayContaining([
        ...['ingestion-service-cpu', 'api-gateway-memory', 'database-cpu', 'database-storage', 'database-connections'],
        ...['metrics-lag', 'dead-letters', 'api-5xx', 'api-4xx', 'api-away', 'objects', 'broker-0-cpu', 'broker-away'],
        ...['burn-fast', 'burn-slow', 'answers-fast', 'answers-slow', 'stored-fast', 'stored-slow'],
      ]),
    );
    for (const { is } of policies)
      expect(is['notification_channels']).toEqual([expect.stringContaining('google_monitoring_notification_channel')]);
    expect(inProd.one('google_monitoring_slo', 'availability')).toMatchObject({ goal: 0.995, rolling_period_days: 28 });
    expect(inZones.one('google_monitoring_slo', 'availability')['goal']).toBe(0.999);
  });

  it('calls for more connections than copies may have: those of the API, which are four under load, and one of each other, twice during a release', () => {
    const conditions = synthesized(shipped('gent.dev'), 'gcp').one(
      'google_monitoring_alert_policy',
      'database-connections',
    )['conditions'];
    expect(conditions).toEqual([
      expect.objectContaining({ condition_threshold: expect.objectContaining({ threshold_value: 9 * 2 * 3 }) }),
    ]);
  });

  it('promises 99 % of answers within a second, but of the stream of events, which a page keeps open', () => {
    const calls =
      'resource.type="https_lb_rule" AND resource.labels.backend_target_name="tribo-gent-prod-api" AND resource.labels.matched_url_path_rule!="/v1/events"';
    expect(inProd.one('google_monitoring_slo', 'service-levels/answers')).toMatchObject({
      ...{ goal: 0.99, rolling_period_days: 28 },
      request_based_sli: {
        distribution_cut: {
          distribution_filter: `${calls} AND metric.type="loadbalancing.googleapis.com/https/total_latencies"`,
          range: { min: 0, max: 1000 },
        },
      },
    });
    const { host_rule, path_matcher, default_service } = inProd.one('google_compute_url_map', 'to-api');
    expect(host_rule).toEqual([{ hosts: ['*'], path_matcher: 'api' }]);
    expect(path_matcher).toEqual([
      { name: 'api', default_service, path_rule: [{ paths: ['/v1/events'], service: default_service }] },
    ]);
  });

  it.each([
    ['burn', 'availability'],
    ['answers', 'answers'],
  ])('calls by %s once 2 %% of a month of it is spent in an hour, or 5 %% in six', (alert, slo) => {
    const burns = [
      ['fast', 14.4, '3600s'],
      ['slow', 6, '21600s'],
    ] as const;
    for (const [part, times, window] of burns) {
      const { conditions } = inProd.one('google_monitoring_alert_policy', `service-levels/${alert}-${part}`) as {
        readonly conditions: readonly { readonly condition_threshold: Attributes }[];
      };
      expect(conditions.map((each) => each.condition_threshold)).toEqual([
        expect.objectContaining({
          filter: expect.stringMatching(
            new RegExp(
              `^select_slo_burn_rate\\("\\$\\{google_monitoring_slo\\.service-levels_${slo}_\\w+\\.name\\}", "${window}"\\)$`,
            ),
          ),
          ...{ comparison: 'COMPARISON_GT', threshold_value: times },
        }),
      ]);
    }
  });

  it.each([
    ['stored-fast', '60m', 9, 'CRITICAL'],
    ['stored-slow', '360m', 22, 'WARNING'],
  ])('calls by %s when in the last %s what was sent was more than a minute from stored in %i of them', (...alert) => {
    const [part, window, minutes, severity] = alert;
    const policy = inProd.one('google_monitoring_alert_policy', `service-levels/${part}`);
    // Of those that store alone: the raw archive takes its time, a minute and more.
    const subscriptions = 'tribo-gent-prod-(metrics|raw-waveform|features|windows|inference-results)[.]store';
    const age = `pubsub_googleapis_com:subscription_oldest_unacked_message_age{monitored_resource="pubsub_subscription",subscription_id=~"${subscriptions}"}`;
    expect(policy).toMatchObject({
      severity,
      conditions: [
        {
          condition_prometheus_query_language: {
            ...{ duration: '0s', evaluation_interval: '60s', disable_metric_validation: true },
            query: `sum_over_time((${age} > bool 60)[${window}:1m]) >= ${minutes}`,
          },
        },
      ],
    });
  });

  it.each(Object.keys(SERVICE_PORTS))(
    'calls the owner where no copy of %s runs, and where nobody tells of one',
    (service) => {
      const { conditions } = inProd.one('google_monitoring_alert_policy', `alarms/${service}-away`) as {
        readonly conditions: readonly { readonly condition_threshold: Attributes }[];
      };
      expect(conditions.map((each) => each.condition_threshold)).toEqual([
        expect.objectContaining({
          filter: `resource.type="cloud_run_revision" AND resource.labels.service_name="tribo-gent-prod-${service}" AND metric.type="run.googleapis.com/container/instance_count"`,
          ...{ comparison: 'COMPARISON_LT', threshold_value: 1, duration: '600s' },
          evaluation_missing_data: 'EVALUATION_MISSING_DATA_ACTIVE',
          aggregations: [
            { alignment_period: '60s', per_series_aligner: 'ALIGN_MAX', cross_series_reducer: 'REDUCE_SUM' },
          ],
        }),
      ]);
    },
  );

  it('asks the API by HTTPS and the broker of devices by TCP whether they are there', () => {
    const asked = (part: string) => inProd.one('google_monitoring_uptime_check_config', `${part}-answers`);
    expect(asked('api')).toMatchObject({
      http_check: { path: '/health/live', port: 443, validate_ssl: true },
      monitored_resource: { labels: { host: 'tribo.gent.example' } },
    });
    expect(asked('broker')).toMatchObject({
      tcp_check: { port: 8883 },
      monitored_resource: { type: 'uptime_url', labels: { host: 'mqtt.tribo.gent.example' } },
    });
  });

  it('tells who is told when the budget is nearly spent', () => {
    expect(inProd.one('google_billing_budget', 'month')).toMatchObject({
      amount: { specified_amount: { currency_code: 'USD', units: '1500' } },
      budget_filter: { labels: { deployment: 'tribo-gent-prod' } },
      threshold_rules: [
        { threshold_percent: 0.5, spend_basis: 'CURRENT_SPEND' },
        { threshold_percent: 0.8, spend_basis: 'CURRENT_SPEND' },
        { threshold_percent: 1, spend_basis: 'CURRENT_SPEND' },
        { threshold_percent: 1, spend_basis: 'FORECASTED_SPEND' },
      ],
    });
  });
});

describe('a budget of whose spending more than five are told', () => {
  const mails = Array.from({ length: 10 }, (_, index) => `a${index}@gent.example`);
  const told = synthesized(changed(prod, { budget: { ...prod.budget, tell: mails } }), 'gcp');
  const budgets = ['budget/month', 'budget/month-2'].map((path) => told.one('google_billing_budget', path));
  const rules = budgets.map(({ all_updates_rule: rule }) => rule as Attributes);
  const channels = rules.map((rule) => rule['monitoring_notification_channels'] as readonly string[]);

  it('has another like it, as Google tells five of each', () => {
    expect(told.of('google_billing_budget')).toHaveLength(2);
    expect(budgets.map((budget) => budget['display_name'])).toEqual([
      'tribo-gent-prod-month',
      'tribo-gent-prod-month-2',
    ]);
    const [first, second] = budgets.map(({ amount, budget_filter, threshold_rules }) => ({
      amount,
      budget_filter,
      threshold_rules,
    }));
    expect(second).toEqual(first);
    expect(channels.map(({ length }) => length)).toEqual([5, 5]);
  });

  it('tells each of them once, and once whoever administers the account', () => {
    expect(new Set(channels.flat()).size).toBe(10);
    expect(rules.map((rule) => rule['disable_default_iam_recipients'])).toEqual([false, true]);
  });
});

describe('a channel by which people are told', () => {
  it.each(['operators/owner', 'budget/told-0'])('has no setting but its address: %s', (path) => {
    const channel = inProd.one('google_monitoring_notification_channel', path);
    expect(channel['labels']).toEqual({ email_address: 'it@gent.example' });
    expect(channel['user_labels']).toMatchObject({ deployment: 'tribo-gent-prod' });
  });
});

describe('what is not made yet', () => {
  const switches = prod.switches;
  it.each([
    [{ switches: { ...switches, secondRegion: true } }, 'switches.secondRegion with regions[1] at another cloud'],
    [{ workload: { ...prod.workload, machines: 3000 } }, 'a load above that of one MQTT broker'],
  ])('is named: %j', (values, what) => {
    expect(notMade('gcp', changed(prod, values))).toEqual([what]);
  });

  it('is nothing of what the examples ask for', () => {
    expect(notMade('gcp', prod)).toEqual([]);
  });
});

describe('labels', () => {
  it('are on every resource that can carry them, as Google Cloud takes them', () => {
    const labels = {
      project: 'tribo',
      environment: 'prod',
      site: 'gent',
      deployment: 'tribo-gent-prod',
      cost_center: 'spinning',
      owner: 'it_at_gent_example',
      tenant: 'textiel',
    };
    const labelled = inProd.resources.filter(({ is }) => is['labels'] ?? is['user_labels']);
    for (const { is } of labelled) expect(is['user_labels'] ?? is['labels']).toMatchObject(labels);
    const types = new Set(labelled.map(({ type }) => type));
    expect([...types]).toEqual(
      expect.arrayContaining([
        ...['google_kms_crypto_key', 'google_pubsub_topic', 'google_storage_bucket', 'google_secret_manager_secret'],
        ...['google_cloud_run_v2_service', 'google_compute_instance_template'],
        ...['google_artifact_registry_repository', 'google_monitoring_alert_policy', 'google_dns_managed_zone'],
      ]),
    );
    const database = inProd.one('google_sql_database_instance', 'server-instance')['settings'];
    expect(database).toMatchObject({ user_labels: labels });
  });
});
