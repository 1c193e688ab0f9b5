import { describe, expect, it } from '@jest/globals';
import { changed, shipped, synthesized, type Attributes } from '../testing/synthesized.ts';
import { inCluster, withKafka, withModels, withSecondRegion } from '../testing/variations.ts';

const prod = shipped('bergen.prod');
const inProd = synthesized(prod, 'azure');
const inDev = synthesized(shipped('bergen.dev'), 'azure');

describe('the network', () => {
  it('has the range of the environment, and a subnet for services, data, endpoints and functions', () => {
    expect(inProd.of('azurerm_virtual_network').map((each) => each['address_space'])).toEqual([['10.50.0.0/16']]);
    const ranges = inProd.of('azurerm_subnet').map(({ name, address_prefixes: range }) => [name, range]);
    expect(Object.fromEntries(ranges as [string, unknown][])).toEqual({
      services: ['10.50.0.0/20'],
      data: ['10.50.64.0/20'],
      endpoints: ['10.50.128.0/20'],
      functions: ['10.50.192.0/20'],
    });
  });

  it('hands the subnets over to the services that are in them', () => {
    const of = (tier: string) => inProd.one('azurerm_subnet', `network/${tier}`)['delegation'] as Attributes[];
    expect(of('services')[0]).toMatchObject({ service_delegation: { name: 'Microsoft.App/environments' } });
    expect(of('functions')[0]).toMatchObject({ service_delegation: { name: 'Microsoft.App/environments' } });
    expect(of('data')[0]).toMatchObject({ service_delegation: { name: 'Microsoft.DBforPostgreSQL/flexibleServers' } });
    expect(inProd.one('azurerm_subnet', 'network/endpoints')['default_outbound_access_enabled']).toBe(false);
  });

  it.each(['services', 'data', 'endpoints', 'functions'])('%s: lets in who is named, and denies the rest', (tier) => {
    const inbound = rulesOf(inProd, tier).filter(({ direction }) => direction === 'Inbound');
    expect(inbound.at(-1)).toMatchObject({
      access: 'Deny',
      priority: 4096,
      protocol: '*',
      source_address_prefix: '*',
      destination_address_prefix: '*',
      destination_port_range: '*',
    });
    const from = inbound.slice(0, -1).map(({ source_address_prefix: source }) => source);
    expect(
      from.filter((source) => ['*', 'Internet', '0.0.0.0/0', 'VirtualNetwork'].includes(source as string)),
    ).toEqual([]);
  });

  it('lets the services alone reach the database, at its ports', () => {
    expect(
      rulesOf(inProd, 'data')
        .filter(({ access }) => access === 'Allow')
        .slice(0, 2),
    ).toEqual([
      expect.objectContaining({
        source_address_prefix: '10.50.0.0/20',
        destination_address_prefix: '10.50.64.0/20',
        destination_port_ranges: ['5432', '6432'],
        protocol: 'Tcp',
      }),
      expect.objectContaining({ source_address_prefix: '10.50.64.0/20', destination_address_prefix: '10.50.64.0/20' }),
    ]);
    expect(rulesOf(inProd, 'data').at(-1)).toMatchObject({ direction: 'Outbound', access: 'Deny', priority: 4096 });
  });

  it('guards each subnet, and gives services and functions alone a way out', () => {
    expect(inProd.of('azurerm_subnet_network_security_group_association')).toHaveLength(4);
    const out = inProd.of('azurerm_subnet_nat_gateway_association').map((each) => each['subnet_id']);
    expect(out).toEqual(['functions', 'services'].map((tier) => expect.stringContaining(`network_${tier}`)));
    expect(inProd.of('azurerm_public_ip')).toEqual([
      expect.objectContaining({ zones: ['1', '2', '3'], sku: 'Standard' }),
    ]);
    expect(inDev.of('azurerm_public_ip')[0]).not.toHaveProperty('zones');
  });

  it('lets Front Door in where the API has a public address, and nobody in where it has none', () => {
    const sources = (site: typeof inProd) => rulesOf(site, 'services').map((rule) => rule['source_address_prefix']);
    expect(sources(inDev)).toContain('AzureFrontDoor.Backend');
    expect(sources(inProd)).not.toContain('AzureFrontDoor.Backend');
  });
});

describe('private endpoints', () => {
  it('lead to vaults, accounts, streams and images, by names that the network alone knows', () => {
    const subresources = (site: typeof inProd) =>
      site
        .of('azurerm_private_endpoint')
        .map((each) => (each['private_service_connection'] as Attributes)['subresource_names'])
        .flat()
        .toSorted();
    expect(subresources(inProd)).toEqual(['blob', 'blob', 'blob', 'namespace', 'registry', 'vault', 'vault']);
    // A registry of the cheaper tier has none.
    expect(subresources(inDev)).toEqual(['blob', 'blob', 'blob', 'namespace', 'vault', 'vault']);
    for (const endpoint of inProd.of('azurerm_private_endpoint'))
      expect(endpoint).toMatchObject({
        subnet_id: expect.stringContaining('network_endpoints'),
        private_service_connection: { is_manual_connection: false },
        private_dns_zone_group: { private_dns_zone_ids: [expect.stringContaining('private_dns_zone')] },
      });
  });
});

describe('vaults', () => {
  const vaults = (site: typeof inProd) => site.of('azurerm_key_vault');

  it('go by roles, are closed to the network, and cannot be purged outside dev', () => {
    expect(vaults(inProd)).toHaveLength(2);
    for (const vault of vaults(inProd))
      expect(vault).toMatchObject({
        rbac_authorization_enabled: true,
        purge_protection_enabled: true,
        soft_delete_retention_days: 90,
        network_acls: { default_action: 'Deny', bypass: 'AzureServices' },
        lifecycle: { prevent_destroy: true },
      });
    expect(vaults(inDev).map((vault) => vault['purge_protection_enabled'])).toEqual([false, false]);
  });

  it('are open to whoever deploys only while addresses are named: that of the keys; that of the platform never', () => {
    expect(inProd.one('azurerm_key_vault', 'key/keys/vault')).toMatchObject({
      public_network_access_enabled: '${length(var.deployer_addresses) > 0}',
      network_acls: { ip_rules: '${var.deployer_addresses}' },
    });
    expect(inProd.json.foundation).toMatchObject({ variable: { deployer_addresses: { default: [] } } });
    expect(inProd.one('azurerm_key_vault', 'secret-store/secrets/vault')['public_network_access_enabled']).toBe(false);
  });

  it('give what the stacks put there to those who are named, who are the same whoever applies, and tell who is not', () => {
    for (const role of ['crypto', 'secrets'])
      expect(inProd.one('azurerm_role_assignment', `key/keys/key-vault-${role}-officer`)).toMatchObject({
        for_each: '${var.deployers}',
        principal_id: '${each.value}',
        scope: expect.stringContaining('azurerm_key_vault'),
      });
    const { variable } = inProd.json.foundation as unknown as { variable: { deployers: Attributes } };
    expect(variable.deployers).toMatchObject({ type: 'set(string)' });
    expect(variable.deployers).not.toHaveProperty('default');
    expect(inProd.json.foundation).toMatchObject({
      check: {
        deployer: {
          assert: { condition: '${contains(var.deployers, data.azurerm_client_config.who.object_id)}' },
        },
      },
      data: { azurerm_client_config: { who: expect.anything() } },
    });
    const others = inProd
      .found('azurerm_role_assignment')
      .filter(({ is }) => JSON.stringify(is).includes('client_config.who.object_id'));
    expect(others).toEqual([]);
  });

  it('have a key that is made anew each year, and of which no version ends; none in dev, whose vault may be purged', () => {
    expect(inProd.of('azurerm_key_vault_key')).toEqual([
      expect.objectContaining({
        key_type: 'RSA',
        key_size: 3072,
        key_opts: ['wrapKey', 'unwrapKey'],
        rotation_policy: { automatic: { time_after_creation: 'P365D' } },
      }),
    ]);
    expect(inDev.resources.filter(({ type }) => type === 'azurerm_key_vault_key')).toEqual([]);
  });
});

describe('the registry', () => {
  it('is of the tier that is priced, opens to no password, and is private where it can be', () => {
    expect(inProd.one('azurerm_container_registry', 'registry')).toMatchObject({
      sku: 'Premium',
      admin_enabled: false,
      anonymous_pull_enabled: false,
      public_network_access_enabled: false,
      zone_redundancy_enabled: true,
      encryption: [{ key_vault_key_id: expect.stringMatching(/azurerm_key_vault_key.*versionless_id/) }],
    });
    const basic = inDev.one('azurerm_container_registry', 'registry');
    expect(basic).toMatchObject({ sku: 'Basic', admin_enabled: false, anonymous_pull_enabled: false });
    // What the cheaper tier refuses.
    for (const attribute of ['encryption', 'zone_redundancy_enabled', 'retention_policy_in_days'])
      expect(basic).not.toHaveProperty(attribute);
  });
});

describe('the pipeline', () => {
  it("comes in by a token of its run in GitHub's environment of the stage, and pushes", () => {
    expect(inProd.of('azurerm_federated_identity_credential')).toEqual([
      expect.objectContaining({
        issuer: 'https://token.actions.githubusercontent.com',
        audience: ['api://AzureADTokenExchange'],
        subject: 'repo:${var.github_repository}:environment:prod',
      }),
    ]);
    expect(inProd.one('azurerm_role_assignment', 'ci-identity/pushes')).toMatchObject({
      role_definition_name: 'AcrPush',
      scope: expect.stringContaining('azurerm_container_registry'),
    });
  });
});

describe('logs', () => {
  it('are kept as long as the environment says, and open to no key', () => {
    expect(inProd.of('azurerm_log_analytics_workspace')).toEqual([
      expect.objectContaining({ retention_in_days: 90, local_authentication_enabled: false }),
    ]);
  });
});

describe('every resource', () => {
  it('that takes tags has those of the environment', () => {
    const tagged = inProd.resources.filter(({ is }) => 'tags' in is);
    for (const { is } of tagged)
      expect(is['tags']).toMatchObject({
        Site: 'bergen',
        Environment: 'prod',
        Deployment: 'tribo-bergen-prod',
        Tenant: 'vann',
      });
    const untagged = new Set(inProd.resources.filter(({ is }) => !('tags' in is)).map(({ type }) => type));
    // The provider's resources without tags.
    expect([...untagged].toSorted()).toEqual(UNTAGGED);
  });

  it.each([
    ['with containers', inProd],
    ['in a cluster', synthesized(inCluster(prod), 'azure')],
    ['with Kafka', synthesized(withKafka(prod), 'azure')],
    ['with models', synthesized(withModels(prod), 'azure')],
    ['with a second region', synthesized(withSecondRegion(shipped('gent.prod')), 'azure')],
  ])('waits for others of its own stack alone, as Terraform takes no other: %s', (_how, { resources, json }) => {
    const waits = resources.filter(({ is }) => 'depends_on' in is);
    expect(waits.length).toBeGreaterThan(10);
    for (const { stack, is } of waits)
      for (const other of is['depends_on'] as readonly string[]) {
        const [type = '', name = '', ...rest] = other.split('.');
        expect([other, rest, json[stack]!.resource[type]]).toEqual([
          other,
          [],
          expect.objectContaining({ [name]: expect.anything() }),
        ]);
      }
  });

  it('is in the subscription that the environment names, where it names one', () => {
    const subscription = '00000000-0000-4000-8000-000000000001';
    const { json } = synthesized(changed(prod, { accounts: { azure: subscription } }), 'azure');
    for (const stack of Object.values(json))
      expect(stack).toMatchObject({
        provider: { azurerm: [{ subscription_id: subscription, storage_use_azuread: true }] },
      });
  });

  it('is of a service that the subscription is registered for, by the very letters in which Azure lists it', () => {
    const registered = (environment: typeof prod) =>
      synthesized(environment, 'azure').json.platform.provider['azurerm']![0]!['resource_providers_to_register'];
    const services = ['Microsoft.App', 'Microsoft.Network', 'microsoft.insights'];
    expect(registered(prod)).toEqual(expect.arrayContaining(services));
    expect(registered(prod)).not.toContain('Microsoft.PolicyInsights');
    // Azure Policy looks at the pods of a cluster.
    const asked = registered(inCluster(prod)) as readonly string[];
    expect(asked).toEqual(
      expect.arrayContaining([...services, 'Microsoft.ContainerService', 'Microsoft.PolicyInsights']),
    );
    expect(new Set(asked).size).toBe(asked.length);
  });
});

const UNTAGGED = [
  'azurerm_cdn_frontdoor_custom_domain',
  'azurerm_cdn_frontdoor_custom_domain_association',
  'azurerm_cdn_frontdoor_origin',
  'azurerm_cdn_frontdoor_origin_group',
  'azurerm_cdn_frontdoor_route',
  'azurerm_cdn_frontdoor_security_policy',
  'azurerm_consumption_budget_subscription',
  'azurerm_data_protection_backup_instance_postgresql_flexible_server',
  'azurerm_data_protection_backup_policy_postgresql_flexible_server',
  'azurerm_eventhub',
  'azurerm_eventhub_consumer_group',
  'azurerm_federated_identity_credential',
  'azurerm_iothub_endpoint_eventhub',
  'azurerm_iothub_fallback_route',
  'azurerm_iothub_route',
  'azurerm_management_lock',
  'azurerm_monitor_diagnostic_setting',
  'azurerm_nat_gateway_public_ip_association',
  'azurerm_postgresql_flexible_server_configuration',
  'azurerm_postgresql_flexible_server_database',
  'azurerm_role_assignment',
  'azurerm_role_definition',
  'azurerm_servicebus_queue',
  'azurerm_storage_container',
  'azurerm_storage_container_immutability_policy',
  'azurerm_storage_management_policy',
  'azurerm_subnet',
  'azurerm_subnet_nat_gateway_association',
  'azurerm_subnet_network_security_group_association',
];

function rulesOf(site: typeof inProd, tier: string): readonly Attributes[] {
  return site.one('azurerm_network_security_group', `network/${tier}-rules`)['security_rule'] as readonly Attributes[];
}
