import { describe, expect, it } from '@jest/globals';
import { shipped, synthesized, type Attributes } from '../testing/synthesized.ts';

const inProd = synthesized(shipped('bergen.prod'), 'azure');
const inDev = synthesized(shipped('bergen.dev'), 'azure');

interface ArmResource {
  readonly type: string;
  readonly name: string;
  readonly identity?: unknown;
  readonly tags?: unknown;
  readonly properties: Attributes;
}

interface ArmTemplate {
  readonly parameters: Attributes;
  readonly resources: readonly ArmResource[];
}

const made = inProd.one('azurerm_resource_group_template_deployment', 'functions/sensor-data-processor');
const template = JSON.parse(made['template_content'] as string) as ArmTemplate;
const app = template.resources.find(({ type }) => type === 'Microsoft.Web/sites')!;
const siteConfig = app.properties['siteConfig'] as Attributes;
const parameters = made['parameters_content'] as string;
/** As it is given to the template. */
function parameter(name: string): string {
  const begin = `"${name}" = {"value" = `;
  expect(parameters).toContain(begin);
  return parameters.slice(parameters.indexOf(begin) + begin.length);
}
const ofIdentity = (attribute: string) =>
  expect.stringMatching(
    new RegExp(String.raw`^azurerm_user_assigned_identity\.functions_identity_\w+\.${attribute}\b`),
  );
const toAccount = (attribute: string) =>
  expect.stringMatching(new RegExp(String.raw`azurerm_storage_account\.functions_storage_account_\w+\.${attribute}`));

describe('the function', () => {
  it('is run for what comes, on Node.js 22, within bounds, and is nothing between', () => {
    expect(app.properties['functionAppConfig']).toMatchObject({
      runtime: { name: 'node', version: '22' },
      scaleAndConcurrency: { instanceMemoryMB: 512, maximumInstanceCount: 40 },
    });
    expect(inProd.of('azurerm_service_plan')).toEqual([expect.objectContaining({ sku_name: 'FC1', os_type: 'Linux' })]);
    expect(parameter('plan')).toMatch(/^azurerm_service_plan\.functions_plan_\w+\.id/);
  });

  it('comes to everything as an identity of its own, and no key or password is anywhere', () => {
    expect(app.identity).toEqual({
      type: 'UserAssigned',
      userAssignedIdentities: { "[parameters('identity')]": {} },
    });
    expect(parameter('identity')).toEqual(ofIdentity('id'));
    expect(app.properties['functionAppConfig']).toMatchObject({
      deployment: {
        storage: {
          value: "[parameters('packages')]",
          authentication: {
            type: 'UserAssignedIdentity',
            userAssignedIdentityResourceId: "[parameters('identity')]",
          },
        },
      },
    });
    const byPassword = template.resources.filter(({ type }) => type.endsWith('/basicPublishingCredentialsPolicies'));
    expect(byPassword.map(({ name, properties }) => [/(\w+)'/.exec(name)![1], properties])).toEqual([
      ['scm', { allow: false }],
      ['ftp', { allow: false }],
    ]);
    expect(parameters + JSON.stringify(template)).not.toMatch(/AccountKey|SharedAccess|connectionString/i);
  });

  it('has each parameter that its template asks for, and the template no other', () => {
    const used = [...JSON.stringify(template.resources).matchAll(/parameters\('(\w+)'\)/g)].map(([, name]) => name!);
    expect(new Set(used)).toEqual(new Set(Object.keys(template.parameters)));
    for (const name of used) parameter(name);
    expect(app.tags).toBe("[parameters('tags')]");
    expect(parameter('tags')).toContain('"Deployment" = "tribo-bergen-prod"');
  });

  it('is told the queue, the event hub behind the device gateway and the place of what it reads', () => {
    expect(settings()).toEqual({
      AzureWebJobsStorage__accountName: toAccount('name'),
      ...{
        AzureWebJobsStorage__credential: '"managedidentity"',
        AzureWebJobsStorage__clientId: ofIdentity('client_id'),
      },
      TRIBO_QUEUE__fullyQualifiedNamespace: expect.stringMatching(
        /azurerm_servicebus_namespace\.\S+\.servicebus\.windows\.net"$/,
      ),
      ...{ TRIBO_QUEUE__credential: '"managedidentity"', TRIBO_QUEUE__clientId: ofIdentity('client_id') },
      ...{ TRIBO_QUEUE_NAME: '"sensor-data"', AZURE_CLIENT_ID: ofIdentity('client_id') },
      TRIBO_DEVICE_NAMESPACE: expect.stringMatching(/eventhub_namespace\S+\.servicebus\.windows\.net"$/i),
      ...{ TRIBO_DEVICE_HUB: '"devices"', TRIBO_TENANT: '"vann"', TRIBO_SITE: '"bergen"' },
    });
  });

  it('opens its runtime’s account by that identity alone: an empty connection string would go before it', () => {
    expect(siteConfig['appSettings']).toBe("[parameters('settings')]");
    expect(Object.keys(settings())).not.toContain('AzureWebJobsStorage');
    // The provider's own resource puts one there, and is never done with it.
    expect(inProd.resources.map(({ type }) => type)).not.toContain('azurerm_function_app_flex_consumption');
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

  it('is there once it may do all of that', () => {
    expect(made['depends_on']).toEqual(
      expect.arrayContaining([
        ...['keeps', 'receives', 'sends'].map((part) => expect.stringContaining(`functions_${part}`)),
        expect.stringContaining('azurerm_storage_container'),
      ]),
    );
  });

  it('is in a subnet of its own, and all that it says goes through the network', () => {
    expect(app.properties['virtualNetworkSubnetId']).toBe("[parameters('subnet')]");
    expect(parameter('subnet')).toMatch(/^\S+azurerm_subnetnetwork_functions/);
    expect(siteConfig['vnetRouteAllEnabled']).toBe(true);
  });

  it('is shut to all, but for packages from the addresses that whoever deploys names, over TLS', () => {
    expect(app.properties).toMatchObject({ publicNetworkAccess: "[parameters('access')]", httpsOnly: true });
    expect(siteConfig).toMatchObject({
      ...{ ipSecurityRestrictionsDefaultAction: 'Deny', scmIpSecurityRestrictionsDefaultAction: 'Deny' },
      ...{ minTlsVersion: '1.2', scmMinTlsVersion: '1.2' },
      scmIpSecurityRestrictions: "[parameters('deployers')]",
    });
    const { variable, locals } = inProd.json.platform as unknown as Readonly<Record<string, Attributes>>;
    const local = (name: string) => locals![/^local\.(\w+)/.exec(parameter(name))![1]!];
    expect(local('access')).toBe('${length(var.deployer_addresses) > 0 ? "Enabled" : "Disabled"}');
    expect(local('deployers')).toMatch(
      /^\$\{\[for address in var\.deployer_addresses : \{ name = .+, action = "Allow", priority = 100, ipAddress = .+ \}\]\}$/,
    );
    expect(variable).toMatchObject({ deployer_addresses: { default: [] } });
    expect(inProd.json.platform.output!['function_app']!.value).toMatch(/^tribo-bergen-prod-funct-/);
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

/** By name, as expressions of Terraform. */
function settings(): Readonly<Record<string, string>> {
  const all = parameter('settings');
  const list = all.slice(0, all.indexOf('}]}'));
  return Object.fromEntries(
    [...list.matchAll(/\{"name" = "(\w+)", "value" = (.+?)(?=\}, \{"name"|$)/g)].map(([, name, value]) => [
      name!,
      value!,
    ]),
  );
}

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
