import { describe, expect, it } from '@jest/globals';
import { changed, shipped, synthesized, type Attributes } from '../testing/synthesized.ts';

const prod = shipped('bergen.prod');
const inProd = synthesized(prod, 'azure');
const inDev = synthesized(shipped('bergen.dev'), 'azure');

const QUERY_ALERT = 'azurerm_monitor_scheduled_query_rules_alert_v2';

/** In vCPU and GiB, by service (R112). */
const SIZES = {
  'ingestion-service': [0.5, '1Gi'],
  'timeseries-service': [1, '2Gi'],
  'feature-service': [1, '2Gi'],
  'ml-service': [1, '2Gi'],
  'alert-engine': [0.5, '1Gi'],
  'api-gateway': [0.5, '1Gi'],
} as const;

describe('services', () => {
  it.each(Object.entries(SIZES))('%s has its size, and an identity of its own', (service, [cpu, memory]) => {
    expect(containerOf(inProd, service)).toMatchObject({ name: service, cpu, memory });
    const app = appOf(inProd, service);
    expect(app).toMatchObject({ revision_mode: 'Single', workload_profile_name: 'Consumption' });
    expect(app['identity']).toEqual({
      type: 'UserAssigned',
      identity_ids: [expect.stringContaining(`service-identities_${service}_`)],
    });
  });

  it.each(Object.keys(SIZES))('%s is an image by its digest, and writes to one folder', (service) => {
    expect(containerOf(inProd, service)).toMatchObject({
      image: expect.stringMatching(/\/[a-z-]+@\$\{var\.image_digests\["[a-z-]+"\]\}$/),
      volume_mounts: [{ name: 'data', path: '/var/lib/tribo' }],
    });
  });

  it.each(Object.keys(SIZES))(
    '%s gets what is secret from the vault, and nothing of it in its variables',
    (service) => {
      expect(appOf(inProd, service)['secret']).toEqual(
        ['database-password', 'link-key'].map((name) => ({
          name,
          identity: expect.stringContaining(`service-identities_${service}_`),
          key_vault_secret_id: expect.stringContaining('versionless_id'),
        })),
      );
      const env = containerOf(inProd, service)['env'] as { name: string; value?: string; secret_name?: string }[];
      expect(env.filter((each) => each.secret_name !== undefined).map(({ name }) => name)).toEqual([
        'PGPASSWORD',
        'TRIBO_LINK_KEY',
      ]);
      const open = env.filter(({ value }) => value !== undefined).map(({ name }) => name);
      expect(open.filter((name) => /PASSWORD|SECRET|TOKEN|KEY/.test(name))).toEqual([]);
    },
  );

  it('have as many copies as the plan, and up to four times that, by their CPU', () => {
    const bounds = (service: string) => {
      const { min_replicas: min, max_replicas: max } = appOf(inProd, service)['template'] as Attributes;
      return [min, max];
    };
    expect(bounds('ingestion-service')).toEqual([1, 4]);
    // One that works alone grows, and has no second.
    for (const alone of ['alert-engine', 'timeseries-service']) expect(bounds(alone)).toEqual([1, 1]);
    // Of what answers people one copy is in another zone.
    expect(bounds('api-gateway')).toEqual([2, 8]);
    expect((appOf(inProd, 'ml-service')['template'] as Attributes)['custom_scale_rule']).toEqual([
      { name: 'cpu', custom_rule_type: 'cpu', metadata: { type: 'Utilization', value: '60' } },
    ]);
  });

  it('are in the subnet of the services, in several zones, without a public address where Front Door comes privately', () => {
    expect(inProd.of('azurerm_container_app_environment')).toEqual([
      expect.objectContaining({
        infrastructure_subnet_id: expect.stringContaining('network_services'),
        internal_load_balancer_enabled: true,
        public_network_access: 'Disabled',
        zone_redundancy_enabled: true,
        logs_destination: 'azure-monitor',
      }),
    ]);
  });

  it('are in an environment that a second run leaves as it is: what Azure makes for it has a name from here', () => {
    expect(inProd.of('azurerm_container_app_environment')).toEqual([
      expect.objectContaining({ infrastructure_resource_group_name: 'tribo-bergen-prod-environment' }),
    ]);
  });
});

describe('links between services', () => {
  it('are by TCP as it is, within the environment, to those that are called', () => {
    const linked = inProd
      .of('azurerm_container_app')
      .filter((app) => (app['ingress'] as Attributes | undefined)?.['transport'] === 'tcp');
    expect(linked.map(({ name }) => name).toSorted()).toEqual([
      ...['alert-engine', 'feature-service', 'ingestion-service', 'ml-service', 'timeseries-service'],
    ]);
    for (const { ingress } of linked)
      expect(ingress).toMatchObject({ external_enabled: false, target_port: 9443, exposed_port: 9443 });
  });

  it('are called by the names of the apps', () => {
    const env = containerOf(inProd, 'ml-service')['env'] as { name: string; value?: string }[];
    expect(env).toContainEqual({ name: 'TRIBO_LINK_ADDRESSES', value: 'timeseries-service=timeseries-service:9443' });
  });
});

describe('the way in', () => {
  it('leads to the API alone', () => {
    const answering = inProd
      .of('azurerm_container_app')
      .filter((app) => (app['ingress'] as Attributes | undefined)?.['external_enabled'] === true);
    expect(answering.map(({ name }) => name)).toEqual(['api-gateway']);
    expect(answering[0]!['ingress']).toMatchObject({ target_port: 8080, allow_insecure_connections: false });
    expect(inProd.of('azurerm_cdn_frontdoor_origin')).toHaveLength(1);
  });

  it('knows the name that Front Door asks by, and refuses others', () => {
    const origin = inProd.of('azurerm_cdn_frontdoor_origin')[0]!;
    expect(origin['origin_host_header']).toMatch(
      /^\$\{azurerm_container_app\.services_api-gateway_\w+\.ingress\[0\]\.fqdn\}$/,
    );
    expect(origin['host_name']).toBe(origin['origin_host_header']);
    const names = (service: string) =>
      (containerOf(inProd, service)['env'] as { name: string; value?: string }[])
        .filter(({ name }) => name === 'TRIBO_HOST_NAMES')
        .map(({ value }) => value);
    // An app that answers beyond its environment is called so: https://learn.microsoft.com/azure/container-apps/connect-apps
    expect(names('api-gateway')).toEqual([
      expect.stringMatching(/^api-gateway\.\$\{azurerm_container_app_environment\.\w+\.default_domain\}$/),
    ]);
    expect(names('ml-service')).toEqual([]);
  });

  it('is of the tier that is priced: Premium comes by a private link', () => {
    expect(inProd.of('azurerm_cdn_frontdoor_profile')[0]!['sku_name']).toBe('Premium_AzureFrontDoor');
    expect(inProd.of('azurerm_cdn_frontdoor_origin')[0]).toMatchObject({
      certificate_name_check_enabled: true,
      private_link: {
        location: 'norwayeast',
        target_type: 'managedEnvironments',
        private_link_target_id: expect.stringContaining('azurerm_container_app_environment'),
      },
    });
  });

  it('is of the tier that is priced: before Standard the API lets in the addresses of Front Door alone', () => {
    expect(inDev.of('azurerm_cdn_frontdoor_profile')[0]!['sku_name']).toBe('Standard_AzureFrontDoor');
    expect(inDev.of('azurerm_cdn_frontdoor_origin')[0]).not.toHaveProperty('private_link');
    expect(appOf(inDev, 'api-gateway')['ingress']).toMatchObject({
      dynamic: {
        ip_security_restriction: {
          for_each: expect.stringContaining('var.front_door_addresses'),
          content: { action: 'Allow', ip_address_range: '${ip_security_restriction.value}' },
        },
      },
    });
    // It is asked for: without a rule everybody would be let in.
    const { front_door_addresses: variable } = (
      inDev.json.platform as unknown as { variable: Record<string, Attributes> }
    ).variable;
    expect(variable).not.toHaveProperty('default');
    expect(variable!['validation']).toHaveLength(2);
    expect(JSON.stringify(inProd.json.platform)).not.toContain('front_door_addresses');
  });

  it('has TLS alone, its own name alone, a certificate that renews itself, and an address', () => {
    expect(inProd.of('azurerm_cdn_frontdoor_route')[0]).toMatchObject({
      https_redirect_enabled: true,
      forwarding_protocol: 'HttpsOnly',
      link_to_default_domain: false,
    });
    expect(inProd.of('azurerm_cdn_frontdoor_custom_domain')[0]).toMatchObject({
      host_name: 'tribo.bergen.example',
      tls: { certificate_type: 'ManagedCertificate', minimum_tls_version: 'TLS12' },
    });
    expect(inProd.of('azurerm_dns_txt_record')[0]).toMatchObject({ name: '_dnsauth' });
    expect(inProd.of('azurerm_dns_a_record')[0]).toMatchObject({
      name: '@',
      target_resource_id: expect.stringContaining('frontdoor_endpoint'),
    });
  });

  it('has a firewall that blocks floods, and known attacks where the tier can, and logs no credential', () => {
    const policy = (site: typeof inProd) => site.of('azurerm_cdn_frontdoor_firewall_policy')[0]!;
    for (const site of [inDev, inProd])
      expect(policy(site)).toMatchObject({
        mode: 'Prevention',
        enabled: true,
        custom_rule: [expect.objectContaining({ type: 'RateLimitRule', action: 'Block' })],
        log_scrubbing: {
          scrubbing_rule: [
            expect.objectContaining({ match_variable: 'RequestHeaderNames', selector: 'authorization' }),
            expect.objectContaining({ match_variable: 'RequestHeaderNames', selector: 'cookie' }),
          ],
        },
      });
    expect(
      (policy(inProd)['managed_rule'] as Attributes[]).map(({ type, version }) => `${String(type)} ${String(version)}`),
    ).toEqual(['Microsoft_DefaultRuleSet 2.1', 'Microsoft_BotManagerRuleSet 1.1']);
    expect(policy(inDev)).not.toHaveProperty('managed_rule');
    expect(inProd.of('azurerm_cdn_frontdoor_security_policy')).toEqual([
      expect.objectContaining({
        security_policies: {
          firewall: expect.objectContaining({
            association: {
              patterns_to_match: ['/*'],
              domain: [{ cdn_frontdoor_domain_id: expect.stringContaining('custom_domain') }],
            },
          }),
        },
      }),
    ]);
  });
});

describe('devices', () => {
  it('are heard by routes into the event hub, as the hub itself, with nothing left over', () => {
    expect(inProd.of('azurerm_iothub_endpoint_eventhub')).toEqual([
      expect.objectContaining({
        authentication_type: 'identityBased',
        entity_path: 'devices',
        endpoint_uri: expect.stringMatching(/^sb:\/\/.*\.servicebus\.windows\.net$/),
      }),
    ]);
    const routes = inProd
      .of('azurerm_iothub_route')
      .map(({ source, condition, enabled }) => [source, condition, enabled]);
    expect(new Set(routes)).toEqual(
      new Set([
        ['DeviceMessages', 'true', true],
        ['DeviceConnectionStateEvents', 'true', true],
      ]),
    );
    // The provider takes no name of an endpoint that every hub has.
    expect(inProd.of('azurerm_iothub_fallback_route')).toEqual([
      expect.objectContaining({
        enabled: false,
        endpoint_names: [expect.stringMatching(/^\$\{azurerm_iothub_endpoint_eventhub\.\S+\.name\}$/)],
      }),
    ]);
    expect(inProd.one('azurerm_role_assignment', 'device-gateway/sends')).toMatchObject({
      role_definition_name: 'Azure Event Hubs Data Sender',
      scope: expect.stringContaining('devices'),
    });
  });
});

describe('people', () => {
  const sections = (identity: typeof prod.identity, tenants = prod.tenants) =>
    (synthesized(changed(prod, { identity, tenants }), 'azure').json.platform.output!['ports']!.value as Attributes)[
      'identityVerifiers'
    ];
  const directory = '11111111-2222-4333-8444-555555555555';
  const audience = '00000000-0000-0000-0000-000000000001';

  it('of a directory are let in by it, with the roles that its groups have', () => {
    const issuer = `https://login.microsoftonline.com/${directory}/v2.0`;
    expect(sections({ issuer, audience, groups: { admin: 'g-1', viewer: 'g-2' } })).toEqual([
      {
        adapter: 'entra-identity-verifier',
        directoryId: directory,
        audience,
        tenant: { is: 'vann' },
        groups: { 'g-1': 'admin', 'g-2': 'viewer' },
      },
    ]);
  });

  it.each([
    ['are of the one that there is', undefined, ['vann'], { is: 'vann' }],
    ['are of none of several by themselves: their token says', undefined, ['vann', 'kraft'], { claim: 'tenant' }],
    ['are of the one that is named', { is: 'kraft' }, ['vann', 'kraft'], { is: 'kraft' }],
    ['are told by the claim that is named', { claim: 'extension_tenant' }, ['vann'], { claim: 'extension_tenant' }],
  ])('of a directory %s', (_what, tenant, tenants, expected) => {
    const issuer = `https://login.microsoftonline.com/${directory}/v2.0`;
    expect(sections({ issuer, audience, ...(tenant && { tenant }) }, tenants)).toMatchObject([{ tenant: expected }]);
  });

  it('of another issuer are let in by that', () => {
    expect(sections({ issuer: 'https://id.example.org', audience: 'tribo' })).toEqual([
      { adapter: 'jwks-identity-verifier', issuer: 'https://id.example.org', audience: 'tribo' },
    ]);
  });
});

describe('who is told', () => {
  it('of alarms of machines: whoever answers for the site, by mails that stay in the country', () => {
    const service = inProd.one('azurerm_resource_group_template_deployment', 'notifiers/service');
    expect(service['parameters_content']).toMatch(/"dataLocation" = \{\s*"value" = "Norway"/);
    expect(inProd.of('azurerm_email_communication_service_domain')[0]).toMatchObject({
      domain_management: 'AzureManaged',
      name: 'AzureManagedDomain',
    });
  });

  it('by a service whose keys open nothing, and are in no state', () => {
    const service = inProd.one('azurerm_resource_group_template_deployment', 'notifiers/service');
    const { resources } = JSON.parse(service['template_content'] as string) as {
      readonly resources: readonly Attributes[];
    };
    expect(resources).toEqual([
      expect.objectContaining({
        type: 'Microsoft.Communication/communicationServices',
        properties: expect.objectContaining({ disableLocalAuth: true }),
      }),
    ]);
    expect(service['template_content']).not.toMatch(/listKeys/i);
    expect(inProd.resources.filter(({ type }) => type === 'azurerm_communication_service')).toEqual([]);
  });

  const alerts = inProd.found('azurerm_monitor_metric_alert');
  const metricsOf = (path: string) =>
    (inProd.one('azurerm_monitor_metric_alert', path)['criteria'] as Attributes[]).map((each) => each['metric_name']);

  it.each([
    ['services', 'alert-engine-cpu', ['UsageNanoCores']],
    ['services', 'alert-engine-memory', ['WorkingSetBytes']],
    ['database', 'database-cpu', ['cpu_percent']],
    ['database', 'database-storage', ['storage_percent']],
    ['database', 'database-connections', ['active_connections']],
    ['streams', 'streams-throttled', ['ThrottledRequests']],
    ['streams', 'metrics-unread', ['IncomingMessages', 'OutgoingMessages']],
    ['the hub', 'hub-dropped', ['d2c.telemetry.egress.dropped']],
    ['the hub', 'hub-orphaned', ['d2c.telemetry.egress.orphaned']],
    ['the API', 'api-5xx', ['Percentage5XX']],
    ['the API', 'api-4xx', ['Percentage4XX', 'RequestCount']],
    ['objects', 'objects-refused', ['Transactions']],
  ])('of %s: operators, by %s', (_family, path, metrics) => {
    expect(metricsOf(path)).toEqual(metrics);
  });

  it('of error budgets: when the API spends one too fast, by the availability that the environment has', () => {
    const burn = (name: string) => {
      const { criteria, window_size: window } = inProd.one('azurerm_monitor_metric_alert', `availability-${name}`);
      const [failed, enough] = criteria as readonly Attributes[];
      expect(failed).toMatchObject({ metric_name: 'Percentage5XX', aggregation: 'Average', operator: 'GreaterThan' });
      expect(enough).toMatchObject({ metric_name: 'RequestCount', threshold: 100 });
      return [window, failed!['threshold']];
    };
    // Of 99.9 %: a thousandth of all calls may fail.
    expect([burn('fast'), burn('slow')]).toEqual([
      ['PT1H', 1.44],
      ['PT6H', 0.6],
    ]);
  });

  it.each([
    ['answers-fast', 'PT1H', 14.4, 0],
    ['answers-slow', 'PT6H', 6, 1],
  ] as const)(
    'by %s: when more than 99 %% allows of the calls in %s take over a second, but of the stream of events, which a page keeps open',
    (name, window, threshold, severity) => {
      const { criteria, ...rule } = inProd.one(QUERY_ALERT, `service-levels/${name}`);
      expect(rule).toMatchObject({
        ...{ window_duration: window, evaluation_frequency: 'PT5M', severity },
        scopes: [expect.stringContaining('azurerm_log_analytics_workspace')],
      });
      expect(criteria).toEqual([
        {
          ...{ operator: 'GreaterThan', threshold, metric_measure_column: 'SlowPercent' },
          time_aggregation_method: 'Maximum',
          query: expect.any(String),
        },
      ]);
      expect((criteria as readonly { readonly query: string }[])[0]!.query.split('\n')).toEqual([
        'AzureDiagnostics',
        '| where ResourceProvider == "MICROSOFT.CDN" and Category == "FrontDoorAccessLog"',
        '| where tostring(parse_url(requestUri_s).Path) != "/v1/events"',
        '| summarize TimeGenerated = max(TimeGenerated), Calls = count(), Slow = countif(todouble(timeTaken_s) > 1)',
        '| where Calls > 100',
        '| project TimeGenerated, SlowPercent = 100.0 * Slow / Calls',
      ]);
    },
  );

  it('reads how long calls took where Front Door writes it, and by no metric that counts open streams', () => {
    expect(inProd.one('azurerm_monitor_diagnostic_setting', 'ingress/logs')).toMatchObject({
      target_resource_id: expect.stringContaining('azurerm_cdn_frontdoor_profile'),
      enabled_log: expect.arrayContaining([{ category: 'FrontDoorAccessLog' }]),
    });
    expect(JSON.stringify(alerts)).not.toContain('Latency');
  });

  it('by every alarm somebody', () => {
    expect(alerts.length).toBeGreaterThan(30);
    for (const { is } of inProd.found(QUERY_ALERT))
      expect(is['action']).toEqual({
        action_groups: [expect.stringContaining('azurerm_monitor_action_group')],
      });
    for (const { is } of alerts)
      expect(is).toMatchObject({
        frequency: 'PT1M',
        action: [{ action_group_id: expect.stringContaining('azurerm_monitor_action_group') }],
      });
    expect(inProd.of('azurerm_monitor_action_group')[0]).toMatchObject({
      email_receiver: [expect.objectContaining({ email_address: 'drift@bergen.example' })],
    });
  });

  it('of the budget: whom the environment names, from half of it on, and when it is going to be spent', () => {
    const [budget] = inProd.of('azurerm_consumption_budget_subscription');
    expect(budget).toMatchObject({
      amount: 1500,
      time_grain: 'Monthly',
      filter: { tag: [{ name: 'Deployment', values: ['tribo-bergen-prod'] }] },
      lifecycle: { ignore_changes: ['time_period'] },
    });
    expect(
      (budget!['notification'] as Attributes[]).map(({ threshold, threshold_type: type }) => [threshold, type]),
    ).toEqual([
      [50, 'Actual'],
      [80, 'Actual'],
      [100, 'Actual'],
      [100, 'Forecasted'],
    ]);
  });
});

function appOf(site: typeof inProd, service: string): Attributes {
  return site.one('azurerm_container_app', `services/${service}`);
}

function containerOf(site: typeof inProd, service: string): Attributes {
  const { container } = appOf(site, service)['template'] as { readonly container: readonly Attributes[] };
  return container[0]!;
}
