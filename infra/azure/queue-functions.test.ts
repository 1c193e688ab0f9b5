import { describe, expect, it } from '@jest/globals';
import { shipped, synthesized, type Attributes } from '../testing/synthesized.ts';

const inProd = synthesized(shipped('bergen.prod'), 'azure');
const inDev = synthesized(shipped('bergen.dev'), 'azure');

const [app] = inProd.of('azurerm_function_app_flex_consumption');
const ofIdentity = (attribute: string) =>
  expect.stringMatching(
    new RegExp(String.raw`^\$\{azurerm_user_assigned_identity\.functions_identity_\w+\.${attribute}\}$`),
  );
const toAccount = (attribute: string) =>
  expect.stringMatching(new RegExp(String.raw`azurerm_storage_account\.functions_storage_account_\w+\.${attribute}`));

describe('the function', () => {
  it('is run for what comes, on Node.js 22, within bounds, and is nothing between', () => {
    expect(inProd.of('azurerm_function_app_flex_consumption')).toHaveLength(1);
    expect(app).toMatchObject({
      ...{ runtime_name: 'node', runtime_version: '22', instance_memory_in_mb: 512, maximum_instance_count: 40 },
    });
    expect(app).not.toHaveProperty('always_ready');
    expect(inProd.of('azurerm_service_plan')).toEqual([expect.objectContaining({ sku_name: 'FC1', os_type: 'Linux' })]);
  });

  it('comes to everything as an identity of its own, and no key or password is anywhere', () => {
    expect(app).toMatchObject({
      identity: { type: 'UserAssigned', identity_ids: [ofIdentity('id')] },
      storage_authentication_type: 'UserAssignedIdentity',
      storage_user_assigned_identity_id: ofIdentity('id'),
      webdeploy_publish_basic_authentication_enabled: false,
    });
    expect(app).not.toHaveProperty('storage_access_key');
    expect(app).not.toHaveProperty('zip_deploy_file');
    expect(JSON.stringify(app)).not.toMatch(/AccountKey|SharedAccess|connection_string/i);
  });

  it('is told the queue, the event hub behind the device gateway and the place of what it reads', () => {
    expect(app!['app_settings']).toEqual({
      AzureWebJobsStorage: '',
      AzureWebJobsStorage__accountName: toAccount('name'),
      ...{ AzureWebJobsStorage__credential: 'managedidentity', AzureWebJobsStorage__clientId: ofIdentity('client_id') },
      TRIBO_QUEUE__fullyQualifiedNamespace: expect.stringMatching(
        /azurerm_servicebus_namespace\.\S+\.servicebus\.windows\.net$/,
      ),
      ...{ TRIBO_QUEUE__credential: 'managedidentity', TRIBO_QUEUE__clientId: ofIdentity('client_id') },
      ...{ TRIBO_QUEUE_NAME: 'sensor-data', AZURE_CLIENT_ID: ofIdentity('client_id') },
      TRIBO_DEVICE_NAMESPACE: expect.stringMatching(/eventhub_namespace\S+\.servicebus\.windows\.net$/i),
      ...{ TRIBO_DEVICE_HUB: 'devices', TRIBO_TENANT: 'vann', TRIBO_SITE: 'bergen' },
    });
  });

  it('may receive from the queue, send to that event hub, keep what its runtime keeps in an account of its own, and no more', () => {
    const rights = inProd
      .found('azurerm_role_assignment')
      .filter(({ is }) => (is['principal_id'] as string).includes('functions_identity'))
      .map(({ is }) => [is['role_definition_name'], is['scope']]);
    expect(Object.fromEntries(rights)).toEqual({
      'Storage Blob Data Owner': toAccount('id'),
      'Azure Service Bus Data Receiver': expect.stringMatching(/azurerm_servicebus_queue\.sensor-data_queue_\w+\.id/),
      'Azure Event Hubs Data Sender': expect.stringMatching(/azurerm_eventhub\w*event-stream_devices/),
    });
    expect(rights).toHaveLength(3);
  });

  it('is in a subnet of its own, and all that it says goes through the network', () => {
    expect(app).toMatchObject({
      virtual_network_subnet_id: expect.stringContaining('azurerm_subnetnetwork_functions'),
      site_config: { vnet_route_all_enabled: true },
    });
  });

  it('is shut to all, but for packages from the addresses that whoever deploys names, over TLS', () => {
    expect(app).toMatchObject({
      public_network_access_enabled: '${length(var.deployer_addresses) > 0}',
      https_only: true,
      site_config: {
        ...{ ip_restriction_default_action: 'Deny', scm_ip_restriction_default_action: 'Deny' },
        ...{ minimum_tls_version: '1.2', scm_minimum_tls_version: '1.2' },
        dynamic: { scm_ip_restriction: { for_each: '${toset(var.deployer_addresses)}', content: { action: 'Allow' } } },
      },
    });
    expect(inProd.json.platform).toMatchObject({ variable: { deployer_addresses: { default: [] } } });
    expect(inProd.json.platform.output!['function_app']!.value).toMatch(/azurerm_function_app_flex_consumption/);
  });

  it('has its runtime’s account closed to every key and network, which goes with the stack', () => {
    for (const site of [inProd, inDev])
      expect(site.one('azurerm_storage_account', 'functions/storage/account')).toMatchObject({
        ...{ shared_access_key_enabled: false, public_network_access_enabled: false },
        ...{ allow_nested_items_to_be_public: false, lifecycle: { prevent_destroy: false } },
      });
  });

  it('writes a log', () => {
    expect(inProd.one('azurerm_monitor_diagnostic_setting', 'functions/logs')).toMatchObject({
      enabled_log: [{ category: 'FunctionAppLogs' }],
    });
  });
});

describe('the queue of readings', () => {
  it('opens to no key, by TLS alone', () => {
    expect(inProd.of('azurerm_servicebus_namespace')).toEqual([
      expect.objectContaining({ sku: 'Basic', local_auth_enabled: false, minimum_tls_version: '1.2' }),
    ]);
  });

  it('keeps what could not be handed on, or was not in two weeks, among its dead letters', () => {
    expect(inProd.of('azurerm_servicebus_queue')).toEqual([
      expect.objectContaining({
        ...{ name: 'sensor-data', max_delivery_count: 5, lock_duration: 'PT5M' },
        ...{ default_message_ttl: 'P14D', dead_lettering_on_message_expiration: true },
      }),
    ]);
  });

  it('calls operators for the first dead letter, and where readings wait', () => {
    const alert = (part: string) => {
      const { criteria, action } = inProd.one('azurerm_monitor_metric_alert', `alarms/${part}`);
      expect(action).toHaveLength(1);
      const [{ metric_name: metric, threshold, operator, dimension }] = criteria as readonly [Attributes];
      expect(dimension).toEqual([{ name: 'EntityName', operator: 'Include', values: ['sensor-data'] }]);
      return [metric, operator, threshold];
    };
    expect(alert('sensor-data-failed')).toEqual(['DeadletteredMessages', 'GreaterThan', 0]);
    expect(alert('sensor-data-waits')).toEqual(['ActiveMessages', 'GreaterThan', 100]);
  });
});
