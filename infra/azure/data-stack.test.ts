import { describe, expect, it } from '@jest/globals';
import { changed, shipped, synthesized, type Attributes } from '../testing/synthesized.ts';

const prod = shipped('bergen.prod');
const inProd = synthesized(prod, 'azure');
const inDev = synthesized(shipped('bergen.dev'), 'azure');
const inStaging = synthesized(changed(shipped('bergen.dev'), { stage: 'staging' }), 'azure');

describe('streams', () => {
  it('are in a namespace that no key opens and no network reaches, with the throughput units of the plan', () => {
    expect(inProd.of('azurerm_eventhub_namespace')).toEqual([
      expect.objectContaining({
        sku: 'Standard',
        capacity: 1,
        auto_inflate_enabled: false,
        local_authentication_enabled: false,
        public_network_access_enabled: false,
        minimum_tls_version: '1.2',
        network_rulesets: [
          expect.objectContaining({
            default_action: 'Deny',
            public_network_access_enabled: false,
            trusted_service_access_enabled: true,
          }),
        ],
      }),
    ]);
  });

  it('are those of the platform and of the devices, kept as long as an outage may last', () => {
    const names = ['metrics', 'raw-waveform', 'features', 'windows', 'inference-results', 'alarms', 'devices'];
    const hubs = inProd.of('azurerm_eventhub');
    expect(new Set(hubs.map(({ name }) => name))).toEqual(new Set(names));
    for (const hub of hubs) {
      expect(hub).toMatchObject({ message_retention: 3, partition_count: 4 });
      expect(hub).not.toHaveProperty('capture_description');
    }
    expect(new Set(inDev.of('azurerm_eventhub').map((hub) => hub['partition_count']))).toEqual(new Set([1]));
  });

  it('have the units and partitions that their load wants', () => {
    const workload = { ...prod.workload, machines: 2_000, messageIntervalS: 1, bytesPerMessage: 300 };
    const site = synthesized(changed(prod, { workload }), 'azure');
    // 2,000 messages a second, twice that at the peak, a thousand a unit; of the devices and of the platform.
    expect(site.of('azurerm_eventhub_namespace')[0]!['capacity']).toBe(9);
    expect(site.one('azurerm_eventhub', 'event-stream/metrics')['partition_count']).toBe(4);
  });

  it('have a consumer group for each group of the platform, that of the raw archive where it is kept', () => {
    const groups = (site: typeof inProd) =>
      site
        .found('azurerm_eventhub_consumer_group')
        .map(({ path }) => path.split('/').at(-1))
        .toSorted();
    const always = [
      ...['features-alerts', 'features-ml', 'features-store', 'inference-results-alerts', 'inference-results-store'],
      ...['metrics-compute', 'metrics-store', 'raw-waveform-compute', 'raw-waveform-store'],
      ...['windows-alerts', 'windows-store'],
    ];
    expect(groups(inProd)).toEqual(always);
    const archiving = changed(prod, { switches: { ...prod.switches, rawArchive: true } });
    expect(groups(synthesized(archiving, 'azure'))).toEqual(
      [...always, 'metrics-raw-archive', 'raw-waveform-raw-archive'].toSorted(),
    );
  });
});

describe('the hub of the devices', () => {
  it('has the tier and the units of the plan, and takes no key of its own', () => {
    expect(inProd.of('azurerm_iothub')).toEqual([
      expect.objectContaining({
        // 6 messages a second and 720 waveforms of 32 times 4 KB a day: 541,000 of 400,000 a unit.
        sku: { name: 'S1', capacity: 2 },
        local_authentication_enabled: false,
        identity: { type: 'SystemAssigned' },
        cloud_to_device: expect.objectContaining({ default_ttl: 'P2D', max_delivery_count: 10 }),
      }),
    ]);
  });

  it('says what it keeps of the fate of commands, in spellings that are read back as they are, so that no plan takes it away', () => {
    const feedback = [{ time_to_live: 'PT1H', lock_duration: 'PT30S', max_delivery_count: 10 }];
    expect(inProd.of('azurerm_iothub')).toEqual([
      expect.objectContaining({ cloud_to_device: expect.objectContaining({ feedback }) }),
    ]);
  });
});

describe('the database', () => {
  const server = (site: typeof inProd) => site.one('azurerm_postgresql_flexible_server', 'server');

  it('is private, encrypted with the key of the site, in several zones and restorable in prod', () => {
    expect(server(inProd)).toMatchObject({
      public_network_access_enabled: false,
      delegated_subnet_id: expect.stringContaining('network_data'),
      private_dns_zone_id: expect.stringContaining('database_database-zone'),
      sku_name: 'GP_Standard_D2s_v3',
      version: '17',
      backup_retention_days: 30,
      geo_redundant_backup_enabled: false,
      auto_grow_enabled: true,
      zone: '1',
      high_availability: { mode: 'ZoneRedundant', standby_availability_zone: '2' },
      customer_managed_key: { key_vault_key_id: expect.stringMatching(/azurerm_key_vault_key.*versionless_id/) },
      lifecycle: { prevent_destroy: true },
    });
  });

  it('can be deleted in dev alone, where it is as small as it is priced', () => {
    expect(server(inDev)).toMatchObject({
      sku_name: 'B_Standard_B2s',
      storage_mb: 32_768,
      lifecycle: { prevent_destroy: false },
    });
    for (const attribute of ['high_availability', 'zone', 'customer_managed_key'])
      expect(server(inDev)).not.toHaveProperty(attribute);
    const locks = (site: typeof inProd) => site.resources.filter(({ type }) => type === 'azurerm_management_lock');
    expect(locks(inDev)).toEqual([]);
    for (const site of [inStaging, inProd])
      expect(locks(site).map(({ is }) => is['lock_level'])).toEqual(['CanNotDelete', 'CanNotDelete']);
  });

  it('has a disk of a size that Azure has, which grows by itself and is not taken back', () => {
    const readingsOf = (machines: number) =>
      server(synthesized(changed(prod, { workload: { ...prod.workload, machines } }), 'azure'));
    expect([60, 600].map((machines) => readingsOf(machines)['storage_mb'])).toEqual([524_288, 8_388_608]);
    expect((server(inProd)['lifecycle'] as Attributes)['ignore_changes']).toEqual([
      'storage_mb',
      'zone',
      'high_availability[0].standby_availability_zone',
    ]);
  });

  it('takes as many connections as the services of a plan with many waveforms may have, which by itself it would not', () => {
    const workload = { ...prod.workload, machines: 600, waveforms: { perMachinePerDay: 86_400, bytes: 32_000 } };
    const settings = synthesized(changed(prod, { workload }), 'azure').of(
      'azurerm_postgresql_flexible_server_configuration',
    );
    expect(settings.filter(({ name }) => name === 'max_connections')).toEqual([
      expect.objectContaining({ value: '2650' }),
    ]);
  });

  it('takes TLS alone, and needs no extension', () => {
    const settings = inProd.of('azurerm_postgresql_flexible_server_configuration');
    expect(Object.fromEntries(settings.map(({ name, value }) => [name as string, value]))).toEqual({
      require_secure_transport: 'on',
      ssl_min_protocol_version: 'TLSv1.2',
      log_min_duration_statement: '1000',
    });
    expect(JSON.stringify(inProd.json)).not.toContain('timescale');
    // One after another: the server takes one change at a time.
    const waits = settings.map((setting) => (setting['depends_on'] as readonly string[] | undefined) ?? []);
    expect(new Set(waits.flat()).size).toBe(settings.length - 1);
  });

  it('has a password that is in no state: ephemeral, and written by attributes that are write-only', () => {
    const password = '${ephemeral.random_password.database_password.result}';
    expect(server(inProd)).toMatchObject({
      administrator_password_wo: password,
      administrator_password_wo_version: 1,
    });
    expect(server(inProd)).not.toHaveProperty('administrator_password');
    const secret = inProd.one('azurerm_key_vault_secret', 'password/secret');
    expect(secret).toMatchObject({ value_wo: password, value_wo_version: 1 });
    expect(secret).not.toHaveProperty('value');
    expect(inProd.resources.filter(({ type }) => type.startsWith('random_'))).toEqual([]);
  });

  it('has a copy each week in a vault apart', () => {
    expect(inProd.of('azurerm_data_protection_backup_policy_postgresql_flexible_server')).toEqual([
      expect.objectContaining({
        backup_repeating_time_intervals: [expect.stringMatching(/^R\/.*\/P1W$/)],
        default_retention_rule: { life_cycle: [{ data_store_type: 'VaultStore', duration: 'P30D' }] },
      }),
    ]);
    expect(inProd.one('azurerm_data_protection_backup_vault', 'vault')).toMatchObject({
      redundancy: 'ZoneRedundant',
      soft_delete: 'On',
      immutability: 'Unlocked',
    });
  });
});

describe('storage accounts', () => {
  const KINDS = ['objects', 'checkpoints', 'audit'];
  const account = (site: typeof inProd, kind: string) => site.one('azurerm_storage_account', `${kind}/account`);

  it.each(KINDS)('%s: nobody outside reaches it, by any way', (kind) => {
    expect(account(inProd, kind)).toMatchObject({
      public_network_access_enabled: false,
      allow_nested_items_to_be_public: false,
      shared_access_key_enabled: false,
      local_user_enabled: false,
      cross_tenant_replication_enabled: false,
      https_traffic_only_enabled: true,
      min_tls_version: 'TLS1_2',
      network_rules: { default_action: 'Deny', bypass: ['AzureServices'] },
    });
  });

  it.each(KINDS)('%s: is encrypted twice, with the key of the site, and in several zones', (kind) => {
    expect(account(inProd, kind)).toMatchObject({
      infrastructure_encryption_enabled: true,
      account_replication_type: 'ZRS',
      customer_managed_key: { key_vault_key_id: expect.stringContaining('versionless_id') },
    });
    expect(account(inDev, kind)).toMatchObject({ account_replication_type: 'LRS' });
  });

  it('have private containers', () => {
    const containers = inProd.of('azurerm_storage_container');
    expect(containers.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['objects', 'checkpoints', 'insights-activity-logs']),
    );
    expect(new Set(containers.map((each) => each['container_access_type']))).toEqual(new Set(['private']));
  });

  it('keep what was overwritten or deleted, but for checkpoints, which are written again and again', () => {
    for (const kind of ['objects', 'audit'])
      expect(account(inProd, kind)['blob_properties']).toMatchObject({
        versioning_enabled: true,
        delete_retention_policy: { days: 30 },
        container_delete_retention_policy: { days: 30 },
      });
    expect(account(inProd, 'checkpoints')['blob_properties']).toEqual({ versioning_enabled: false });
  });

  it('objects: each kind goes to a tier that is read at once after 90 days and goes after its own, old versions too', () => {
    const rule = (name: string, actions: Attributes) => ({
      name,
      enabled: true,
      filters: { blob_types: ['blockBlob'], prefix_match: [`objects/${name}/`] },
      actions,
    });
    const old = { delete_after_days_since_creation: 30 };
    expect(inProd.one('azurerm_storage_management_policy', 'object-store/lifecycle')['rule']).toEqual([
      rule('waveforms', {
        base_blob: {
          tier_to_cold_after_days_since_modification_greater_than: 90,
          delete_after_days_since_modification_greater_than: 730,
        },
        version: old,
      }),
      rule('raw', {
        base_blob: {
          tier_to_cold_after_days_since_modification_greater_than: 90,
          delete_after_days_since_modification_greater_than: 365,
        },
        version: old,
      }),
      rule('parts', { base_blob: { delete_after_days_since_modification_greater_than: 7 }, version: old }),
      rule('models', { version: { delete_after_days_since_creation: 365 } }),
      rule('training', { version: old }),
    ]);
    expect(JSON.stringify(inProd.json)).not.toContain('tier_to_archive');
  });

  it('audit: is only ever added to, never deleted by a rule, and outside dev that is for good', () => {
    const unchanged = (site: typeof inProd) => site.of('azurerm_storage_container_immutability_policy')[0];
    expect(unchanged(inProd)).toMatchObject({
      immutability_period_in_days: 365,
      protected_append_writes_all_enabled: true,
      locked: true,
    });
    expect(unchanged(inDev)).toMatchObject({ locked: false });
    const rules = inProd.found('azurerm_storage_management_policy').filter(({ path }) => path.includes('audit-store'));
    expect(rules).toEqual([]);
    expect(inProd.one('azurerm_monitor_diagnostic_setting', 'audit-store/trail')).toMatchObject({
      target_resource_id: expect.stringMatching(/^\/subscriptions\//),
      enabled_log: expect.arrayContaining([{ category: 'Administrative' }, { category: 'Security' }]),
    });
  });
});

describe('what holds data', () => {
  const HOLDING = [
    ...['azurerm_key_vault', 'azurerm_eventhub_namespace', 'azurerm_eventhub', 'azurerm_iothub'],
    ...['azurerm_postgresql_flexible_server', 'azurerm_postgresql_flexible_server_database'],
    ...['azurerm_storage_account', 'azurerm_storage_container', 'azurerm_data_protection_backup_vault'],
  ];
  // The stack of the platform can be made again, with what it keeps for itself.
  const protections = (site: typeof inProd, type: string) =>
    new Set(
      site
        .found(type)
        .filter(({ stack }) => stack !== 'platform')
        .map(({ is }) => (is['lifecycle'] as Attributes)['prevent_destroy']),
    );

  it.each(HOLDING)('%s is not destroyed by a plan outside dev', (type) => {
    expect([inDev, inStaging, inProd].map((site) => protections(site, type))).toEqual([
      new Set([false]),
      new Set([true]),
      new Set([true]),
    ]);
  });
});
