import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { planAzure } from '../../core/decision/azure-plan.ts';
import { demandOf, HOURS_A_MONTH } from '../../core/decision/demand.ts';
import { loadPrices } from '../../services/shared/environments/environment-files.ts';
import { MOST_COPIES_TIMES } from '../copies.ts';
import { SERVICE_PORTS } from '../service-ports.ts';
import { changed, notMade, shipped, synthesized, type Attributes, type Synthesized } from '../testing/synthesized.ts';
import { inCluster } from '../testing/variations.ts';

const prod = inCluster(shipped('gent.prod'));
const made = synthesized(prod, 'azure');
const asApps = synthesized(shipped('gent.prod'), 'azure');
const inZones = synthesized(changed(prod, { switches: { ...prod.switches, multiAz: true } }), 'azure');
const cluster = made.one('azurerm_kubernetes_cluster', 'services/cluster');
const pool = made.one('azurerm_kubernetes_cluster_node_pool', 'services/services');
const prices = loadPrices(join(import.meta.dirname, '../../environments/prices')).azure;

const to = (cidr: string) => [{ ip_block: { cidr } }];

function rulesOf(stacks: Synthesized): readonly Attributes[] {
  return stacks.one('azurerm_network_security_group', 'network/services-rules')[
    'security_rule'
  ] as readonly Attributes[];
}

/** Who may what beneath this path, and on what. */
function rolesIn(stacks: Synthesized, path: string): readonly (readonly unknown[])[] {
  return stacks
    .found('azurerm_role_assignment')
    .filter((each) => each.path.startsWith(path))
    .map(({ path: at, is }) => [at.slice(path.length), is['role_definition_name'] ?? 'own']);
}

describe('a cluster at Azure', () => {
  it('is asked for by a switch, and made of the plan', () => {
    expect(notMade('azure', prod)).toEqual([]);
    expect(made.resources.map(({ type }) => type)).not.toContain('azurerm_container_app');
  });

  it('has a control plane that is reached from the network of the site alone, by who is in its directory', () => {
    expect(cluster).toMatchObject({
      private_cluster_enabled: true,
      private_cluster_public_fqdn_enabled: false,
      run_command_enabled: false,
      local_account_disabled: true,
      azure_active_directory_role_based_access_control: { azure_rbac_enabled: true },
    });
    const into = rulesOf(made).filter(({ name }) => name === 'control-plane');
    expect(into).toEqual([
      expect.objectContaining({ source_address_prefix: '10.60.0.0/16', destination_port_range: '443' }),
    ]);
  });

  it('is kept at a version that Azure supports, in nights of the week, one node at a time', () => {
    expect(cluster).toMatchObject({
      automatic_upgrade_channel: 'stable',
      node_os_upgrade_channel: 'NodeImage',
      maintenance_window_auto_upgrade: { frequency: 'Weekly', day_of_week: 'Monday', start_time: '02:00', duration: 6 },
      maintenance_window_node_os: { frequency: 'Weekly', day_of_week: 'Tuesday', start_time: '02:00', duration: 6 },
      default_node_pool: { upgrade_settings: { max_surge: '1' } },
    });
    expect(cluster).not.toHaveProperty('kubernetes_version');
    expect(pool['upgrade_settings']).toEqual({ max_surge: '1' });
  });

  it('has pods and names of services in ranges of the environment, policies that hold, and the way out of the subnet', () => {
    expect(cluster['network_profile']).toEqual({
      network_plugin: 'azure',
      network_plugin_mode: 'overlay',
      network_data_plane: 'cilium',
      network_policy: 'cilium',
      load_balancer_sku: 'standard',
      outbound_type: 'userAssignedNATGateway',
      pod_cidr: '10.200.0.0/16',
      service_cidr: '10.201.0.0/20',
      dns_service_ip: '${cidrhost("10.201.0.0/20", 10)}',
    });
    expect(made.one('azurerm_subnet', 'network/services')).toMatchObject({
      default_outbound_access_enabled: false,
      private_link_service_network_policies_enabled: false,
    });
    expect(made.one('azurerm_subnet', 'network/services')).not.toHaveProperty('delegation');
    expect(asApps.one('azurerm_subnet', 'network/services')).toHaveProperty('delegation');
    const out = made.one('azurerm_subnet_nat_gateway_association', 'network/services-out');
    expect(out['subnet_id']).toContain('network_services');
  });

  it('has pods that the rules of the subnet let speak to each other, and nobody else to them', () => {
    const between = rulesOf(made)
      .filter(({ access, direction }) => access === 'Allow' && direction === 'Inbound')
      .map((rule) => [rule['source_address_prefix'], rule['destination_address_prefix']]);
    expect(between).toEqual([
      ['10.60.0.0/20', '10.60.0.0/20'],
      ['AzureLoadBalancer', '10.60.0.0/20'],
      ['10.60.0.0/16', '10.60.0.0/20'],
      ['10.60.0.0/20', '10.200.0.0/16'],
      ['10.200.0.0/16', '10.200.0.0/16'],
    ]);
    expect(rulesOf(made).at(-1)).toMatchObject({ access: 'Deny', source_address_prefix: '*' });
  });

  it('is encrypted with the key of the site, whichever version is the newest; in dev with that of Azure', () => {
    expect(cluster['disk_encryption_set_id']).toContain('azurerm_disk_encryption_set');
    expect(made.one('azurerm_disk_encryption_set', 'services/disks')).toMatchObject({
      auto_key_rotation_enabled: true,
      key_vault_key_id: expect.stringContaining('versionless_id'),
    });
    expect(cluster['default_node_pool']).toMatchObject({ host_encryption_enabled: true });
    expect(pool['host_encryption_enabled']).toBe(true);
    const dev = synthesized(inCluster(shipped('gent.dev')), 'azure');
    expect(dev.one('azurerm_kubernetes_cluster', 'services/cluster')).not.toHaveProperty('disk_encryption_set_id');
  });

  it('says all that it does, and what its pods say and use, in tables of the site', () => {
    const workspace = expect.stringContaining('azurerm_log_analytics_workspace');
    expect(cluster['oms_agent']).toEqual({
      log_analytics_workspace_id: workspace,
      msi_auth_for_monitoring_enabled: true,
    });
    const rule = made.one('azurerm_monitor_data_collection_rule', 'container-logs/rule');
    expect(rule['destinations']).toMatchObject({ log_analytics: [{ workspace_resource_id: workspace }] });
    expect(rule['data_flow']).toEqual([
      {
        destinations: ['workspace'],
        streams: expect.arrayContaining(['Microsoft-ContainerLogV2', 'Microsoft-KubePodInventory', 'Microsoft-Perf']),
      },
    ]);
    const association = made.one('azurerm_monitor_data_collection_rule_association', 'container-logs/rule-of-cluster');
    expect(association['target_resource_id']).toContain('azurerm_kubernetes_cluster');
    const controlPlane = made.one('azurerm_monitor_diagnostic_setting', 'services/container-logs/logs');
    expect(controlPlane['enabled_log']).toEqual(
      expect.arrayContaining([{ category: 'kube-audit-admin' }, { category: 'guard' }]),
    );
  });

  it('has the nodes that are priced, and no more of them than copies want', () => {
    const priced = (environment: typeof prod) =>
      planAzure(environment, demandOf(environment), prices)
        .lines.filter(({ item }) => item === 'nodeHour')
        .reduce((sum, { quantity }) => sum + quantity, 0) / HOURS_A_MONTH;
    const vcpu = (size: unknown) => Number(/^Standard_D(\d+)s_v5$/.exec(size as string)![1]);
    for (const [stacks, environment] of [
      [made, prod],
      [inZones, changed(prod, { switches: { ...prod.switches, multiAz: true } })],
    ] as const) {
      const system = stacks.one('azurerm_kubernetes_cluster', 'services/cluster')['default_node_pool'] as Attributes;
      const services = stacks.one('azurerm_kubernetes_cluster_node_pool', 'services/services');
      const least = [system, services].reduce(
        (sum, { min_count: count, vm_size: size }) => sum + ((count as number) * vcpu(size)) / 2,
        0,
      );
      expect(least).toBe(priced(environment));
      expect(services['max_count']).toBe((services['min_count'] as number) * MOST_COPIES_TIMES);
    }
  });

  it.each([
    ['in one zone', made],
    ['in several', inZones],
  ])('has nodes of its own %s that AKS takes: two at the least, of four vCPU', (_where, stacks) => {
    const { vm_size: size, min_count: count } = stacks.one('azurerm_kubernetes_cluster', 'services/cluster')[
      'default_node_pool'
    ] as Attributes;
    expect(size).toBe('Standard_D4s_v5');
    expect(count).toBe(stacks === inZones ? 3 : 2);
  });

  it('has the nodes on which all copies of large sizes find room', () => {
    const environment = changed(prod, { sizes: 'large', switches: { ...prod.switches, multiAz: true } });
    const large = synthesized(environment, 'azure');
    const { min_count: count, vm_size: size } = large.one('azurerm_kubernetes_cluster_node_pool', 'services/services');
    // By their sum three would do, of which each has room for one copy of two vCPU and one of one.
    expect([count, size]).toEqual([4, 'Standard_D4s_v5']);
  });

  it('is in the zones that are paid for, its own pods apart from the services', () => {
    for (const stacks of [inZones, made]) {
      const system = stacks.one('azurerm_kubernetes_cluster', 'services/cluster')['default_node_pool'] as Attributes;
      const services = stacks.one('azurerm_kubernetes_cluster_node_pool', 'services/services');
      expect([system['zones'], services['zones']]).toEqual(
        stacks === inZones
          ? [
              ['1', '2', '3'],
              ['1', '2', '3'],
            ]
          : [undefined, undefined],
      );
      expect(system).toMatchObject({ only_critical_addons_enabled: true, auto_scaling_enabled: true });
      expect(services).toMatchObject({ mode: 'User', auto_scaling_enabled: true, node_public_ip_enabled: false });
    }
  });

  it('has room on a node for the largest copy that a plan has', () => {
    const busy = changed(prod, { workload: { ...prod.workload, machines: 3000 } });
    const largest = Math.max(...demandOf(busy).services.map(({ vcpu }) => vcpu));
    expect(largest).toBeGreaterThan(2);
    const { vm_size: size } = synthesized(busy, 'azure').one(
      'azurerm_kubernetes_cluster_node_pool',
      'services/services',
    );
    expect(size).toBe('Standard_D8s_v5');
    expect(pool['vm_size']).toBe('Standard_D4s_v5');
    // Nodes go again although pods have a folder in memory.
    expect(cluster['auto_scaler_profile']).toEqual({ skip_nodes_with_local_storage: false });
  });

  it('has nodes that fetch images, and may do nothing that services may; services fetch none themselves', () => {
    expect(rolesIn(made, 'platform/services/').toSorted()).toEqual([
      ['cluster-finds-key', 'Reader'],
      ['cluster-gives-nodes-identity', 'Managed Identity Operator'],
      ['cluster-joins-network', 'Network Contributor'],
      ['deployers-apply', 'Azure Kubernetes Service RBAC Cluster Admin'],
      ['nodes-fetch-images', 'AcrPull'],
      ['pipeline-enters', 'Azure Kubernetes Service Cluster User Role'],
    ]);
    const inService = (stacks: Synthesized) => rolesIn(stacks, 'platform/service-identities/');
    expect(inService(made)).toEqual(inService(asApps).filter(([, role]) => role !== 'AcrPull'));
    expect(cluster['kubelet_identity']).toEqual({
      client_id: expect.stringContaining('nodes-identity'),
      object_id: expect.stringContaining('nodes-identity'),
      user_assigned_identity_id: expect.stringContaining('nodes-identity'),
    });
  });

  it('is private also where all else is as small as it can be, and so is priced', () => {
    const small = inCluster(changed(shipped('gent.dev'), { sizes: 'small' }));
    expect(synthesized(small, 'azure').one('azurerm_cdn_frontdoor_profile', 'ingress/profile')['sku_name']).toBe(
      'Premium_AzureFrontDoor',
    );
    const items = planAzure(small, demandOf(small), prices).lines.map(({ item }) => item);
    expect(items).toEqual(expect.arrayContaining(['frontDoorPremiumMonth', 'registryPremiumMonth', 'balancerHour']));
  });
});

describe('a service in a cluster at Azure', () => {
  it.each(Object.keys(SERVICE_PORTS))('%s is its own identity, and no other ServiceAccount is', (service) => {
    expect(made.one('azurerm_federated_identity_credential', `services/${service}-is`)).toMatchObject({
      audience: ['api://AzureADTokenExchange'],
      issuer: expect.stringContaining('oidc_issuer_url'),
      subject: `system:serviceaccount:tribo-gent-prod:${service}`,
      parent_id: expect.stringContaining(`service-identities_${service}_`),
    });
    expect(cluster).toMatchObject({ oidc_issuer_enabled: true, workload_identity_enabled: true });
    const { metadata } = made.one('kubernetes_service_account_v1', `${service}/account`);
    expect(metadata).toMatchObject({
      name: service,
      annotations: { 'azure.workload.identity/client-id': expect.stringContaining(`${service}_`) },
    });
    const { spec } = made.one('kubernetes_deployment_v1', `${service}/deployment`) as {
      readonly spec: { readonly template: { readonly metadata: { readonly labels: Attributes } } };
    };
    expect(spec.template.metadata.labels).toEqual({ app: service, 'azure.workload.identity/use': 'true' });
  });

  it.each(Object.keys(SERVICE_PORTS))('%s finds the secrets that it may read, and no others', (service) => {
    const { spec } = made.one('kubernetes_manifest', `services/${service}-secrets`)['manifest'] as {
      readonly spec: { readonly provider: string; readonly parameters: Readonly<Record<string, string>> };
    };
    expect(spec.provider).toBe('azure');
    expect(spec.parameters).toMatchObject({
      clientID: expect.stringContaining(`service-identities_${service}_`),
      keyvaultName: expect.stringContaining('key_keys_vault'),
    });
    const { array } = JSON.parse(spec.parameters['objects']!) as { readonly array: readonly string[] };
    const objects = array.map((each) => JSON.parse(each) as Attributes);
    expect(objects.map(({ objectType, objectAlias }) => [objectType, objectAlias])).toEqual([
      ['secret', 'database-password'],
      ['secret', 'link-key'],
    ]);
    const reads = rolesIn(made, `platform/service-identities/${service}-`).filter(
      ([, role]) => role === 'Key Vault Secrets User',
    );
    expect(reads.map(([on]) => on).toSorted()).toEqual(['link-key', 'password']);
  });

  it('goes to names, by TLS, and to the database: nowhere else', () => {
    const { egress } = made.one('kubernetes_network_policy_v1', 'network/timeseries-service')['spec'] as {
      readonly egress: readonly Attributes[];
    };
    const names = [
      {
        namespace_selector: { match_labels: { 'kubernetes.io/metadata.name': 'kube-system' } },
        pod_selector: { match_labels: { 'k8s-app': 'kube-dns' } },
      },
    ];
    const tcp = (...ports: readonly string[]) => ports.map((port) => ({ port, protocol: 'TCP' }));
    expect(egress).toEqual([
      { to: names, ports: [{ port: '53', protocol: 'UDP' }] },
      { to: names, ports: tcp('53') },
      { to: to('0.0.0.0/0'), ports: tcp('443', '5671') },
      { to: to('10.60.64.0/20'), ports: tcp('5432', '6432') },
    ]);
    expect(made.one('azurerm_subnet', 'network/data')['address_prefixes']).toEqual(['10.60.64.0/20']);
  });

  it('grows by copies where more than one works at a time', () => {
    const scaled = made.found('kubernetes_horizontal_pod_autoscaler_v2').map(({ path }) => path.split('/').at(-2));
    const together = demandOf(prod).services.filter(({ isAlone }) => !isAlone);
    expect(scaled.toSorted()).toEqual(together.map(({ service }) => service).toSorted());
  });
});

describe('the way to an API in a cluster at Azure', () => {
  const balancer = made.one('kubernetes_service_v1', 'ingress/balancer') as {
    readonly spec: Attributes;
    readonly metadata: { readonly annotations: Attributes };
  };

  it('is a balancer without a public address, to the API alone, and a private link to it', () => {
    expect(balancer.metadata.annotations).toEqual({
      'service.beta.kubernetes.io/azure-load-balancer-internal': 'true',
      'service.beta.kubernetes.io/azure-pls-create': 'true',
      'service.beta.kubernetes.io/azure-pls-name': 'api',
      'service.beta.kubernetes.io/azure-pls-visibility': '*',
    });
    expect(balancer.spec).toMatchObject({
      type: 'LoadBalancer',
      external_traffic_policy: 'Local',
      load_balancer_source_ranges: ['10.60.0.0/20'],
      selector: { app: 'api-gateway' },
      port: [{ port: 80, target_port: '8080' }],
    });
    const { ingress } = made.one('kubernetes_network_policy_v1', 'network/api-gateway')['spec'] as {
      readonly ingress: readonly { readonly from: unknown; readonly ports: readonly Attributes[] }[];
    };
    expect(ingress.filter(({ ports }) => ports[0]!['port'] === '8080').map(({ from }) => from)).toEqual([
      to('10.60.0.0/20'),
    ]);
  });

  it('is taken by the same Front Door, firewall and domain as without a cluster, by that link alone', () => {
    const types = ['profile', 'endpoint', 'firewall_policy', 'custom_domain', 'security_policy'];
    for (const type of types) {
      const of = (stacks: Synthesized) => stacks.found(`azurerm_cdn_frontdoor_${type}`).map(({ path }) => path);
      expect(of(made)).toEqual(of(asApps));
    }
    expect(made.one('azurerm_cdn_frontdoor_origin', 'services/ingress/origin')).toMatchObject({
      host_name: expect.stringContaining('kubernetes_service_v1.ingress_balancer'),
      origin_host_header: 'tribo.gent.example',
      private_link: {
        private_link_target_id: expect.stringMatching(
          /node_resource_group_id\}\/providers\/Microsoft\.Network\/privateLinkServices\/api$/,
        ),
      },
    });
    expect(made.one('azurerm_cdn_frontdoor_route', 'services/ingress/route')).toMatchObject({
      https_redirect_enabled: true,
      forwarding_protocol: 'HttpOnly',
      link_to_default_domain: false,
    });
    const [probe] = [made.one('azurerm_cdn_frontdoor_origin_group', 'services/ingress/origins')['health_probe']];
    expect(probe).toMatchObject({ protocol: 'Http', path: '/health/live' });
  });
});

describe('what is in the cluster at Azure', () => {
  it('has a state of its own, and is reached by a token that is asked for each time', () => {
    expect(made.json.services!.provider['kubernetes']).toEqual([
      {
        host: expect.stringContaining('kube_config0host'),
        cluster_ca_certificate: expect.stringContaining('base64decode'),
        exec: [
          {
            api_version: 'client.authentication.k8s.io/v1beta1',
            command: 'kubelogin',
            args: ['get-token', '--login', 'azurecli', '--server-id', '6dae42f8-4368-4678-94ff-3960e28e3630'],
          },
        ],
      },
    ]);
    expect(made.found('kubernetes_deployment_v1').map(({ stack }) => stack)).toEqual(
      Array.from({ length: 6 }, () => 'services'),
    );
    // No resource of Azure has to be in a group of this stack.
    expect(made.found('azurerm_resource_group').map(({ stack }) => stack)).toEqual(['foundation', 'data', 'platform']);
  });

  it('is applied by those who are named, each an administrator of it; the pipeline may roll, and look at that', () => {
    expect(made.one('azurerm_role_assignment', 'services/deployers-apply')).toMatchObject({
      for_each: '${var.deployers}',
      principal_id: '${each.value}',
      scope: expect.stringContaining('azurerm_kubernetes_cluster'),
    });
    const { check } = made.json.platform as unknown as { readonly check: Attributes };
    expect(JSON.stringify(check)).toContain('the cluster will not let it plan or apply services');
    expect(made.one('kubernetes_role_v1', 'services/roll')['rule']).toEqual([
      { api_groups: ['apps'], resources: ['deployments'], verbs: ['get', 'list', 'watch', 'patch'] },
    ]);
    expect(made.one('kubernetes_role_binding_v1', 'services/pipeline-rolls')['subject']).toEqual([
      {
        api_group: 'rbac.authorization.k8s.io',
        kind: 'User',
        name: expect.stringMatching(/ci-identity_\w+principal_id/),
      },
    ]);
  });

  it('is watched: CPU, memory and restarts of each service, and that there is a copy of it at all', () => {
    const rules = made
      .found('azurerm_monitor_scheduled_query_rules_alert_v2')
      .filter(({ path }) => path.includes('/cluster-alarms/'));
    const asked = rules.map(({ path, is }) => {
      const [criteria] = is['criteria'] as readonly Attributes[];
      return [path.split('/').at(-1), criteria!['operator'], criteria!['threshold'], is['severity']];
    });
    expect(asked).toEqual([
      ['services-away', 'LessThan', 1, 0],
      ['services-cpu', 'GreaterThan', 85, 2],
      ['services-memory', 'GreaterThan', 85, 2],
      ['services-restarts', 'GreaterThan', 3, 1],
    ]);
    const queryOf = (part: string) => {
      const found = made.one('azurerm_monitor_scheduled_query_rules_alert_v2', `cluster-alarms/${part}`);
      return (found['criteria'] as readonly { readonly query: string }[])[0]!.query;
    };
    for (const { service, vcpu, memoryGb } of demandOf(prod).services) {
      expect(queryOf('services-cpu')).toContain(`"${service}", ${vcpu * 1e9}`);
      expect(queryOf('services-memory')).toContain(`"${service}", ${memoryGb * 1024 ** 3}`);
      expect(queryOf('services-away')).toContain(`"${service}"`);
    }
    for (const { is } of rules)
      expect(is).toMatchObject({
        criteria: [expect.objectContaining({ dimension: [{ name: 'Service', operator: 'Include', values: ['*'] }] })],
        action: { action_groups: [expect.stringContaining('azurerm_monitor_action_group')] },
      });
    expect(JSON.stringify(made.of('azurerm_monitor_metric_alert'))).not.toContain('Microsoft.App/containerApps');
  });
});
