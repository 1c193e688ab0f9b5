import { Construct } from 'constructs';
import { CloudwatchDashboard } from '@cdktf/provider-aws/lib/cloudwatch-dashboard/index.js';
import type { AwsStack } from './aws-stack.ts';
import type { DataStack } from './data-stack.ts';
import type { Ingress } from './ingress.ts';

type Metric = readonly [string, string, ...string[]];

const WIDTH = 12;
const HEIGHT = 6;
const COLUMNS = 24 / WIDTH;

/** The site on one page, in the order in which data flows. */
export class Dashboard extends Construct {
  constructor(scope: AwsStack, id: string, { data, ingress }: { readonly data: DataStack; readonly ingress: Ingress }) {
    super(scope, id);
    const { names, demand, region } = scope.site;
    const streams = [data.deviceStreams.messages, ...Object.values(data.eventStream.streams)].map(
      ({ nameInput }) => nameInput!,
    );
    const services = demand.services.map(({ service }) => service);
    const ofStreams = (metric: string) => streams.map((name): Metric => ['AWS/Kinesis', metric, 'StreamName', name]);
    const ofServices = (metric: string) =>
      services.map((name): Metric => ['AWS/ECS', metric, 'ClusterName', names.base, 'ServiceName', name]);
    const ofDatabase = (metric: string): Metric => [
      'AWS/RDS',
      metric,
      'DBInstanceIdentifier',
      data.database.identifier,
    ];
    const ofApi = (metric: string): Metric => [
      'AWS/ApplicationELB',
      metric,
      'LoadBalancer',
      ingress.balancer.arnSuffix,
    ];
    const charts: readonly [string, string, readonly Metric[]][] = [
      ['Streams: bytes in', 'Sum', ofStreams('IncomingBytes')],
      ['Streams: how far readers are behind, ms', 'Maximum', ofStreams('GetRecords.IteratorAgeMilliseconds')],
      ['Services: CPU, %', 'Average', ofServices('CPUUtilization')],
      ['Services: memory, %', 'Average', ofServices('MemoryUtilization')],
      ['Database: CPU, %', 'Average', [ofDatabase('CPUUtilization')]],
      ['Database: free storage, bytes', 'Minimum', [ofDatabase('FreeStorageSpace')]],
      [
        'API: requests',
        'Sum',
        [ofApi('RequestCount'), ofApi('HTTPCode_Target_4XX_Count'), ofApi('HTTPCode_Target_5XX_Count')],
      ],
      ['API: time to answer, s', 'p95', [ofApi('TargetResponseTime')]],
    ];
    new CloudwatchDashboard(this, 'site', {
      dashboardName: names.base,
      dashboardBody: JSON.stringify({
        widgets: charts.map(([title, stat, metrics], index) => ({
          type: 'metric',
          x: (index % COLUMNS) * WIDTH,
          y: Math.floor(index / COLUMNS) * HEIGHT,
          width: WIDTH,
          height: HEIGHT,
          properties: { title, stat, metrics, region, period: 60, view: 'timeSeries' },
        })),
      }),
    });
  }
}
