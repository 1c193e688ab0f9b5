import { describe, expect, it } from '@jest/globals';
import { changed, namedInAny, shipped, synthesized, type NamedResource } from '../testing/synthesized.ts';
import { inCluster, withKafka, withModels, withSecondRegion, withWarehouse } from '../testing/variations.ts';

const prod = shipped('bergen.prod');
const SUBSCRIPTION = '00000000-0000-4000-8000-000000000001';
/** Together they have all that has a name: containers with an endpoint of models and a warehouse, a cluster with Kafka, and a second region. */
const WAYS = [withModels(withWarehouse(prod)), inCluster(withKafka(prod)), withSecondRegion(prod)];

/** What a service takes as a name. From the pages of the provider's resources, and of Azure's rules for names. */
const FORMS: Readonly<Record<string, RegExp>> = {
  azurerm_application_insights: /^[^%&\\?/]{1,259}[^%&\\?/.\s]$/,
  azurerm_cdn_frontdoor_endpoint: /^[A-Za-z0-9]([A-Za-z0-9-]{0,44}[A-Za-z0-9])$/,
  azurerm_cdn_frontdoor_firewall_policy: /^[A-Za-z][A-Za-z0-9]{0,127}$/,
  azurerm_cdn_frontdoor_profile: /^[A-Za-z0-9]([A-Za-z0-9-]{0,88}[A-Za-z0-9])$/,
  azurerm_consumption_budget_subscription: /^[\w-]{1,63}$/,
  azurerm_container_app_environment: /^(?!.*--)[a-z][a-z0-9-]{0,58}[a-z0-9]$/,
  azurerm_container_registry: /^[A-Za-z0-9]{5,50}$/,
  azurerm_data_protection_backup_vault: /^[A-Za-z][A-Za-z0-9-]{1,49}$/,
  azurerm_email_communication_service: /^[A-Za-z0-9-]{1,63}$/,
  azurerm_disk_encryption_set: /^[A-Za-z0-9_-]{1,80}$/,
  azurerm_eventhub_namespace: /^[A-Za-z][A-Za-z0-9-]{4,48}[A-Za-z0-9]$/,
  azurerm_iothub: /^(?!.*-$)[A-Za-z0-9-]{3,50}$/,
  azurerm_key_vault: /^(?!.*--)[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]$/,
  azurerm_kubernetes_cluster: /^[A-Za-z0-9]([\w-]{0,61}[A-Za-z0-9])?$/,
  azurerm_log_analytics_workspace: /^[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]$/,
  azurerm_machine_learning_workspace: /^[A-Za-z0-9][\w-]{2,32}$/,
  azurerm_monitor_action_group: /^[^<>*%&:?/\\]{1,260}$/,
  azurerm_monitor_autoscale_setting: /^[^<>%&#?/\\]{1,260}$/,
  azurerm_monitor_data_collection_rule: /^[A-Za-z0-9][\w.-]{1,62}[A-Za-z0-9]$/,
  azurerm_monitor_metric_alert: /^[^*#&+:<>?@%{}\\/]{1,260}$/,
  azurerm_monitor_scheduled_query_rules_alert_v2: /^[^*#&+:<>?@%{}\\/]{1,260}$/,
  azurerm_nat_gateway: /^[A-Za-z0-9][\w.-]{0,78}\w$/,
  azurerm_network_security_group: /^[A-Za-z0-9][\w.-]{0,78}\w$/,
  azurerm_portal_dashboard: /^[A-Za-z0-9-]{3,160}$/,
  azurerm_postgresql_flexible_server: /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/,
  azurerm_private_endpoint: /^[A-Za-z0-9][\w.-]{0,78}\w$/,
  azurerm_public_ip: /^[A-Za-z0-9][\w.-]{0,78}\w$/,
  azurerm_resource_group: /^[\w().-]{0,89}[\w()-]$/,
  azurerm_resource_group_template_deployment: /^[\w().-]{1,64}$/,
  azurerm_role_definition: /^.{1,128}$/,
  azurerm_service_plan: /^[\w-]{1,60}$/,
  azurerm_servicebus_namespace: /^(?!.*-(sb|mgmt)$)[A-Za-z][A-Za-z0-9-]{4,48}[A-Za-z0-9]$/,
  azurerm_storage_account: /^[a-z0-9]{3,24}$/,
  azurerm_synapse_workspace: /^(?!.*-ondemand)[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?$/,
  azurerm_user_assigned_identity: /^[A-Za-z0-9][\w-]{2,127}$/,
  azurerm_virtual_network: /^[A-Za-z0-9][\w.-]{0,62}\w$/,
};

/** Names that all the world shares. */
const OF_ALL_THE_WORLD = new Set([
  ...['azurerm_container_registry', 'azurerm_email_communication_service'],
  ...['azurerm_eventhub_namespace', 'azurerm_iothub', 'azurerm_key_vault', 'azurerm_postgresql_flexible_server'],
  ...['azurerm_servicebus_namespace', 'azurerm_storage_account', 'azurerm_synapse_workspace'],
]);
/** Names within a group of resources, a service or a profile of the site. */
const WITHIN_ANOTHER = new Set([
  ...['azurerm_cdn_frontdoor_custom_domain', 'azurerm_cdn_frontdoor_origin', 'azurerm_cdn_frontdoor_origin_group'],
  ...['azurerm_cdn_frontdoor_route', 'azurerm_cdn_frontdoor_security_policy', 'azurerm_container_app'],
  ...[
    'azurerm_data_protection_backup_instance_postgresql_flexible_server',
    'azurerm_dns_a_record',
    'azurerm_dns_txt_record',
  ],
  ...['azurerm_data_protection_backup_policy_postgresql_flexible_server', 'azurerm_dns_zone', 'azurerm_eventhub'],
  ...[
    'azurerm_email_communication_service_domain',
    'azurerm_eventhub_consumer_group',
    'azurerm_iothub_endpoint_eventhub',
  ],
  ...[
    'azurerm_federated_identity_credential',
    'azurerm_iothub_route',
    'azurerm_key_vault_key',
    'azurerm_key_vault_secret',
  ],
  ...[
    'azurerm_kubernetes_cluster_node_pool',
    'azurerm_machine_learning_compute_cluster',
    'azurerm_machine_learning_workspace_network_outbound_rule_private_endpoint',
    'azurerm_management_lock',
    'azurerm_monitor_data_collection_rule_association',
    'azurerm_monitor_diagnostic_setting',
    'azurerm_postgresql_flexible_server_configuration',
  ],
  ...['azurerm_postgresql_flexible_server_database', 'azurerm_private_dns_zone', 'azurerm_storage_container'],
  ...['azurerm_private_dns_zone_virtual_network_link', 'azurerm_servicebus_queue', 'azurerm_subnet'],
  ...['azurerm_virtual_network_peering'],
]);

describe('names at Azure', () => {
  it.each(['a-site-of-many-letters-x'])('of the site %s are what each service takes', (site) => {
    for (const { type, name } of named(site, 'staging'))
      expect({ type, name }).toEqual({ type, name: expect.stringMatching(FORMS[type]!) });
  });

  it('have a form for each type that is named, and for no other, or are within something of the site', () => {
    const found = all('aa', 'prod');
    expect(found.filter(({ type }) => !(type in FORMS) && !WITHIN_ANOTHER.has(type))).toEqual([]);
    expect(Object.keys(FORMS).filter((type) => !found.some((each) => each.type === type))).toEqual([]);
  });

  it('are never those of another site or stage, although their names begin alike', () => {
    const environments = [
      ['aa', 'dev'],
      ['aa-dev', 'prod'],
      ['aa-events', 'dev'],
      ['a-site-of-many-letters-x', 'prod'],
      ['a-site-of-many-letters-y', 'prod'],
    ] as const;
    // A policy of a firewall is within its group, and its hyphens are taken out.
    const names = environments.flatMap(([site, stage]) =>
      named(site, stage)
        .filter(({ type }) => type !== 'azurerm_cdn_frontdoor_firewall_policy')
        .map(({ type, name }) => `${type} ${name}`),
    );
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });

  it('that all the world shares are not those of the same site of another subscription', () => {
    const worldwide = (subscription: string) =>
      named('aa', 'dev', subscription)
        .filter(({ type }) => OF_ALL_THE_WORLD.has(type))
        .map(({ name }) => name);
    const [ours, theirs] = [worldwide(SUBSCRIPTION), worldwide('00000000-0000-4000-8000-000000000002')];
    expect(ours.filter((name) => theirs.includes(name))).toEqual([]);
    expect(ours.length).toBeGreaterThan(8);
  });

  it('are told apart by the subscription that is deployed to, where the environment names none', () => {
    const [account] = synthesized(prod, 'azure').of('azurerm_storage_account');
    expect(account!['name']).toMatch(
      /^tribobergenprod[a-z]?\$\{substr\(sha256\(join\("\/", \["tribo-bergen-prod-\w+", data\.azurerm_client_config\.who\.subscription_id\]\)\), 0, 8\)\}$/,
    );
  });
});

function all(site: string, stage: 'dev' | 'staging' | 'prod', subscription = SUBSCRIPTION): readonly NamedResource[] {
  const environments = WAYS.map((way) => changed(way, { site, stage, accounts: { azure: subscription } }));
  const resources = namedInAny(environments, 'azure', (type) => (type in FORMS ? 'name' : undefined));
  return resources.filter(({ type }) => type.startsWith('azurerm_'));
}

function named(...of: Parameters<typeof all>): readonly NamedResource[] {
  return all(...of).filter(({ type }) => type in FORMS);
}
