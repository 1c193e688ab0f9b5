import { Fn } from 'cdktf';
import { Construct } from 'constructs';
import { PortalDashboard } from '@cdktf/provider-azurerm/lib/portal-dashboard/index.js';
import { AksCluster } from './aks-cluster.ts';
import type { AzureStack } from './azure-stack.ts';
import type { ContainerApps } from './container-apps.ts';
import type { DataStack } from './data-stack.ts';
import type { Ingress } from './ingress.ts';

/** In squares of the portal's grid. */
const WIDTH = 8;
const HEIGHT = 4;
const COLUMNS = 2;
const HOUR_MS = 3_600_000;
/** What the portal calls a chart's kind of summing up. */
const AGGREGATIONS = { sum: 1, least: 2, most: 3, mean: 4 } as const;

interface Metric {
  readonly on: string;
  readonly name: string;
  readonly namespace: string;
  readonly aggregation: keyof typeof AGGREGATIONS;
}

type Chart = readonly [title: string, metrics: readonly Metric[]];

interface Parts {
  readonly data: DataStack;
  readonly services: ContainerApps | AksCluster;
  readonly ingress: Ingress;
}

/** The site on one page, in the order in which data flows. */
export class Dashboard extends Construct {
  constructor(scope: AzureStack, id: string, { data, services, ingress }: Parts) {
    super(scope, id);
    const { site, place } = scope;
    const of =
      (on: string, namespace: string) =>
      (name: string, aggregation: Metric['aggregation']): Metric => ({ on, namespace, name, aggregation });
    const hub = of(data.iotHub.hub.id, 'microsoft.devices/iothubs');
    // Of one namespace, or of two where the devices' hub is not among Kafka's topics.
    const namespaces = [...new Set([data.deviceHub.namespace, data.eventStream.namespace])];
    const streams = (name: string) => namespaces.map(({ id }) => of(id, 'microsoft.eventhub/namespaces')(name, 'sum'));
    const database = of(data.database.server.id, 'microsoft.dbforpostgresql/flexibleservers');
    const api = of(ingress.profile.id, 'microsoft.cdn/profiles');
    const charts: readonly Chart[] = [
      ['Devices: messages', [hub('d2c.telemetry.ingress.success', 'sum'), hub('d2c.telemetry.egress.dropped', 'sum')]],
      ['Streams: events in and out', [...streams('IncomingMessages'), ...streams('OutgoingMessages')]],
      ['Streams: throttled', streams('ThrottledRequests')],
      ...chartsOf(services),
      ['Database: CPU, %', [database('cpu_percent', 'mean')]],
      ['Database: disk, %', [database('storage_percent', 'most')]],
      ['API: requests', [api('RequestCount', 'sum')]],
      ['API: refused and failed, %', [api('Percentage4XX', 'mean'), api('Percentage5XX', 'mean')]],
      ['API: time to answer, ms', [api('TotalLatency', 'mean')]],
    ];
    new PortalDashboard(this, 'site', {
      ...place,
      name: site.names.of('site', 64),
      dashboardProperties: Fn.jsonencode({
        lenses: {
          '0': {
            order: 0,
            parts: Object.fromEntries(charts.map(([title, metrics], at) => [at, part(title, metrics, at)])),
          },
        },
        metadata: {
          model: {
            timeRange: {
              type: 'MsPortalFx.Composition.Configuration.ValueTypes.TimeRange',
              value: { relative: { duration: 24, timeUnit: 1 } },
            },
          },
        },
      }),
    });
  }
}

/** What services use: of those in a cluster what their nodes do. */
function chartsOf(services: ContainerApps | AksCluster): readonly Chart[] {
  const mean = (on: string, namespace: string, name: string): Metric => ({ on, namespace, name, aggregation: 'mean' });
  if (services instanceof AksCluster) {
    const ofNodes = (name: string) => [mean(services.cluster.id, 'microsoft.containerservice/managedclusters', name)];
    return [
      ['Nodes: CPU, %', ofNodes('node_cpu_usage_percentage')],
      ['Nodes: memory, %', ofNodes('node_memory_working_set_percentage')],
    ];
  }
  const ofApps = (name: string) =>
    [...services.apps.values()].map(({ id }) => mean(id, 'microsoft.app/containerapps', name));
  return [
    ['Services: CPU, nanocores', ofApps('UsageNanoCores')],
    ['Services: memory, bytes', ofApps('WorkingSetBytes')],
  ];
}

/** One chart, in the form that the portal itself writes. */
function part(title: string, metrics: readonly Metric[], at: number) {
  const chart = {
    title,
    titleKind: 2,
    visualization: { chartType: 2 },
    timespan: { relative: { duration: 24 * HOUR_MS }, showUTCTime: true, grain: 1 },
    metrics: metrics.map(({ on, name, namespace, aggregation }) => ({
      resourceMetadata: { id: on },
      name,
      namespace,
      aggregationType: AGGREGATIONS[aggregation],
      metricVisualization: { displayName: name },
    })),
  };
  return {
    position: {
      x: (at % COLUMNS) * WIDTH,
      y: Math.floor(at / COLUMNS) * HEIGHT,
      colSpan: WIDTH,
      rowSpan: HEIGHT,
    },
    metadata: {
      type: 'Extension/HubsExtension/PartType/MonitorChartPart',
      inputs: [{ name: 'options', isOptional: true }],
      settings: { content: { options: { chart } } },
    },
  };
}
