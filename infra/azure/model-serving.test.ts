import { describe, expect, it } from '@jest/globals';
import type { Environment } from '../../core/decision/environment.ts';
import { changed, notMade, shipped, synthesized, type Attributes, type Synthesized } from '../testing/synthesized.ts';
import { withModels } from '../testing/variations.ts';

const prod = shipped('bergen.prod');
const dev = shipped('bergen.dev');
const without = synthesized(prod, 'azure');
const inProd = synthesized(withModels(prod), 'azure');
const inDev = synthesized(withModels(dev), 'azure');
const bySize: readonly (readonly [stage: string, site: Synthesized])[] = [
  ['prod', inProd],
  ['dev', inDev],
];

interface ArmResource {
  readonly type: string;
  readonly name: string;
  readonly identity?: unknown;
  readonly sku?: unknown;
  readonly properties: Attributes;
  readonly dependsOn?: readonly string[];
}

interface ArmTemplate {
  readonly parameters: Attributes;
  readonly resources: readonly ArmResource[];
}

const deployment = inProd.one('azurerm_resource_group_template_deployment', 'model-inference/endpoint');
const template = JSON.parse(deployment['template_content'] as string) as ArmTemplate;
/** Known before the template is applied, and not there before it is: what goes by it is not made anew with each change of the template. */
const ENDPOINT_ID =
  /^\$\{element\(\["\$\{azurerm_machine_learning_workspace\.\w+\.id\}\/onlineEndpoints\/tribo-bergen-prod-model-.+", azurerm_resource_group_template_deployment\.[\w-]+\.id\], 0\)\}$/;
const armOf = (ending: string) => template.resources.find(({ type }) => type.endsWith(ending))!;

/** Of an identity, its roles by what they are on. */
function rolesOf(site: Synthesized, identity: RegExp): readonly string[] {
  return site
    .found('azurerm_role_assignment')
    .filter(({ is }) => identity.test(is['principal_id'] as string))
    .map(({ is }) => {
      const [type] =
        /azurerm_(container_registry|storage_account|key_vault|application_insights|machine_learning_workspace|resource_group)/.exec(
          is['scope'] as string,
        ) ?? [is['scope']];
      return `${(is['role_definition_name'] as string | undefined) ?? 'own'} on ${type as string}`;
    })
    .toSorted();
}

describe('without an endpoint', () => {
  it('nothing of it is made or paid for, and services run models themselves', () => {
    const made = without.resources.filter(
      ({ type, path }) => type.includes('machine_learning') || /platform\/(ml|model-inference)\//.test(path),
    );
    expect(made).toEqual([]);
    expect(without.json.platform.output!['ports']!.value).not.toHaveProperty('modelInference');
    expect(without.of('azurerm_private_dns_zone').map(({ name }) => name)).not.toContain('privatelink.api.azureml.ms');
  });
});

describe('an environment that asks for', () => {
  it.each<[Environment['switches']['modelEndpoint'], readonly string[]]>([
    ['none', []],
    ['instance', []],
    ['serverless', ['switches.modelEndpoint: serverless']],
  ])('the endpoint %s is refused what Azure does not have: %j', (modelEndpoint, refused) => {
    const environment = changed(prod, { switches: { ...prod.switches, modelEndpoint } });
    expect(notMade('azure', environment)).toEqual(refused);
  });
});

describe('the endpoint', () => {
  it('runs the model server of the release, by its digest, where the model server answers', () => {
    const { image, osType, inferenceConfig } = armOf('/environments/versions').properties;
    expect({ image, osType }).toEqual({ image: "[parameters('image')]", osType: 'Linux' });
    expect(inferenceConfig).toEqual({
      livenessRoute: { path: '/health/live', port: 8080 },
      readinessRoute: { path: '/health/ready', port: 8080 },
      scoringRoute: { path: '/score', port: 8080 },
    });
    expect(deployment['parameters_content']).toMatch(
      /"image" = \{"value" = "\$\{[^}]*container_registry[^}]*login_server\}\/model-server@\$\{var\.image_digests\["model-server"\]\}"\}/,
    );
  });

  it('is another version of its environment with another image, as a version is never changed', () => {
    expect(armOf('/environments/versions').name).toContain("parameters('version')");
    expect(armOf('/deployments').properties['environmentId']).toContain("parameters('version')");
    expect(deployment['parameters_content']).toMatch(/substr\(/);
  });

  it('is asked with a token of Entra ID through the workspace’s private endpoint, and by no key or network else', () => {
    expect(armOf('/onlineEndpoints').properties).toEqual({ authMode: 'AADToken', publicNetworkAccess: 'Disabled' });
    expect(armOf('/onlineEndpoints').identity).toEqual({
      type: 'UserAssigned',
      userAssignedIdentities: { "[parameters('identity')]": {} },
    });
  });

  it('answers as many at a time as the model server does, for as long as the adapter waits', () => {
    expect(armOf('/deployments').properties).toMatchObject({
      ...{ endpointComputeType: 'Managed', instanceType: 'Standard_F2s_v2' },
      requestSettings: { maxConcurrentRequestsPerInstance: 32, requestTimeout: 'PT30S' },
    });
  });

  it('has each parameter that its template asks for, and the template no other', () => {
    const used = [...JSON.stringify(template.resources).matchAll(/parameters\('(\w+)'\)/g)].map(([, name]) => name!);
    expect(new Set(used)).toEqual(new Set(Object.keys(template.parameters)));
    for (const name of used) expect(deployment['parameters_content']).toContain(`"${name}" = {"value"`);
  });

  it('carries the tags of the site on what its template makes', () => {
    expect(template.parameters['tags']).toEqual({ type: 'object' });
    for (const type of ['/onlineEndpoints', '/deployments'])
      expect(armOf(type)).toMatchObject({ tags: "[parameters('tags')]" });
    expect(deployment['parameters_content']).toContain('"Deployment" = "tribo-bergen-prod"');
  });

  it('is made before its deployment, and after its identity may fetch the image', () => {
    expect(armOf('/deployments').dependsOn).toEqual([
      expect.stringContaining('environments/versions'),
      expect.stringContaining('onlineEndpoints'),
    ]);
    expect(rolesOf(inProd, /model-inference_identity/)).toEqual([
      'AcrPull on azurerm_container_registry',
      'Storage Blob Data Reader on azurerm_storage_account',
    ]);
    expect(deployment['depends_on']).toEqual(
      expect.arrayContaining([
        expect.stringContaining('model-inference_images'),
        expect.stringContaining('model-inference_store'),
        // Which changes the network that both are in.
        expect.stringContaining('training_cluster'),
      ]),
    );
  });

  it.each([
    ['several zones', inProd, 2],
    ['one zone', inDev, 1],
  ])('in %s is up to four instances, as its load wants', (_zones, site, fewest) => {
    const { profile, target_resource_id: target } = site.one('azurerm_monitor_autoscale_setting', 'scaling');
    expect(target).toMatch(/\/deployments\/model-server$/);
    expect(profile).toEqual([expect.objectContaining({ capacity: { default: fewest, minimum: fewest, maximum: 4 } })]);
    const parameters = site.one('azurerm_resource_group_template_deployment', 'endpoint')['parameters_content'];
    expect(parameters).toContain(`"instances" = {"value" = ${fewest}}`);
  });

  it('is in the ports file, asked by the name of its deployment, which has no share of traffic', () => {
    expect(inProd.json.platform.output!['ports']!.value).toMatchObject({
      modelInference: {
        adapter: 'azure-ml-model-inference',
        scoringUri: expect.stringMatching(
          /^https:\/\/tribo-bergen-prod-model-\$\{substr\([^/]+"\/".+\)\}\.norwayeast\.inference\.ml\.azure\.com\/score$/,
        ),
        deployment: 'model-server',
      },
    });
    expect(armOf('/deployments').name).toMatch(/\/model-server'/);
  });

  it('is asked by the services that run models, on this endpoint, and by no other', () => {
    const [role] = inProd
      .found('azurerm_role_definition')
      .filter(({ is }) => JSON.stringify(is['permissions']).includes('onlineEndpoints/score'));
    expect(role!.is['permissions']).toEqual([
      {
        actions: ['Microsoft.MachineLearningServices/workspaces/onlineEndpoints/score/action'],
        data_actions: [],
      },
    ]);
    const reference = role!.path.split('/').slice(1).join('_');
    const asking = inProd
      .found('azurerm_role_assignment')
      .filter(({ is }) => ((is['role_definition_id'] as string | undefined) ?? '').includes(`.${reference}`));
    expect(asking.map(({ path }) => path.replace('platform/service-identities/', '')).toSorted()).toEqual([
      'api-gateway-the-endpoint-of',
      'ml-service-the-endpoint-of',
    ]);
    for (const { is } of asking) expect(is['scope']).toMatch(ENDPOINT_ID);
  });

  it('writes its log to the workspace of logs', () => {
    expect(inProd.one('azurerm_monitor_diagnostic_setting', 'model-inference/logs')).toMatchObject({
      target_resource_id: expect.stringMatching(ENDPOINT_ID),
      enabled_log: [{ category: 'AmlOnlineEndpointConsoleLog' }, { category: 'AmlOnlineEndpointEventLog' }],
    });
  });
});

describe.each(bySize)('the workspace in %s', (_stage, site) => {
  const [workspace] = site.of('azurerm_machine_learning_workspace');

  it('is reached from within the network alone, by both of its names', () => {
    expect(workspace).toMatchObject({ public_network_access_enabled: false, high_business_impact: true });
    expect(site.one('azurerm_private_endpoint', 'ml/endpoint')).toMatchObject({
      private_service_connection: { subresource_names: ['amlworkspace'], is_manual_connection: false },
      private_dns_zone_group: { private_dns_zone_ids: [expect.any(String), expect.any(String)] },
    });
    const zones = site.of('azurerm_private_dns_zone').map(({ name }) => name);
    expect(zones).toEqual(expect.arrayContaining(['privatelink.api.azureml.ms', 'privatelink.notebooks.azure.net']));
  });

  it('has a store, a vault and insights of its own, which no network reaches, and the registry of the site', () => {
    expect(workspace).toMatchObject({
      storage_account_id: expect.stringContaining('.ml_store_account'),
      key_vault_id: expect.stringContaining('azurerm_key_vault.ml_vault'),
      application_insights_id: expect.stringContaining('.ml_insights'),
      container_registry_id: expect.stringContaining('image-registry'),
    });
    expect(site.one('azurerm_storage_account', 'ml/store/account')).toMatchObject({
      ...{ public_network_access_enabled: false, infrastructure_encryption_enabled: true },
      network_rules: { default_action: 'Deny' },
      sas_policy: { expiration_period: '01.00:00:00', expiration_action: 'Log' },
    });
    expect(site.one('azurerm_key_vault', 'ml/vault/vault')).toMatchObject({
      ...{ public_network_access_enabled: false, rbac_authorization_enabled: true },
    });
    expect(site.one('azurerm_application_insights', 'ml/insights')).toMatchObject({
      ...{ local_authentication_disabled: true, internet_ingestion_enabled: false, internet_query_enabled: false },
      workspace_id: expect.stringContaining('log_analytics_workspace'),
    });
  });

  it('has its rights, and the time that its network takes, before it is made', () => {
    expect(workspace).toMatchObject({
      depends_on: expect.arrayContaining([expect.stringMatching(/network-azure-ai-enterprise/)]),
      timeouts: { create: '90m' },
    });
  });

  it('goes with its stack, and its name with it', () => {
    expect(site.json.platform.provider['azurerm']).toEqual([
      expect.objectContaining({
        features: [expect.objectContaining({ machine_learning: [{ purge_soft_deleted_workspace_on_destroy: true }] })],
      }),
    ]);
    for (const [type, path] of [
      ['azurerm_storage_account', 'ml/store/account'],
      ['azurerm_key_vault', 'ml/vault/vault'],
    ] as const)
      expect(site.one(type, path)['lifecycle']).toEqual({ prevent_destroy: false });
  });

  it('may what Azure asks for on what is its own, and on the images of the services no more than fetch them', () => {
    const roles = rolesOf(site, /\.ml_identity/);
    expect(roles).toEqual(
      expect.arrayContaining([
        'AcrPull on azurerm_container_registry',
        'Contributor on azurerm_application_insights',
        'Contributor on azurerm_key_vault',
        'Contributor on azurerm_machine_learning_workspace',
        'Contributor on azurerm_storage_account',
        'Key Vault Administrator on azurerm_key_vault',
        'Reader on azurerm_container_registry',
        'Storage Blob Data Contributor on azurerm_storage_account',
      ]),
    );
    const others = roles.filter((role) => !/^(AcrPull|Reader|Contributor|Key Vault A|Storage Blob)/.test(role));
    const approver = 'Azure AI Enterprise Network Connection Approver on';
    expect(others).toEqual([
      ...(site === inProd ? [`${approver} azurerm_container_registry`] : []),
      `${approver} azurerm_resource_group`,
      `${approver} azurerm_storage_account`,
    ]);
    expect(roles).not.toContain('Contributor on azurerm_container_registry');
  });
});

describe('what differs', () => {
  it('what runs in the network of the workspace reaches what is named alone, where the registry is private', () => {
    const isolation = (site: Synthesized) => site.of('azurerm_machine_learning_workspace')[0]!['managed_network'];
    expect(isolation(inProd)).toEqual({
      ...{ isolation_mode: 'AllowOnlyApprovedOutbound', provision_on_creation_enabled: true },
    });
    expect(isolation(inDev)).toMatchObject({ isolation_mode: 'AllowInternetOutbound' });
  });
});

describe('training', () => {
  it('is machines that are there for a job alone, without a public address, SSH or key', () => {
    expect(inProd.of('azurerm_machine_learning_compute_cluster')).toEqual([
      expect.objectContaining({
        scale_settings: { min_node_count: 0, max_node_count: 4, scale_down_nodes_after_idle_duration: 'PT5M' },
        ...{ node_public_ip_enabled: false, ssh_public_access_enabled: false, local_auth_enabled: false },
        identity: { type: 'UserAssigned', identity_ids: [expect.stringContaining('training_identity')] },
      }),
    ]);
    expect(inProd.of('azurerm_machine_learning_compute_cluster')[0]).not.toHaveProperty('ssh');
    expect(inProd.json.platform.output!['training_compute']!.value).toMatch(/training_cluster/);
  });

  it('reads and writes its own part of the site’s objects, and deletes nothing', () => {
    const role = inProd.one('azurerm_role_definition', 'training/objects-role');
    const blobs = 'Microsoft.Storage/storageAccounts/blobServices/containers/blobs';
    expect(role['permissions']).toEqual([
      { actions: [], data_actions: [`${blobs}/read`, `${blobs}/write`, `${blobs}/add/action`] },
    ]);
    const right = inProd.one('azurerm_role_assignment', 'training/objects');
    expect(right).toMatchObject({ condition_version: '2.0', scope: expect.stringContaining('storage_container') });
    const { condition } = right as { readonly condition: string };
    // Each action that the role has is bound to the prefix.
    for (const action of ['read', 'write', 'add/action'])
      expect(condition).toContain(`ActionMatches{'${blobs}/${action}'}`);
    expect(condition).toContain(`@Resource[${blobs}:path] StringLike 'training/*'`);
    expect(condition).toContain(`@Request[${blobs}:prefix] StringLike 'training/*'`);
    expect([...condition.matchAll(/\(/g)]).toHaveLength([...condition.matchAll(/\)/g)].length);
  });

  it('comes to them by a private endpoint of its network, which the workspace lets in', () => {
    expect(inProd.of('azurerm_machine_learning_workspace_network_outbound_rule_private_endpoint')).toEqual([
      expect.objectContaining({
        service_resource_id: expect.stringContaining('object-store'),
        sub_resource_target: 'blob',
        depends_on: [expect.stringContaining('objects-approver')],
      }),
    ]);
  });
});
