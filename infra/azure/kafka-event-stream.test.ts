import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { eventHubsKafkaPermissions } from '../../adapters/kafka/kafka-event-stream/permissions.ts';
import { devicesStream, partitionsFor, planAzure, throughputUnitsFor } from '../../core/decision/azure-plan.ts';
import { demandOf, HOURS_A_MONTH } from '../../core/decision/demand.ts';
import { STREAMS } from '../../core/domain/event.ts';
import { loadPrices } from '../../services/shared/environments/environment-files.ts';
import { SERVICE_PORTS } from '../service-ports.ts';
import { changed, notMade, shipped, synthesized, type Attributes, type Synthesized } from '../testing/synthesized.ts';
import { inCluster, withKafka } from '../testing/variations.ts';

const SUBSCRIPTION = '00000000-0000-4000-8000-000000000001';
const PRICES = loadPrices(join(import.meta.dirname, '../../environments/prices'));

const prod = withKafka(changed(shipped('bergen.prod'), { accounts: { azure: SUBSCRIPTION } }));
const inProd = synthesized(prod, 'azure');
const demand = demandOf(prod);

const namespaceOf = (site: Synthesized, path: string) => site.one('azurerm_eventhub_namespace', `${path}/namespace`);
const topics = inProd.found('azurerm_eventhub').filter(({ path }) => path.includes('/event-stream/'));

describe('the namespace of the topics', () => {
  it('is asked for by a switch, and is of the least tier that speaks Kafka', () => {
    expect(notMade('azure', prod)).toEqual([]);
    for (const path of ['event-stream', 'device-hub'])
      expect(namespaceOf(inProd, path)).toMatchObject({
        sku: 'Standard',
        auto_inflate_enabled: false,
        local_authentication_enabled: false,
        public_network_access_enabled: false,
        minimum_tls_version: '1.2',
        lifecycle: { prevent_destroy: true },
      });
    const inDev = synthesized(withKafka(shipped('bergen.dev')), 'azure');
    for (const type of ['azurerm_eventhub_namespace', 'azurerm_eventhub'])
      for (const is of inDev.of(type)) expect(is['lifecycle']).toMatchObject({ prevent_destroy: false });
  });

  it('is not that of the devices, which alone lets in IoT Hub', () => {
    const trusts = (path: string) =>
      (namespaceOf(inProd, path)['network_rulesets'] as readonly Attributes[]).map((rules) => [
        rules['default_action'],
        rules['trusted_service_access_enabled'],
      ]);
    expect(trusts('event-stream')).toEqual([['Deny', false]]);
    expect(trusts('device-hub')).toEqual([['Deny', true]]);
    expect(inProd.one('azurerm_iothub_endpoint_eventhub', 'device-gateway/endpoint')).toMatchObject({
      endpoint_uri: expect.stringContaining('azurerm_eventhub_namespacedevice-hub_namespace'),
      entity_path: 'devices',
    });
    expect(inProd.one('azurerm_eventhub', 'device-hub/devices')).toMatchObject({
      name: 'devices',
      namespace_id: expect.stringContaining('device-hub_namespace'),
    });
  });

  const heavy = { ...prod.workload, machines: 2_000, messageIntervalS: 1, bytesPerMessage: 300 };
  it.each([
    { site: 'bergen.prod', environment: prod },
    { site: 'that of 2,000 machines', environment: changed(prod, { workload: heavy }) },
  ])('has the units and the endpoints that are priced: $site', ({ environment }) => {
    const needs = demandOf(environment);
    const site = synthesized(environment, 'azure');
    const units = [
      namespaceOf(site, 'event-stream')['capacity'] as number,
      namespaceOf(site, 'device-hub')['capacity'] as number,
    ];
    expect(units).toEqual([
      throughputUnitsFor(needs.streams, needs.peakFactor),
      throughputUnitsFor([devicesStream(needs)], needs.peakFactor),
    ]);
    const { lines, obstacles } = planAzure(environment, needs, PRICES.azure);
    const hours = (item: string) =>
      lines.filter((line) => line.item === item).reduce((sum, { quantity }) => sum + quantity, 0) / HOURS_A_MONTH;
    expect(hours('throughputUnitHour')).toBe(units[0]! + units[1]!);
    // Those of the functions and of models are named as not priced (docs/environments.md).
    const endpoints = site.found('azurerm_private_endpoint').filter(({ path }) => !path.includes('/functions/'));
    expect(hours('endpointHour')).toBe(endpoints.length);
    expect(obstacles).toEqual([]);
  });

  it('is reached by an endpoint within the network, at the port of Kafka, by services alone', () => {
    expect(inProd.one('azurerm_private_endpoint', 'event-stream/endpoint')).toMatchObject({
      private_service_connection: {
        private_connection_resource_id: expect.stringContaining('event-stream_namespace'),
        subresource_names: ['namespace'],
      },
    });
    const opened = (site: Synthesized) =>
      (site.one('azurerm_network_security_group', 'endpoints-rules')['security_rule'] as readonly Attributes[]).filter(
        (rule) => rule['destination_port_range'] === '9093',
      );
    expect(opened(inProd)).toEqual([
      expect.objectContaining({
        direction: 'Inbound',
        access: 'Allow',
        protocol: 'Tcp',
        source_address_prefix: '10.50.0.0/20',
        destination_address_prefix: '10.50.128.0/20',
      }),
    ]);
    expect(opened(synthesized(shipped('bergen.prod'), 'azure'))).toEqual([]);
  });

  it('is reached from pods at that port too, in the subnet of the endpoints and nowhere else', () => {
    const toKafka = (site: Synthesized, service: string) => {
      const { egress } = site.one('kubernetes_network_policy_v1', `network/${service}`)['spec'] as {
        readonly egress: readonly Attributes[];
      };
      return egress.filter(({ ports }) => JSON.stringify(ports).includes('9093'));
    };
    const pods = synthesized(inCluster(prod), 'azure');
    for (const { service } of demand.services)
      expect(toKafka(pods, service)).toEqual([
        { to: [{ ip_block: { cidr: '10.50.128.0/20' } }], ports: [{ port: '9093', protocol: 'TCP' }] },
      ]);
    expect(toKafka(synthesized(inCluster(shipped('bergen.prod')), 'azure'), 'timeseries-service')).toEqual([]);
  });

  it('writes what it refuses and how groups change hands into the logs', () => {
    const logged = inProd.one('azurerm_monitor_diagnostic_setting', 'event-stream/logs')['enabled_log'];
    expect(logged).toEqual(
      ['OperationalLogs', 'KafkaCoordinatorLogs', 'KafkaUserErrorLogs'].map((category) => ({ category })),
    );
  });
});

describe('the streams of the platform', () => {
  it('are topics of the partitions that are priced, kept as long as the environment says, and have no groups of Azure', () => {
    expect(new Set(topics.map(({ is }) => is['name']))).toEqual(new Set(STREAMS.map((stream) => `tribo.${stream}`)));
    for (const flow of demand.streams)
      expect(inProd.one('azurerm_eventhub', `event-stream/${flow.stream}`)).toMatchObject({
        namespace_id: expect.stringContaining('event-stream_namespace'),
        partition_count: partitionsFor(flow, demand.peakFactor, prod.sizes),
        message_retention: prod.retention.streamHours / 24,
        lifecycle: { prevent_destroy: true },
      });
    expect(inProd.resources.filter(({ type }) => type === 'azurerm_eventhub_consumer_group')).toEqual([]);
  });

  it('let in each service that asks for them by what the adapter declares, on their namespace alone', () => {
    const rights = inProd
      .found('azurerm_role_assignment')
      .filter(({ path }) => path.startsWith('platform/service-identities/') && path.endsWith('-namespace'));
    expect(new Set(rights.map(({ path }) => path.split('/').at(-1)))).toEqual(
      new Set(
        demand.services
          .filter(({ service }) => SERVICE_PORTS[service]!.includes('eventStream'))
          .map(({ service }) => `${service}-namespace`),
      ),
    );
    for (const { is } of rights) {
      expect(is['scope']).toMatch(/azurerm_eventhub_namespaceevent-stream_namespace_\w+id\}$/);
      expect(is['role_definition_id']).toContain('service-identities_role-messages-receive-send');
    }
    const [role] = inProd.one('azurerm_role_definition', 'role-messages-receive-send')[
      'permissions'
    ] as readonly Attributes[];
    expect(role).toEqual({
      actions: [],
      data_actions: eventHubsKafkaPermissions.flatMap(({ actions }) => actions).toSorted(),
    });
  });

  it('are apart from what devices sent, which the gateway reads, and the hub and the function alone send', () => {
    const onDevices = inProd
      .found('azurerm_role_assignment')
      .filter(({ is }) => (is['scope'] as string).includes('device-hub'));
    const roleOf = (is: Attributes) => is['role_definition_name'] ?? is['role_definition_id'];
    expect(Object.fromEntries(onDevices.map(({ path, is }) => [path, roleOf(is)]))).toEqual({
      'platform/device-gateway/sends': 'Azure Event Hubs Data Sender',
      'platform/functions/sends': 'Azure Event Hubs Data Sender',
      'platform/service-identities/ingestion-service-event-hub-devices': expect.stringMatching(
        /role-messages-receive_[0-9A-F]+\./,
      ),
    });
  });
});

describe('alarms', () => {
  const alarm = (part: string) => inProd.one('azurerm_monitor_metric_alert', `alarms/${part}`);

  it.each([
    ['streams', 'event-stream'],
    ['device-events', 'device-hub'],
  ])('call when the namespace throttles or fails: %s', (part, path) => {
    for (const [kind, metric] of [
      ['throttled', 'ThrottledRequests'],
      ['fail', 'ServerErrors'],
    ] as const) {
      expect(alarm(`${part}-${kind}`)['scopes']).toEqual([expect.stringContaining(`${path}_namespace`)]);
      expect(alarm(`${part}-${kind}`)['criteria']).toEqual([expect.objectContaining({ metric_name: metric })]);
    }
  });

  it.each([
    ['metrics', 'tribo.metrics', 'event-stream'],
    ['devices', 'devices', 'device-hub'],
  ])('call when nobody reads %s', (part, hub, path) => {
    expect(alarm(`${part}-unread`)['scopes']).toEqual([expect.stringContaining(`${path}_namespace`)]);
    for (const criterion of alarm(`${part}-unread`)['criteria'] as readonly Attributes[])
      expect(criterion['dimension']).toEqual([{ name: 'EntityName', operator: 'Include', values: [hub] }]);
  });

  it('and the dashboard watch both namespaces', () => {
    const shown = JSON.stringify(inProd.one('azurerm_portal_dashboard', 'dashboard/site'));
    for (const path of ['event-stream', 'device-hub']) expect(shown).toContain(`${path}_namespace`);
  });
});
