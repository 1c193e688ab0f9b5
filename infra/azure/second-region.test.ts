import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { demandOf, HOURS_A_MONTH } from '../../core/decision/demand.ts';
import { planAzure } from '../../core/decision/azure-plan.ts';
import { environmentProblems } from '../../core/decision/environment-rules.ts';
import { environmentSchema, type Environment } from '../../core/decision/environment.ts';
import { loadPrices } from '../../services/shared/environments/environment-files.ts';
import { changed, notMade, shipped, synthesized, type Attributes, type Synthesized } from '../testing/synthesized.ts';
import { inCluster, withKafka, withSecondRegion } from '../testing/variations.ts';
import { secondPlace } from './second-place.ts';

const SUBSCRIPTION = '00000000-0000-4000-8000-000000000001';
const without = changed(shipped('gent.prod'), { accounts: { azure: SUBSCRIPTION } });
const prod = withSecondRegion(without);
const inProd = synthesized(prod, 'azure');
const inOne = synthesized(without, 'azure');
const inDev = synthesized(withSecondRegion(changed(shipped('gent.dev'), { sizes: 'standard' })), 'azure');
const FIRST = 'westeurope';
const SECOND = 'northeurope';

/** Of what is there by the second region alone. */
const SECOND_PATH = /\/second(-group|-region)?\//;
const ofSecond = ({ resources }: Synthesized) => resources.filter(({ path }) => SECOND_PATH.test(path));

describe('two regions', () => {
  it('are asked for by a switch, of an environment that is valid', () => {
    expect(environmentProblems(prod)).toEqual([]);
    expect(notMade('azure', prod)).toEqual([]);
    expect(notMade('azure', without)).toEqual([]);
    expect(ofSecond(inOne)).toEqual([]);
  });

  const [one, other] = prod.regions;
  it.each<[string, Partial<Environment>, readonly string[]]>([
    [
      'where the second is at another cloud',
      { regions: [one!, { ...other!, provider: 'aws' }] },
      ['switches.secondRegion with regions[1] at another cloud'],
    ],
    [
      'where the second has no name at Azure',
      { regions: [one!, { aws: 'eu-west-1', range: '10.62.0.0/16' }] },
      ['switches.secondRegion without a region of Azure in regions[1]'],
    ],
    [
      'of the smallest sizes, of whose database and registry Azure has no copies',
      { sizes: 'small' },
      ['switches.secondRegion with sizes: small (set standard or large)'],
    ],
  ])('are refused %s', (_, values, refused) => {
    expect(notMade('azure', changed(prod, values))).toEqual(refused);
  });

  it.each([
    ['without a name at Azure', [one!, { aws: 'eu-west-1', range: '10.62.0.0/16' }]],
    ['without a range of addresses', [one!, { azure: SECOND }]],
  ])('cannot be made %s', (_, regions) => {
    expect(() => secondPlace(changed(prod, { regions }))).toThrow('switches.secondRegion wants regions[1]');
  });

  it.each([
    ['Kafka', withKafka(prod)],
    ['a cluster', inCluster(prod)],
  ])('go together with %s', (_, environment) => {
    expect(notMade('azure', environment)).toEqual([]);
    expect(ofSecond(synthesized(environment, 'azure'))).toHaveLength(ofSecond(inProd).length);
  });
});

describe('the copy of the database', () => {
  const replica = inProd.one('azurerm_postgresql_flexible_server', 'database/replica');
  const first = inProd.one('azurerm_postgresql_flexible_server', 'database/server');

  it('follows the first, in the second region, in a subnet there and with the key of that region', () => {
    expect(replica).toMatchObject({
      location: SECOND,
      create_mode: 'Replica',
      source_server_id: expect.stringMatching(
        /^\$\{azurerm_postgresql_flexible_server\.database_server_[0-9A-F]{8}\.id\}$/,
      ),
      delegated_subnet_id: expect.stringContaining('second_network_data'),
      public_network_access_enabled: false,
      lifecycle: { prevent_destroy: true, ignore_changes: ['storage_mb', 'zone'] },
    });
    const { key_vault_key_id: key } = replica['customer_managed_key'] as Attributes;
    expect(key).toMatch(/second_key_/);
    expect((first['customer_managed_key'] as Attributes)['key_vault_key_id']).not.toBe(key);
  });

  it('can take its place: of its version, its size and its disk, looked after when that is', () => {
    for (const key of ['version', 'sku_name', 'storage_mb', 'auto_grow_enabled', 'maintenance_window'])
      expect([key, replica[key]]).toEqual([key, first[key]]);
    // Azure makes no backups of a copy, nor a standby, and a copy takes over who signs in.
    for (const key of [
      'high_availability',
      'backup_retention_days',
      'administrator_login',
      'administrator_password_wo',
    ])
      expect(replica).not.toHaveProperty(key);
  });

  it('is made once the first has its settings, of which a copy is not told later', () => {
    const { depends_on: before } = replica as { readonly depends_on: readonly string[] };
    const settings = inProd.found('azurerm_postgresql_flexible_server_configuration');
    expect(settings).toHaveLength(3);
    expect(before).toEqual(
      expect.arrayContaining([expect.stringContaining('azurerm_postgresql_flexible_server_configuration.')]),
    );
  });

  it('takes as many connections as the first, where that has to be told, and is told so before it: else it would no longer follow', () => {
    const workload = { ...prod.workload, machines: 600, waveforms: { perMachinePerDay: 86_400, bytes: 32_000 } };
    const site = synthesized(changed(prod, { workload }), 'azure');
    const type = 'azurerm_postgresql_flexible_server_configuration';
    const copy = site.one(type, 'second-region/database/max_connections');
    const told = site.one(type, 'data/database/max_connections');
    expect(copy).toMatchObject({
      server_id: expect.stringContaining('second-region_database_replica'),
      value: told['value'],
    });
    expect(told['depends_on']).toEqual([expect.stringContaining(`${type}.second-region_database_max_connections_`)]);
    const before = site.one('azurerm_postgresql_flexible_server', 'database/replica')['depends_on'] as string[];
    expect(before.filter((each) => each.includes('max_connections'))).toEqual([]);
    expect(inProd.resources.filter(({ path }) => path.endsWith('max_connections'))).toEqual([]);
  });

  it('cannot be deleted before its lock, and logs where the first does', () => {
    expect(inProd.one('azurerm_management_lock', 'second-region/database/lock')).toMatchObject({
      scope: expect.stringContaining('second-region_database_replica'),
      lock_level: 'CanNotDelete',
    });
    const workspace = (path: string) =>
      inProd.one('azurerm_monitor_diagnostic_setting', path)['log_analytics_workspace_id'];
    expect(workspace('second-region/database/logs')).toBe(workspace('data/database/logs'));
  });

  it('is reached by the first and reaches it, at the port of PostgreSQL, and by nobody else', () => {
    const rules = (path: string) =>
      inProd.one('azurerm_network_security_group', path)['security_rule'] as readonly Attributes[];
    const between = (path: string) =>
      rules(path)
        .filter(({ name }) => /other-region$/.test(String(name)))
        .map((rule) => [
          ...[rule['direction'], rule['access'], rule['source_address_prefix'], rule['destination_address_prefix']],
          rule['destination_port_ranges'],
        ]);
    const ports = ['5432', '6432'];
    expect(between('foundation/network/data-rules')).toEqual([
      ['Inbound', 'Allow', '10.62.64.0/20', '10.60.64.0/20', ports],
      ['Outbound', 'Allow', '10.60.64.0/20', '10.62.64.0/20', ports],
    ]);
    expect(between('second/network/data-rules')).toEqual([
      ['Inbound', 'Allow', '10.60.64.0/20', '10.62.64.0/20', ports],
      ['Outbound', 'Allow', '10.62.64.0/20', '10.60.64.0/20', ports],
    ]);
    expect(rules('second/network/data-rules').filter(({ access }) => access === 'Deny')).toHaveLength(2);
    expect(
      inOne
        .of('azurerm_network_security_group')
        .flatMap((group) => group['security_rule'] as readonly Attributes[])
        .filter(({ name }) => /other-region/.test(String(name))),
    ).toEqual([]);
  });

  it('is in a network that leads to that of the first and nowhere else, each known by name in the other', () => {
    const peered = (path: string) => {
      const {
        name,
        virtual_network_name: from,
        remote_virtual_network_id: to,
      } = inProd.one('azurerm_virtual_network_peering', path);
      return [name, String(from).includes('second_network'), String(to).includes('second_network')];
    };
    expect(inProd.of('azurerm_virtual_network_peering')).toHaveLength(2);
    expect(peered('network/there')).toEqual([`to-${SECOND}`, false, true]);
    expect(peered('network/back')).toEqual([`to-${FIRST}`, true, false]);
    const nat = inProd.of('azurerm_subnet_nat_gateway_association');
    expect(nat.filter(({ subnet_id: subnet }) => String(subnet).includes('second'))).toEqual([]);
    const links = inProd
      .found('azurerm_private_dns_zone_virtual_network_link')
      .filter(({ path }) => path.includes('second-region'))
      .map(({ is }) => is['name']);
    expect(links.toSorted()).toEqual(['database', SECOND, FIRST]);
  });

  it('calls somebody long before a quarter of an hour would be lost, and where it does not answer', () => {
    const { criteria, window_size: window } = inProd.one('azurerm_monitor_metric_alert', 'alarms/database-second-late');
    const [late] = criteria as readonly Attributes[];
    expect([late!['metric_name'], late!['operator'], window]).toEqual([
      'physical_replication_delay_in_seconds',
      'GreaterThan',
      'PT5M',
    ]);
    expect((late!['threshold'] as number) + 300).toBeLessThan(900);
    expect(inProd.one('azurerm_monitor_metric_alert', 'alarms/database-second-away')).toMatchObject({
      criteria: [{ metric_name: 'is_db_alive', operator: 'LessThan', threshold: 1 }],
      scopes: [expect.stringContaining('second-region_database_replica')],
    });
    expect(inOne.found('azurerm_monitor_metric_alert').filter(({ path }) => path.includes('second'))).toEqual([]);
  });
});

describe('the key of the second region', () => {
  const vault = inProd.one('azurerm_key_vault', 'second/key/keys/vault');

  it('is in a vault there, which is as closed as the first and cannot be purged', () => {
    const {
      name,
      location,
      resource_group_name: group,
      ...shared
    } = inProd.one('azurerm_key_vault', 'foundation/key/keys/vault');
    expect(vault).toMatchObject({ ...withoutComments(shared), location: SECOND });
    expect([name, location, group]).not.toContain(vault['name']);
    expect(vault).toMatchObject({ purge_protection_enabled: true, network_acls: { default_action: 'Deny' } });
    expect(vault['public_network_access_enabled']).toBe('${length(var.deployer_addresses) > 0}');
  });

  it('is made anew each year, and is for what is there alone', () => {
    expect(inProd.one('azurerm_key_vault_key', 'second/key/key')).toMatchObject({
      rotation_policy: { automatic: { time_after_creation: 'P365D' } },
      lifecycle: { prevent_destroy: true },
    });
    const encrypted = inProd.resources
      .filter(({ stack, is }) => stack === 'data' && /key_vault_keysecond_key_/.test(JSON.stringify(is)))
      .map(({ path }) => path);
    expect(encrypted.toSorted()).toEqual([
      'data/second-region/audit-store/audit/account',
      'data/second-region/database/replica',
      'data/second-region/object-store/objects/account',
    ]);
  });

  it('is not there in dev, whose data has keys of Azure', () => {
    expect(ofSecond(inDev).filter(({ type }) => type.startsWith('azurerm_key_vault'))).toEqual([]);
    for (const { is } of ofSecond(inDev)) expect(is).not.toHaveProperty('customer_managed_key');
  });
});

describe('objects', () => {
  const account = (path: string) => inProd.one('azurerm_storage_account', path);
  const from = account('data/object-store/objects/account');
  const to = account('second-region/object-store/objects/account');

  it('are in an account there that nobody outside reaches, with the rules and versions that they have in the first', () => {
    expect(to).toMatchObject({
      location: SECOND,
      account_replication_type: 'LRS',
      shared_access_key_enabled: false,
      public_network_access_enabled: false,
      blob_properties: from['blob_properties'],
      lifecycle: { prevent_destroy: true },
    });
    expect(from['blob_properties']).toMatchObject({ versioning_enabled: true, change_feed_enabled: true });
    const rules = (path: string) => inProd.one('azurerm_storage_management_policy', path)['rule'];
    expect(rules('second-region/object-store/lifecycle')).toEqual(rules('data/object-store/lifecycle'));
    expect(inOne.one('azurerm_storage_account', 'objects/account')['blob_properties']).not.toHaveProperty(
      'change_feed_enabled',
    );
  });

  it('are copied there by Azure, those that are there before, too', () => {
    expect(inProd.of('azurerm_storage_object_replication')).toEqual([
      expect.objectContaining({
        source_storage_account_id: expect.stringContaining('object-store_objects_account'),
        destination_storage_account_id: expect.stringContaining('second-region_object-store_objects_account'),
        rules: [
          {
            source_container_name: 'objects',
            destination_container_name: 'objects',
            copy_blobs_created_after: 'Everything',
          },
        ],
      }),
    ]);
  });

  it('are copied before all else, which Azure promises for a quarter of an hour: said where they go, then where they come from', () => {
    const [there, here] = ['there', 'here'].map((part) =>
      inProd.one('azurerm_resource_group_template_deployment', `replication/${part}`),
    );
    for (const made of [there!, here!]) {
      const { parameters, resources } = JSON.parse(made['template_content'] as string) as {
        readonly parameters: Attributes;
        readonly resources: readonly { readonly type: string; readonly properties: Attributes }[];
      };
      expect(resources).toHaveLength(1);
      expect(resources[0]).toMatchObject({
        type: 'Microsoft.Storage/storageAccounts/objectReplicationPolicies',
        properties: { priorityReplication: { enabled: true }, metrics: { enabled: true } },
      });
      const asked = [...JSON.stringify(resources).matchAll(/parameters\('(\w+)'\)/g)].map(([, name]) => name);
      expect(new Set(asked)).toEqual(new Set(Object.keys(parameters)));
      for (const name of asked) expect(made['parameters_content']).toContain(`"${name}" = {"value"`);
    }
    expect(there!['parameters_content']).toContain('destination_object_replication_id');
    expect(here!['parameters_content']).toContain('source_object_replication_id');
    expect(here!['depends_on']).toEqual([expect.stringContaining('replication_there')]);
  });
});

describe('beside the data', () => {
  it('who did what is written to both regions, and is unchangeable in both', () => {
    const trails = inProd
      .found('azurerm_monitor_diagnostic_setting')
      .filter(({ path }) => path.endsWith('audit-store/trail'))
      .map(({ is }) => is);
    expect(trails.map(({ name }) => name)).toEqual([
      `tribo-gent-prod-${FIRST}-audit`,
      `tribo-gent-prod-${SECOND}-audit`,
    ]);
    expect(trails[0]!['enabled_log']).toEqual(trails[1]!['enabled_log']);
    expect(new Set(trails.map((trail) => trail['storage_account_id'])).size).toBe(2);
    expect(inProd.of('azurerm_storage_container_immutability_policy').map(({ locked }) => locked)).toEqual([
      true,
      true,
    ]);
  });

  it.each([
    ['containers', inProd],
    ['a cluster', synthesized(inCluster(prod), 'azure')],
  ])('images are in both regions, and are fetched in either: %s', (_, site) => {
    expect(site.one('azurerm_container_registry', 'registry')).toMatchObject({
      sku: 'Premium',
      georeplications: [{ location: SECOND, regional_endpoint_enabled: true, zone_redundancy_enabled: false }],
    });
  });

  it('nothing of streams, devices or secrets is there', () => {
    const types = new Set(ofSecond(inProd).map(({ type }) => type));
    for (const type of ['azurerm_eventhub_namespace', 'azurerm_iothub', 'azurerm_key_vault_secret'])
      expect(types).not.toContain(type);
  });

  it('what is there goes in dev alone, and has the tags of the environment', () => {
    for (const { path, is } of ofSecond(inProd)) {
      if ('tags' in is)
        expect([path, is['tags']]).toEqual([path, expect.objectContaining({ Deployment: 'tribo-gent-prod' })]);
    }
    const holding = (site: Synthesized) =>
      ofSecond(site).filter(({ type }) => /flexible_server$|storage_(account|container)$|key_vault$/.test(type));
    expect(holding(inProd).length).toBeGreaterThan(5);
    for (const { is } of holding(inProd)) expect(is['lifecycle']).toMatchObject({ prevent_destroy: true });
    for (const { is } of holding(inDev)) expect(is['lifecycle']).toMatchObject({ prevent_destroy: false });
  });
});

describe('what is made', () => {
  const prices = loadPrices(join(import.meta.dirname, '../../environments/prices')).azure;

  it.each([false, true])(
    'is what is priced: copies of the database, disks and registries, and no endpoint more, multiAz %s',
    (multiAz) => {
      const environment = changed(prod, { switches: { ...prod.switches, multiAz } });
      const site = synthesized(environment, 'azure');
      const { lines } = planAzure(environment, demandOf(environment), prices);
      const quantity = (item: string) =>
        lines.filter((line) => line.item === item).reduce((sum, line) => sum + line.quantity, 0);
      const servers = site.of('azurerm_postgresql_flexible_server');
      const copies = servers.reduce((sum, server) => sum + ('high_availability' in server ? 2 : 1), 0);
      expect(copies).toBe(multiAz ? 3 : 2);
      expect(quantity('databaseMediumHour')).toBe(copies * HOURS_A_MONTH);
      expect(quantity('databaseStorageGb')).toBe(((servers[0]!['storage_mb'] as number) / 1024) * copies);
      const [registry] = site.of('azurerm_container_registry');
      expect(quantity('registryPremiumMonth')).toBe(1 + (registry!['georeplications'] as readonly unknown[]).length);
      // Nobody asks for a copy, so that there is none more.
      expect(site.found('azurerm_private_endpoint')).toHaveLength(inOne.found('azurerm_private_endpoint').length);
    },
  );
});

describe('when the second region becomes the first', () => {
  const [first, second] = prod.regions;
  const environment = environmentSchema.parse({
    ...prod,
    regions: [
      { ...first!, azure: SECOND },
      { ...second!, azure: FIRST, range: prod.network.range },
    ],
    network: { range: second!.range! },
  });
  const turned = synthesized(environment, 'azure');

  it('the environment is valid, with the ranges turned, too', () => {
    expect(environmentProblems(environment)).toEqual([]);
  });

  it('each copy has the name, the group and all else that it is to have then', () => {
    /** What is between the regions, or of the copy as one. */
    const between = [
      'azurerm_virtual_network_peering',
      'azurerm_storage_object_replication',
      'azurerm_resource_group_template_deployment',
    ];
    const copies = ofSecond(inProd).filter(
      ({ type, path }) => !between.includes(type) && !/database-known-there|copy-known-here/.test(path),
    );
    expect(copies.length).toBeGreaterThan(25);
    const own = turned.resources.filter(({ path }) => !SECOND_PATH.test(path));
    for (const { type, path, is } of copies) {
      const known = Object.entries(is).filter(
        ([key, value]) => !OF_TERRAFORM.has(key) && !JSON.stringify(value).includes('${'),
      );
      const equals = own.filter(
        (each) => each.type === type && known.every(([key, value]) => isSame(each.is[key], value)),
      );
      expect([path, equals.length > 0]).toEqual([path, true]);
    }
  });

  it('nothing else is in the way of what is made there: no name of the subscription or of all the world is the first one’s', () => {
    const names = (site: Synthesized) =>
      new Set(
        site.resources
          .filter(({ type, path }) => OF_SUBSCRIPTION.has(type) && !SECOND_PATH.test(path))
          .map(({ type, is }) => `${type} ${String(is['name'])}`),
      );
    const taken = names(inProd);
    expect(taken.size).toBeGreaterThan(20);
    expect([...names(turned)].filter((name) => taken.has(name))).toEqual([]);
  });

  it('without a second region nothing is called by its region', () => {
    expect(inOne.one('azurerm_resource_group', 'data/resource-group')['name']).toBe('tribo-gent-prod-data');
    expect(inProd.one('azurerm_resource_group', 'data/resource-group')['name']).toBe(`tribo-gent-prod-${FIRST}-data`);
    expect(inProd.one('azurerm_resource_group', 'data/second-group/resource-group')).toMatchObject({
      name: `tribo-gent-prod-${SECOND}-data`,
      location: SECOND,
    });
    const [budget] = inProd.of('azurerm_consumption_budget_subscription');
    expect(budget).toMatchObject({ filter: { tag: [{ name: 'Deployment', values: ['tribo-gent-prod'] }] } });
  });
});

/** What Terraform itself is told of a resource; a copy is made as one, and grows where it is. */
const OF_TERRAFORM = new Set(['//', 'lifecycle', 'depends_on', 'create_mode']);
/** Called by one name in the subscription, in its directory or in all the world. */
const OF_SUBSCRIPTION = new Set([
  ...['azurerm_resource_group', 'azurerm_role_definition', 'azurerm_consumption_budget_subscription'],
  ...['azurerm_container_registry', 'azurerm_email_communication_service', 'azurerm_eventhub_namespace'],
  ...['azurerm_iothub', 'azurerm_key_vault', 'azurerm_postgresql_flexible_server', 'azurerm_storage_account'],
  'azurerm_servicebus_namespace',
]);

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function withoutComments(is: Attributes): Attributes {
  return Object.fromEntries(Object.entries(is).filter(([key]) => key !== '//'));
}
