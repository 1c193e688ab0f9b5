import { describe, expect, it } from '@jest/globals';
import { apiGatewayConfigSchema, KEEP_ALIVE_MS } from '../../services/api-gateway/config.ts';
import { changed, shipped, statementsOf, synthesized, type Attributes } from '../testing/synthesized.ts';

const prod = shipped('akron.prod');
const inProd = synthesized(prod);
const inDev = synthesized(shipped('akron.dev'));

/** In vCPU and GB, by service (R112). */
const SIZES = {
  'ingestion-service': ['512', '1024'],
  'timeseries-service': ['1024', '2048'],
  'feature-service': ['1024', '2048'],
  'ml-service': ['1024', '2048'],
  'alert-engine': ['512', '1024'],
  'api-gateway': ['512', '1024'],
} as const;

describe('services', () => {
  it.each(Object.entries(SIZES))('%s has its size, and a role and a log of its own', (service, [cpu, memory]) => {
    const task = inProd.one('aws_ecs_task_definition', `${service}-task`);
    expect(task).toMatchObject({ cpu, memory, network_mode: 'awsvpc', requires_compatibilities: ['FARGATE'] });
    expect(task['task_role_arn']).toContain(`task-roles_${service}_`);
    expect(inProd.one('aws_cloudwatch_log_group', `${service}-log`)).toMatchObject({
      name: `/tribo/akron/prod/${service}`,
      retention_in_days: 90,
      kms_key_id: expect.stringContaining('aws_kms_key'),
    });
  });

  it.each(Object.keys(SIZES))('%s is private, and its deployment is taken back when it fails', (service) => {
    const running = inProd.one('aws_ecs_service', `${service}-service`);
    expect(running).toMatchObject({
      deployment_circuit_breaker: { enable: true, rollback: true },
      enable_execute_command: false,
      network_configuration: { assign_public_ip: false },
    });
    const { subnets, security_groups: groups } = running['network_configuration'] as Record<string, readonly string[]>;
    expect(subnets).toHaveLength(3);
    expect(subnets!.every((subnet) => subnet.includes('network_services-'))).toBe(true);
    expect(groups).toContainEqual(expect.stringContaining('database_clients'));
  });

  it.each(Object.keys(SIZES))('%s is not root, writes to one folder, and is looked after', (service) => {
    const container = containerOf(service);
    expect(container).toMatchObject({
      user: '1000:1000',
      readonlyRootFilesystem: true,
      linuxParameters: { capabilities: { drop: ['ALL'] }, initProcessEnabled: true },
      mountPoints: [{ containerPath: '/var/lib/tribo', readOnly: false, sourceVolume: 'data' }],
      healthCheck: { interval: 30, retries: 3 },
    });
    expect(container['image']).toMatch(/@\$\{var\.image_digests\["[a-z-]+"\]\}$/);
  });

  it('get what is secret from where secrets are, and nothing of it in their environment', () => {
    for (const service of Object.keys(SIZES)) {
      const { secrets, environment } = containerOf(service) as Record<string, readonly { name: string }[]>;
      expect(secrets!.map(({ name }) => name)).toEqual(['PGPASSWORD', 'TRIBO_LINK_KEY', 'TRIBO_PORTS']);
      const names = environment!.map(({ name }) => name);
      expect(names.filter((name) => /PASSWORD|SECRET|TOKEN|KEY/.test(name))).toEqual([]);
    }
  });

  it('have as many copies as the plan, and up to four times that', () => {
    const targets = inProd.of('aws_appautoscaling_target');
    expect(targets).toHaveLength(4);
    // Of one that works alone there is one copy, and none more.
    for (const alone of ['alert-engine', 'timeseries-service']) {
      expect(targets.some(({ resource_id: id }) => String(id).includes(alone))).toBe(false);
      expect(inProd.one('aws_ecs_service', `${alone}-service`)['desired_count']).toBe(1);
    }
    const bounds = (service: string) => {
      const { min_capacity: min, max_capacity: max } = inProd.one('aws_appautoscaling_target', `${service}-copies`);
      return [min, max];
    };
    expect(bounds('ingestion-service')).toEqual([1, 4]);
    // Of what answers people one copy is in another zone.
    expect(bounds('api-gateway')).toEqual([2, 8]);
  });

  it('keep what the environment says, for as long as it says', () => {
    const { environment } = containerOf('timeseries-service') as Record<
      string,
      readonly { name: string; value: string }[]
    >;
    const values = Object.fromEntries(environment!.map(({ name, value }) => [name, value]));
    expect(values).toMatchObject({
      TRIBO_RAW_DAYS: '90',
      TRIBO_ROLLUP_1M_DAYS: '730',
      TRIBO_WAVEFORM_DAYS: '365',
      TRIBO_STREAM_RETENTION_DAYS: '3',
      TRIBO_RAW_ARCHIVE: 'off',
    });
  });
});

describe('links between services', () => {
  const rules = (kind: 'ingress' | 'egress') =>
    inProd
      .of(`aws_vpc_security_group_${kind}_rule`)
      .filter((rule) => rule['from_port'] === 9443 || rule['to_port'] === 9443)
      .map((rule) => {
        expect(rule).toMatchObject({ ip_protocol: 'tcp', from_port: 9443, to_port: 9443 });
        expect(Object.keys(rule).filter((name) => /cidr|prefix_list/.test(name))).toEqual([]);
        const [own, other] = [groupIn(rule['security_group_id']), groupIn(rule['referenced_security_group_id'])];
        return kind === 'egress' ? `${own} -> ${other}` : `${other} -> ${own}`;
      })
      .toSorted();
  const declared = [
    ...['alert-engine', 'api-gateway', 'feature-service', 'ingestion-service', 'ml-service'].map(
      (service) => `${service} -> timeseries-service`,
    ),
    ...['alert-engine', 'feature-service', 'ingestion-service', 'ml-service'].map(
      (service) => `api-gateway -> ${service}`,
    ),
  ].toSorted();

  it.each(['ingress', 'egress'] as const)(
    'are let through by security groups as declared, and no other: %s',
    (kind) => {
      expect(rules(kind)).toEqual(declared);
    },
  );

  it('lead to names that stand for the copies of a service, and soon forget one that is gone', () => {
    const registries = inProd.of('aws_service_discovery_service');
    expect(registries.map(({ name }) => name).toSorted()).toEqual([
      ...['alert-engine', 'feature-service', 'ingestion-service', 'ml-service', 'timeseries-service'],
    ]);
    for (const { dns_config: dns } of registries)
      expect(dns).toMatchObject({ routing_policy: 'MULTIVALUE', dns_records: [{ type: 'A', ttl: 10 }] });
    expect(inProd.of('aws_service_discovery_private_dns_namespace')).toEqual([
      expect.objectContaining({ name: 'tribo-akron-prod.internal' }),
    ]);
    const registered = inProd.of('aws_ecs_service').filter((service) => service['service_registries'] !== undefined);
    expect(registered.map(({ name }) => name).toSorted()).toEqual(registries.map(({ name }) => name).toSorted());
  });

  it('are told to each service, with the names of those alone that it calls', () => {
    const settingsOf = (service: string) => {
      const { environment } = containerOf(service) as { environment: readonly { name: string; value: string }[] };
      const links = environment.filter(({ name }) => name.startsWith('TRIBO_LINK_'));
      return Object.fromEntries(links.map(({ name, value }) => [name, value]));
    };
    expect(settingsOf('timeseries-service')).toEqual({ TRIBO_LINK_PORT: '9443' });
    expect(settingsOf('ml-service')).toEqual({
      TRIBO_LINK_PORT: '9443',
      TRIBO_LINK_ADDRESSES: 'timeseries-service=timeseries-service.tribo-akron-prod.internal:9443',
    });
    const { TRIBO_LINK_ADDRESSES: addresses = '', ...others } = settingsOf('api-gateway');
    expect(others).toEqual({});
    expect(
      addresses
        .split(',')
        .map((each) => each.split('=')[0])
        .toSorted(),
    ).toEqual([...['alert-engine', 'feature-service', 'ingestion-service', 'ml-service', 'timeseries-service']]);
  });

  it('have a key that is in no state, and that no service may read or change but by being started with it', () => {
    expect(inProd.one('aws_secretsmanager_secret_version', 'links/key/value')).toMatchObject({
      secret_string_wo: '${ephemeral.aws_secretsmanager_random_password.link_key.random_password}',
    });
    expect(inProd.one('aws_secretsmanager_secret', 'links/key/secret')).toMatchObject({
      name: 'tribo-akron-prod/link-key',
      kms_key_id: expect.stringContaining('aws_kms_key'),
    });
    const readers = inProd
      .found('aws_iam_role_policy')
      .filter(({ is }) => String(is['policy']).includes('links_key'))
      .map(({ path }) => path);
    expect(readers).toEqual(['platform/start-role/rights']);
  });
});

function groupIn(reference: unknown): string {
  const [, service] = /(?:services_|ingress_)([a-z-]+?)(?:-group|_group)/.exec(String(reference)) ?? [];
  return service ?? String(reference);
}

describe('the way in', () => {
  it('leads to the API alone', () => {
    expect(inProd.of('aws_lb_target_group')).toHaveLength(1);
    const behind = inProd.of('aws_ecs_service').filter((service) => service['load_balancer'] !== undefined);
    expect(behind.map(({ name }) => name)).toEqual(['api-gateway']);
  });

  it('is open for TLS, and for being sent there', () => {
    const open = inProd.of('aws_vpc_security_group_ingress_rule').filter((rule) => rule['cidr_ipv4'] === '0.0.0.0/0');
    expect(new Set(open.map((rule) => rule['from_port']))).toEqual(new Set([443, 80]));
    expect(open.every((rule) => String(rule['security_group_id']).includes('balancer-group'))).toBe(true);
    expect(inProd.one('aws_lb_listener', 'ingress/http')['default_action']).toEqual([
      { type: 'redirect', redirect: { port: '443', protocol: 'HTTPS', status_code: 'HTTP_301' } },
    ]);
    expect(inProd.one('aws_lb_listener', 'ingress/https')).toMatchObject({
      protocol: 'HTTPS',
      ssl_policy: 'ELBSecurityPolicy-TLS13-1-2-Res-2021-06',
    });
  });

  it('has a firewall, a certificate that renews itself, an address, a log, and protection outside dev', () => {
    expect(inProd.of('aws_wafv2_web_acl_association')[0]!['resource_arn']).toContain('aws_lb.ingress_balancer');
    expect(inProd.of('aws_acm_certificate')[0]).toMatchObject({
      domain_name: 'tribo.akron.example',
      validation_method: 'DNS',
    });
    expect(inProd.one('aws_route53_record', 'ingress/address')).toMatchObject({
      name: 'tribo.akron.example',
      type: 'A',
    });
    const balancer = inProd.one('aws_lb', 'balancer');
    expect(balancer).toMatchObject({
      internal: false,
      drop_invalid_header_fields: true,
      enable_deletion_protection: true,
      access_logs: { enabled: true, prefix: 'api' },
    });
    expect(inDev.one('aws_lb', 'balancer')['enable_deletion_protection']).toBe(false);
  });

  it('closes an idle connection before the API does, and no stream of events between two heartbeats', () => {
    const idleMs = (inProd.one('aws_lb', 'balancer')['idle_timeout'] as number) * 1000;
    // One that the API closes first may just have got a request, to which the balancer then answers 502.
    expect(idleMs).toBeLessThan(KEEP_ALIVE_MS);
    expect(idleMs).toBeGreaterThan(apiGatewayConfigSchema.parse({}).events.heartbeatMs);
  });

  it('lets batches of readings pass the rules for bodies, and takes credentials out of the log', () => {
    const [common] = inProd.of('aws_wafv2_web_acl')[0]!['rule'] as readonly Attributes[];
    expect(JSON.stringify(common)).toContain(
      '"rule_action_override":[{"action_to_use":{"count":{}},"name":"SizeRestrictions_BODY"}]',
    );
    expect(inProd.of('aws_wafv2_web_acl_logging_configuration')[0]!['redacted_fields']).toEqual([
      { single_header: { name: 'authorization' } },
      { single_header: { name: 'cookie' } },
    ]);
  });
});

describe('devices', () => {
  const policies = inProd.of('aws_iot_policy').map(({ policy }) => statementsOf(policy));

  it('come in under their own id alone, and use the topics of their own machines', () => {
    for (const statements of policies) {
      const [connect, publish, subscribe, deny] = statements;
      expect(connect!.Resource.map(lastOf)).toEqual(['client/$${iot:Connection.Thing.ThingName}']);
      expect(
        publish!.Resource.every((arn) =>
          /:topic\/tribo\/v1\/\$\$\{iot:Connection\.Thing\.Attributes\[m\d+\]\}\/\*$/.test(arn),
        ),
      ).toBe(true);
      // Receiving is of topics, subscribing of filters: one statement cannot be of both.
      expect(publish!.Action).toContain('iot:Receive');
      expect(subscribe!.Action).toEqual(['iot:Subscribe']);
      expect(subscribe!.Resource.every((arn) => arn.includes(':topicfilter/'))).toBe(true);
      expect(deny).toMatchObject({ Effect: 'Deny', Action: ['iot:Publish'] });
    }
  });

  it('have policies that write variables of IoT Core as such, no signs of MQTT, and fit', () => {
    for (const { policy } of inProd.of('aws_iot_policy')) {
      const text = policy as string;
      expect(text).not.toMatch(/\$\{!|[^$]\$\{iot:/);
      expect(
        statementsOf(text)
          .flatMap(({ Resource }) => Resource)
          .filter((arn) => /[+#]/.test(arn)),
      ).toEqual([]);
      // With the longest names of partition and region, and an account.
      const resolved = text
        .replace(/(?<!\$)\$\{data\.aws_partition[^}]*\}/g, 'aws')
        .replace(/(?<!\$)\$\{data\.aws_caller[^}]*\}/g, '123456789012')
        .replaceAll('us-east-2', 'ap-southeast-5')
        .replaceAll('$${', '${');
      expect(resolved.length).toBeLessThanOrEqual(2048);
    }
  });

  it('have rules each of which puts what it cannot put into the first stream into the second', () => {
    const rules = inProd.of('aws_iot_topic_rule');
    expect(new Set(rules.map(({ name }) => name))).toEqual(
      new Set(['messages', 'presence', 'subscriptions'].map((name) => `tribo_akron_prod_${name}`)),
    );
    for (const rule of rules) {
      expect(rule['kinesis']).toEqual([expect.objectContaining({ stream_name: 'tribo-akron-prod-devices' })]);
      expect(rule['error_action']).toEqual({
        kinesis: expect.objectContaining({
          stream_name: 'tribo-akron-prod-device-errors',
          partition_key: '$${newuuid()}',
        }),
      });
    }
  });

  it('use no action of a rule that was withdrawn', () => {
    const used = inProd.of('aws_iot_topic_rule').flatMap((rule) => Object.keys(rule));
    expect(used.filter((key) => ['iot_analytics', 'iot_events', 'timestream', 'firehose'].includes(key))).toEqual([]);
  });
});

describe('people', () => {
  it('sign in at a pool of the site, made by administrators, with a second factor, by a code alone', () => {
    expect(inProd.of('aws_cognito_user_pool')[0]).toMatchObject({
      mfa_configuration: 'ON',
      admin_create_user_config: { allow_admin_create_user_only: true },
      deletion_protection: 'ACTIVE',
    });
    expect(inProd.of('aws_cognito_user_pool_client')[0]).toMatchObject({
      generate_secret: false,
      allowed_oauth_flows: ['code'],
      callback_urls: ['https://tribo.akron.example/v1/sign-in/cognito/callback'],
    });
    expect(inDev.of('aws_cognito_user_pool')[0]!['deletion_protection']).toBe('INACTIVE');
  });

  it('come by another issuer where the environment names one, and then no pool is made', () => {
    const site = synthesized(shipped('gent.prod'));
    expect(() => site.of('aws_cognito_user_pool')).toThrow('nothing is of type aws_cognito_user_pool');
  });
});

describe('alarms', () => {
  // Those of service levels are in service-levels.test.ts.
  const alarms = inProd
    .found('aws_cloudwatch_metric_alarm')
    .flatMap(({ path, is }) => (path.startsWith('platform/alarms/') ? [is] : []));

  it('are of services, database, streams, the API, objects, tables and functions', () => {
    expect(new Set(alarms.map(({ namespace }) => namespace))).toEqual(
      new Set([
        'AWS/ECS',
        'AWS/RDS',
        'AWS/Kinesis',
        'AWS/ApplicationELB',
        'AWS/S3',
        'AWS/DynamoDB',
        'AWS/Lambda',
        'AWS/SQS',
      ]),
    );
    const metrics = (namespace: string) =>
      new Set(alarms.filter((alarm) => alarm['namespace'] === namespace).map((alarm) => alarm['metric_name']));
    expect(metrics('AWS/RDS')).toEqual(new Set(['CPUUtilization', 'FreeStorageSpace', 'DatabaseConnections']));
    expect(metrics('AWS/ECS')).toEqual(new Set(['CPUUtilization', 'MemoryUtilization']));
  });

  it.each([
    ['AWS/ECS', 'CPUUtilization', ['ClusterName', 'ServiceName']],
    ['AWS/ECS', 'MemoryUtilization', ['ClusterName', 'ServiceName']],
    ['AWS/RDS', 'CPUUtilization', ['DBInstanceIdentifier']],
    ['AWS/RDS', 'FreeStorageSpace', ['DBInstanceIdentifier']],
    ['AWS/RDS', 'DatabaseConnections', ['DBInstanceIdentifier']],
    ['AWS/Kinesis', 'GetRecords.IteratorAgeMilliseconds', ['StreamName']],
    ['AWS/Kinesis', 'WriteProvisionedThroughputExceeded', ['StreamName']],
    ['AWS/ApplicationELB', 'HTTPCode_Target_5XX_Count', ['LoadBalancer']],
    ['AWS/ApplicationELB', 'HTTPCode_Target_4XX_Count', ['LoadBalancer']],
    ['AWS/ApplicationELB', 'HTTPCode_ELB_5XX_Count', ['LoadBalancer']],
    ['AWS/ApplicationELB', 'HealthyHostCount', ['LoadBalancer', 'TargetGroup']],
    ['AWS/S3', '4xxErrors', ['BucketName', 'FilterId']],
    ['AWS/S3', '5xxErrors', ['BucketName', 'FilterId']],
    ['AWS/DynamoDB', 'WriteThrottleEvents', ['TableName']],
    ['AWS/Lambda', 'Throttles', ['FunctionName']],
    ['AWS/SQS', 'ApproximateNumberOfMessagesVisible', ['QueueName']],
  ])('of %s %s are of what CloudWatch counts it by', (namespace, metric, dimensions) => {
    const of = alarms.filter((alarm) => alarm['namespace'] === namespace && alarm['metric_name'] === metric);
    const counted = new Set(of.map((alarm) => Object.keys(alarm['dimensions'] as object).join()));
    expect(counted).toEqual(new Set([dimensions.join()]));
  });

  it('each call somebody, and tell when it is over', () => {
    for (const alarm of alarms) {
      expect(alarm['alarm_actions']).toEqual([expect.stringContaining('aws_sns_topic.operators')]);
      expect(alarm['ok_actions']).toEqual(alarm['alarm_actions']);
    }
  });

  it('take missing data for an alarm where something is always measured', () => {
    const breaching = alarms.filter((alarm) => alarm['treat_missing_data'] === 'breaching');
    expect(new Set(breaching.map(({ namespace }) => namespace))).toEqual(
      new Set(['AWS/ECS', 'AWS/RDS', 'AWS/ApplicationELB']),
    );
  });
});

describe('the budget', () => {
  it('is that of the environment, told to those whom it names', () => {
    const [budget] = inProd.of('aws_budgets_budget');
    expect(budget).toMatchObject({
      limit_amount: '1200',
      limit_unit: 'USD',
      time_unit: 'MONTHLY',
      cost_filter: [{ name: 'TagKeyValue', values: ['user:Deployment$tribo-akron-prod'] }],
    });
    const told = budget!['notification'] as readonly Attributes[];
    expect(told.map(({ notification_type: type, threshold }) => `${String(type)} ${String(threshold)}`)).toEqual([
      'ACTUAL 50',
      'ACTUAL 80',
      'ACTUAL 100',
      'FORECASTED 100',
    ]);
    expect(told.every((each) => (each['subscriber_email_addresses'] as string[])[0] === 'plant-it@akron.example')).toBe(
      true,
    );
  });
});

describe('logs', () => {
  it('are kept as long as the environment says, and are encrypted', () => {
    for (const group of inProd.of('aws_cloudwatch_log_group'))
      expect(group).toMatchObject({ retention_in_days: 90, kms_key_id: expect.stringContaining('aws_kms_key') });
    const inStaging = synthesized(changed(prod, { stage: 'staging', retention: { ...prod.retention, logDays: 30 } }));
    expect(inStaging.of('aws_cloudwatch_log_group').every((group) => group['retention_in_days'] === 30)).toBe(true);
  });
});

describe('topics', () => {
  it('are encrypted, and take what comes over TLS alone', () => {
    for (const topic of inProd.of('aws_sns_topic')) expect(topic['kms_master_key_id']).toContain('key');
    for (const { policy } of inProd.of('aws_sns_topic_policy'))
      expect(statementsOf(policy)[0]).toMatchObject({
        Effect: 'Deny',
        Condition: { Bool: { 'aws:SecureTransport': 'false' } },
      });
  });
});

function lastOf(arn: string): string {
  return arn.split(':').slice(5).join(':');
}

function containerOf(service: string): Attributes {
  const text = inProd.one('aws_ecs_task_definition', `${service}-task`)['container_definitions'] as string;
  // References have quotation marks of their own.
  const readable = text.replace(/\$\{[^}]*\}/g, (reference) => JSON.stringify(reference).slice(1, -1));
  const [container] = JSON.parse(readable) as [Attributes];
  return container;
}
