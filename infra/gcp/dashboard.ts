import { Construct } from 'constructs';
import { MonitoringDashboard } from '@cdktf/provider-google/lib/monitoring-dashboard/index.js';
import type { ApiFront } from './api-front.ts';
import type { DataStack } from './data-stack.ts';
import type { GcpStack } from './gcp-stack.ts';
import { KafkaEventStream } from './kafka-event-stream.ts';
import { databaseName } from './resource-names.ts';
import { useOf } from './use-of.ts';

const WIDTH = 24;
const HEIGHT = 16;
const COLUMNS = 2;
const MINUTE = '60s';

/** A chart: its title, how the values of a minute become one, and what it shows. */
type Chart = readonly [title: string, aligner: string, filters: readonly string[]];

/** The site on one page, in the order in which data flows. */
export class Dashboard extends Construct {
  constructor(
    scope: GcpStack,
    id: string,
    { data, ingress }: { readonly data: DataStack; readonly ingress: ApiFront },
  ) {
    super(scope, id);
    const { names, demand } = scope.site;
    const useChart = (title: string, resource: 'cpu' | 'memory'): Chart => {
      const uses = demand.services.map(({ service }) => useOf(scope, service, resource));
      return [title, uses[0]!.aligner, uses.map(({ filter }) => filter)];
    };
    const ofDatabase = (metric: string) => [
      `resource.type="cloudsql_database" AND resource.labels.database_id="${scope.project}:${databaseName(scope.site)}" AND metric.type="cloudsql.googleapis.com/database/${metric}"`,
    ];
    const ofApi = (metric: string) => [
      `resource.type="https_lb_rule" AND ${ingress.ofMetrics} AND metric.type="loadbalancing.googleapis.com/https/${metric}"`,
    ];
    const charts: readonly Chart[] = [
      ...streamCharts(data),
      useChart('Services: CPU', 'cpu'),
      useChart('Services: memory', 'memory'),
      ['Database: CPU', 'ALIGN_MEAN', ofDatabase('cpu/utilization')],
      ['Database: disk', 'ALIGN_MEAN', ofDatabase('disk/utilization')],
      ['API: requests a second', 'ALIGN_RATE', ofApi('request_count')],
      ['API: time to answer, ms', 'ALIGN_PERCENTILE_95', ofApi('total_latencies')],
    ];
    new MonitoringDashboard(this, 'site', {
      dashboardJson: JSON.stringify({
        displayName: names.base,
        mosaicLayout: {
          columns: WIDTH * COLUMNS,
          tiles: charts.map(([title, aligner, filters], index) => ({
            xPos: (index % COLUMNS) * WIDTH,
            yPos: Math.floor(index / COLUMNS) * HEIGHT,
            width: WIDTH,
            height: HEIGHT,
            widget: { title, xyChart: { dataSets: filters.map((filter) => dataSet(filter, aligner)) } },
          })),
        },
      }),
    });
  }
}

function streamCharts({ eventStream }: DataStack): readonly Chart[] {
  if (eventStream instanceof KafkaEventStream) {
    const of = (kind: string, metric: string) =>
      `resource.type="managedkafka.googleapis.com/${kind}" AND resource.labels.cluster_id="${eventStream.clusterId}" AND metric.type="managedkafka.googleapis.com/${metric}"`;
    return [
      ['Streams: events in a second', 'ALIGN_RATE', [of('Topic', 'message_in_count')]],
      ['Streams: how far readers are behind, events', 'ALIGN_MAX', [of('TopicPartitionConsumerGroup', 'offset_lag')]],
    ];
  }
  const { topicPrefix } = eventStream.section;
  return [
    [
      'Streams: bytes in a second',
      'ALIGN_RATE',
      [
        `resource.type="pubsub_topic" AND resource.labels.topic_id=starts_with("${topicPrefix}") AND metric.type="pubsub.googleapis.com/topic/byte_cost"`,
      ],
    ],
    [
      'Streams: how far readers are behind, s',
      'ALIGN_MAX',
      [
        `resource.type="pubsub_subscription" AND resource.labels.subscription_id=starts_with("${topicPrefix}") AND metric.type="pubsub.googleapis.com/subscription/oldest_unacked_message_age"`,
      ],
    ],
  ];
}

function dataSet(filter: string, perSeriesAligner: string) {
  const aggregation = { alignmentPeriod: MINUTE, perSeriesAligner };
  return { plotType: 'LINE', timeSeriesQuery: { timeSeriesFilter: { filter, aggregation } } };
}
