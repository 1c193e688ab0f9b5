import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { columnsOf, type PartKind } from '../../adapters/history-parts.ts';
import { rawObjects } from '../../core/archive/raw-object.ts';
import { sampleEvent } from '../../core/contracts/sample-event.ts';
import { planAzure } from '../../core/decision/azure-plan.ts';
import { demandOf, HOURS_A_MONTH } from '../../core/decision/demand.ts';
import { loadPrices } from '../../services/shared/environments/environment-files.ts';
import { changed, notMade, shipped, synthesized, type Attributes, type Synthesized } from '../testing/synthesized.ts';
import { withSecondRegion, withWarehouse } from '../testing/variations.ts';
import { HISTORY_TABLES, RAW_TABLE } from '../warehouse-tables.ts';
import { warehouseSql } from './warehouse-sql.ts';

const SUBSCRIPTION = '00000000-0000-4000-8000-000000000001';
const PRICES = loadPrices(join(import.meta.dirname, '../../environments/prices'));
const without = changed(shipped('gent.prod'), { accounts: { azure: SUBSCRIPTION } });
const prod = withWarehouse(without);
const inProd = synthesized(prod, 'azure');
const inDev = synthesized(withWarehouse(shipped('gent.dev')), 'azure');
const withoutIt = synthesized(without, 'azure');
const workspaceOf = (site: Synthesized) => site.one('azurerm_synapse_workspace', 'warehouse/workspace');
const sqlOf = (site: Synthesized) => site.json.data.output!['history_sql']!.value as string;
const sql = sqlOf(inProd);

describe('the warehouse', () => {
  it('is made where the environment asks for it alone, with what of Azure it takes', () => {
    expect(notMade('azure', prod)).toEqual([]);
    expect(withoutIt.resources.filter(({ type, path }) => /synapse/.test(type) || /warehouse/.test(path))).toEqual([]);
    expect(withoutIt.json.data.output ?? {}).not.toHaveProperty('history_sql');
    const registered = (site: Synthesized) =>
      site.json.data.provider['azurerm']![0]!['resource_providers_to_register'] as readonly string[];
    for (const provider of ['Microsoft.Synapse', 'Microsoft.Sql']) {
      expect(registered(inProd)).toContain(provider);
      expect(registered(withoutIt)).not.toContain(provider);
    }
  });

  it.each([
    ['prod', inProd],
    ['dev', inDev],
  ])('in %s lets in people of the directory alone, from within the network alone, and nothing out of it', (_, site) => {
    const workspace = workspaceOf(site);
    expect(workspace).toMatchObject({
      azuread_authentication_only: true,
      public_network_access_enabled: false,
      managed_virtual_network_enabled: true,
      data_exfiltration_protection_enabled: true,
      linking_allowed_for_aad_tenant_ids: ['${data.azurerm_client_config.who.tenant_id}'],
      identity: { type: 'SystemAssigned' },
    });
    for (const password of ['sql_administrator_login', 'sql_administrator_login_password'])
      expect(workspace).not.toHaveProperty(password);
    expect(site.resources.filter(({ type }) => type === 'azurerm_synapse_firewall_rule')).toEqual([]);
  });

  it('is made anew by no plan for what Azure calls an administrator without a password', () => {
    expect((workspaceOf(inProd)['lifecycle'] as Attributes)['ignore_changes']).toEqual([
      'sql_administrator_login',
      'tags',
    ]);
  });

  it('cannot be destroyed but in dev', () => {
    for (const [site, isProtected] of [
      [inProd, true],
      [inDev, false],
    ] as const)
      for (const one of [
        workspaceOf(site),
        site.one('azurerm_storage_account', 'warehouse/files/account'),
        site.one('azurerm_storage_container', 'warehouse/files/workspace'),
      ])
        expect(one['lifecycle']).toMatchObject({ prevent_destroy: isProtected });
  });

  it('is encrypted with the key of the site outside dev, by an identity that a closed vault lets in', () => {
    const { customer_managed_key: key } = workspaceOf(inProd) as { readonly customer_managed_key: Attributes };
    expect(key).toEqual({ key_name: 'data', key_versionless_id: expect.stringContaining('versionless_id') });
    expect(inProd.of('azurerm_synapse_workspace_key')).toEqual([
      expect.objectContaining({
        active: true,
        customer_managed_key_name: 'data',
        customer_managed_key_versionless_id: key['key_versionless_id'],
        depends_on: [expect.stringContaining('azurerm_role_assignment.warehouse_uses-key')],
      }),
    ]);
    for (const [type, path] of [
      ['azurerm_private_endpoint', 'warehouse/endpoint'],
      ['azurerm_monitor_diagnostic_setting', 'warehouse/logs'],
      ['azurerm_synapse_workspace_extended_auditing_policy', 'warehouse/auditing'],
    ] as const)
      expect(inProd.one(type, path)['depends_on']).toContainEqual(
        expect.stringContaining('azurerm_synapse_workspace_key'),
      );
    expect(workspaceOf(inDev)).not.toHaveProperty('customer_managed_key');
    expect(inDev.resources.filter(({ type }) => type === 'azurerm_synapse_workspace_key')).toEqual([]);
  });

  it('has a file system that holds nothing, closed as every account is', () => {
    const account = inProd.one('azurerm_storage_account', 'warehouse/files/account');
    expect(account).toMatchObject({
      is_hns_enabled: true,
      public_network_access_enabled: false,
      shared_access_key_enabled: false,
      blob_properties: { versioning_enabled: false },
      customer_managed_key: expect.anything(),
    });
    expect(workspaceOf(inProd)).toMatchObject({
      storage_data_lake_gen2_filesystem_id: expect.stringMatching(
        /^https:\/\/\$\{azurerm_storage_account\.warehouse_files_\w+\.name\}\.dfs\.core\.windows\.net\/workspace$/,
      ),
      depends_on: [expect.stringContaining('azurerm_storage_container.warehouse_files')],
    });
    // No other account is another by it.
    for (const path of ['object-store/objects/account', 'checkpoints/account/account', 'audit-store/audit/account'])
      if (withoutIt.found('azurerm_storage_account').some((each) => each.path.endsWith(path)))
        expect(inProd.one('azurerm_storage_account', path)).toEqual(withoutIt.one('azurerm_storage_account', path));
  });

  it('reads the container of objects by its own right, which is all that it has beside its key', () => {
    const { principal_id: principal } = inProd.one('azurerm_role_assignment', 'warehouse/reads-objects');
    expect(principal).toMatch(
      /^\$\{azurerm_synapse_workspace\.warehouse_workspace_\w+\.identity\[0\]\.principal_id\}$/,
    );
    const given = inProd.of('azurerm_role_assignment').filter((each) => each['principal_id'] === principal);
    expect(given.map(({ scope, role_definition_name: role }) => ({ scope, role }))).toEqual([
      {
        scope: expect.stringMatching(/^\$\{azurerm_storage_container\.object-store_objects_\w+\.id\}$/) as unknown,
        role: 'Storage Blob Data Reader',
      },
      {
        scope: expect.stringMatching(/azurerm_key_vault_keykey_\w+resource_versionless_id\}$/) as unknown,
        role: 'Key Vault Crypto Service Encryption User',
      },
    ]);
    // By which a closed account lets in those of Azure's services that have a role on it.
    expect(inProd.one('azurerm_storage_account', 'object-store/objects/account')).toMatchObject({
      public_network_access_enabled: false,
      network_rules: { default_action: 'Deny', bypass: ['AzureServices'] },
    });
  });

  it('is asked by its endpoint in the network, by whoever is connected to that', () => {
    expect(inProd.one('azurerm_private_endpoint', 'warehouse/endpoint')).toMatchObject({
      private_service_connection: {
        private_connection_resource_id: expect.stringContaining('azurerm_synapse_workspace'),
        subresource_names: ['SqlOnDemand'],
      },
    });
    const zones = (site: Synthesized) => site.of('azurerm_private_dns_zone').map(({ name }) => name);
    expect(zones(inProd)).toContain('privatelink.sql.azuresynapse.net');
    expect(zones(withoutIt)).not.toContain('privatelink.sql.azuresynapse.net');
    const opened = (site: Synthesized) =>
      (site.one('azurerm_network_security_group', 'endpoints-rules')['security_rule'] as readonly Attributes[]).filter(
        (rule) => rule['destination_port_range'] === '1433',
      );
    expect(opened(inProd)).toEqual([
      expect.objectContaining({ direction: 'Inbound', access: 'Allow', source_address_prefix: 'VirtualNetwork' }),
    ]);
    expect(opened(withoutIt)).toEqual([]);
    expect(inProd.json.data.output!['history_server']!.value).toMatch(
      /^\$\{azurerm_synapse_workspace\.[^}]+\.name\}-ondemand\.sql\.azuresynapse\.net$/,
    );
  });

  it('has the endpoints that are priced', () => {
    const { lines } = planAzure(prod, demandOf(prod), PRICES.azure);
    const hours = lines.filter(({ item }) => item === 'endpointHour').reduce((sum, line) => sum + line.quantity, 0);
    // Those of the functions and of models are named as not priced (docs/environments.md).
    const endpoints = inProd.found('azurerm_private_endpoint').filter(({ path }) => !path.includes('/functions/'));
    expect(hours / HOURS_A_MONTH).toBe(endpoints.length);
  });

  it('writes who asked what into the logs, and calls somebody for queries that read a tenth of a month', () => {
    const logs = inProd.one('azurerm_monitor_diagnostic_setting', 'warehouse/logs');
    for (const category of ['BuiltinSqlReqsEnded', 'SQLSecurityAuditEvents'])
      expect(logs['enabled_log']).toContainEqual({ category });
    expect(inProd.of('azurerm_synapse_workspace_extended_auditing_policy')).toEqual([
      expect.objectContaining({ log_monitoring_enabled: true }),
    ]);
    const pricedTb = planAzure(prod, demandOf(prod), PRICES.azure).lines.find(
      ({ item }) => item === 'queryTb',
    )!.quantity;
    expect(inProd.one('azurerm_monitor_metric_alert', 'alarms/history-read')).toMatchObject({
      scopes: [expect.stringContaining('azurerm_synapse_workspace')],
      window_size: 'PT6H',
      criteria: [
        {
          metric_namespace: 'Microsoft.Synapse/workspaces',
          metric_name: 'BuiltinSqlPoolDataProcessedBytes',
          aggregation: 'Total',
          operator: 'GreaterThan',
          threshold: (pricedTb * 1e12) / 10,
        },
      ],
      action: [{ action_group_id: expect.anything() as unknown }],
    });
    expect(withoutIt.found('azurerm_monitor_metric_alert').map(({ path }) => path)).not.toContainEqual(
      expect.stringContaining('history-read'),
    );
  });

  it('stands in the first region of two', () => {
    const inTwo = synthesized(withSecondRegion(prod), 'azure');
    expect(notMade('azure', withSecondRegion(prod))).toEqual([]);
    expect(workspaceOf(inTwo)).toMatchObject({ location: 'westeurope' });
    expect(inTwo.of('azurerm_synapse_workspace')).toHaveLength(1);
  });
});

describe('the file of its tables', () => {
  /** What `sqlcmd` sends at a time. */
  const batches = sql.split(/^GO\n/m).map((batch) => batch.trim());

  it.each(Object.entries(HISTORY_TABLES))(
    'has %s with the columns of its files, as the pool reads them',
    (kind, table) => {
      // By the table of Microsoft's that says how types of Parquet are read.
      const types: Readonly<Record<string, string>> = {
        ...{ VARCHAR: 'varchar(8000)', UTINYINT: 'tinyint', INTEGER: 'int', BIGINT: 'bigint', DOUBLE: 'float' },
      };
      const columns = columnsOf(kind as PartKind).map(([name, type]) => `  [${name}] ${types[type]}`);
      expect(batches).toContain(
        `CREATE EXTERNAL TABLE [history].[${table.name}] (\n${columns.join(',\n')}\n)` +
          ` WITH (LOCATION = '${table.name}/*.parquet', DATA_SOURCE = [exports], FILE_FORMAT = [parquet]);`,
      );
    },
  );

  it('has a view of the raw archive with each key of its lines, and the folders that its objects are in', () => {
    const view = batches.find((batch) => batch.startsWith('CREATE OR ALTER VIEW'))!;
    const [object] = rawObjects('metrics', [
      { ...sampleEvent('e-1'), acceptedAtMs: 1, imported: false, source: 'gent', epoch: 1, seq: 1, cumulativeItems: 1 },
    ]);
    // Its path below `raw/`, each part of which the view has a wildcard for.
    const folders = object!.key.split('/').length - 2;
    expect(view).toContain(`BULK '${'*/'.repeat(folders)}*', DATA_SOURCE = 'raw'`);
    expect([...view.matchAll(/filepath\((\d)\) AS \[(\w+)\]/g)].map(([, number, name]) => [number, name])).toEqual([
      ...[
        ['1', 'tenant'],
        ['2', 'site'],
        ['3', 'day'],
        ['4', 'hour'],
      ],
    ]);
    for (const column of Object.keys(RAW_TABLE.columns)) expect(view).toMatch(new RegExp(`^ {2}\\[${column}\\] `, 'm'));
    expect(view).toContain('[body] nvarchar(max) AS JSON');
    expect(view).toContain("DATA_COMPRESSION = 'GZIP'");
  });

  it('reads two folders of the container alone, by the right of the workspace', () => {
    const account = '${azurerm_storage_account.';
    const sources = [
      ...sql.matchAll(/CREATE EXTERNAL DATA SOURCE \[(\w+)\] WITH \(LOCATION = '([^']+)', CREDENTIAL = \[(\w+)\]\)/g),
    ];
    expect(sources.map(([, name, location, credential]) => [name, location, credential])).toEqual([
      ['exports', expect.stringContaining(account), 'objects'],
      ['raw', expect.stringContaining(account), 'objects'],
    ]);
    expect(sources.map(([, , location]) => location!.replace(/^https:\/\/\$\{[^}]+\}/, ''))).toEqual([
      '.blob.core.windows.net/objects/history',
      '.blob.core.windows.net/objects/raw',
    ]);
    expect(sql).toContain("CREATE DATABASE SCOPED CREDENTIAL [objects] WITH IDENTITY = 'Managed Identity';");
    expect(sql).not.toMatch(/SECRET/);
  });

  it('lets its role read the tables, and gives it to nobody', () => {
    expect(batches.filter((batch) => batch.startsWith('GRANT'))).toEqual([
      'GRANT SELECT ON SCHEMA::[history] TO [history_reader];',
      'GRANT REFERENCES ON DATABASE SCOPED CREDENTIAL::[objects] TO [history_reader];',
      'GRANT ADMINISTER DATABASE BULK OPERATIONS TO [history_reader];',
    ]);
    expect(sql).not.toMatch(/ADD MEMBER|CREATE (LOGIN|USER)|ADMINISTER BULK/);
  });

  it('bounds what is read to whole terabytes, no fewer than are priced, and to one where that is less', () => {
    const boundsOf = (text: string) =>
      [...text.matchAll(/sp_set_data_processed_limit @type = N'(\w+)', @limit_tb = (\S+);/g)].map((bound) =>
        bound.slice(1),
      );
    expect(boundsOf(sql)).toEqual([
      ['daily', '1'],
      ['monthly', '1'],
    ]);
    const more = warehouseSql({
      containerUrl: 'https://a.blob.core.windows.net/objects',
      limitTb: { daily: 2, monthly: 12 },
    });
    expect(boundsOf(more)).toEqual([
      ['daily', '2'],
      ['monthly', '12'],
    ]);
  });

  it('may be run again: what it makes it has looked for, or makes anew', () => {
    for (const batch of batches.filter((each) => /\bCREATE\b/.test(each)))
      expect(batch).toMatch(/^(IF |CREATE OR ALTER |CREATE EXTERNAL TABLE )/);
    for (const { name } of Object.values(HISTORY_TABLES)) {
      const drop = batches.indexOf(
        `IF OBJECT_ID(N'[history].[${name}]') IS NOT NULL DROP EXTERNAL TABLE [history].[${name}];`,
      );
      expect(drop).toBeGreaterThan(0);
      expect(batches[drop + 1]).toContain(`CREATE EXTERNAL TABLE [history].[${name}] (`);
    }
  });

  it('has nothing that Terraform or sqlcmd would read as their own', () => {
    expect(sql.replaceAll(/\$\{azurerm_storage_account\.[\w.-]+\}/g, '')).not.toMatch(/\$[{(]|%\{/);
  });
});
