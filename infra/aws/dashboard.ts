import { Construct } from 'constructs';
import { CloudwatchDashboard } from '@cdktf/provider-aws/lib/cloudwatch-dashboard/index.js';
import type { AwsStack } from './aws-stack.ts';
import type { DataStack } from './data-stack.ts';
import type { Ingress } from './ingress.ts';
import { KafkaEventStream } from './kafka-event-stream.ts';
import type { LambdaFunctions } from './lambda-functions.ts';
import type { ServiceLevels } from './service-levels.ts';
import { useOf } from './use-of.ts';

type Metric = readonly [string, string, ...string[]];
/** Its title, how values of a minute are put together, and what it shows. */
type Chart = readonly [string, string, readonly Metric[]];

const WIDTH = 12;
const HEIGHT = 6;
const COLUMNS = 24 / WIDTH;

interface Parts {
  readonly data: DataStack;
  readonly ingress: Ingress;
  readonly functions: LambdaFunctions;
  readonly serviceLevels: ServiceLevels;
}

/** The site on one page, what people would notice first and then in the order in which data flows. */
export class Dashboard extends Construct {
  constructor(scope: AwsStack, id: string, { data, ingress, functions, serviceLevels }: Parts) {
    super(scope, id);
    const { names, demand, region } = scope.site;
    const streams = Object.values(data.kinesisStreams).map(({ nameInput }) => nameInput!);
    const services = demand.services.map(({ service }) => service);
    const ofStreams = (metric: string) => streams.map((name): Metric => ['AWS/Kinesis', metric, 'StreamName', name]);
    const ofServices = (resource: 'cpu' | 'memory') =>
      services.map((service): Metric => {
        const { namespace, metricName, dimensions } = useOf(scope, service, resource);
        return [namespace, metricName, ...Object.entries(dimensions).flat()];
      });
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
    const ofFunction = (metric: string): Metric => ['AWS/Lambda', metric, 'FunctionName', functions.functionName];
    const charts: readonly Chart[] = [
      ['Streams: bytes in', 'Sum', ofStreams('IncomingBytes')],
      ['Streams: how far readers are behind, ms', 'Maximum', ofStreams('GetRecords.IteratorAgeMilliseconds')],
      ...kafkaCharts(data),
      ['Services: CPU, %', 'Average', ofServices('cpu')],
      ['Services: memory, %', 'Average', ofServices('memory')],
      ['Database: CPU, %', 'Average', [ofDatabase('CPUUtilization')]],
      ['Database: free storage, bytes', 'Minimum', [ofDatabase('FreeStorageSpace')]],
      [
        'API: requests',
        'Sum',
        [ofApi('RequestCount'), ofApi('HTTPCode_Target_4XX_Count'), ofApi('HTTPCode_Target_5XX_Count')],
      ],
      ['API: time to answer, s', 'p95', [ofApi('TargetResponseTime')]],
      ['Readings by the topic: calls and failures', 'Sum', [ofFunction('Invocations'), ofFunction('Errors')]],
    ];
    new CloudwatchDashboard(this, 'site', {
      dashboardName: names.base,
      dashboardBody: JSON.stringify({
        widgets: [
          {
            ...{ type: 'alarm', x: 0, y: 0, width: WIDTH * COLUMNS, height: HEIGHT },
            properties: { title: 'Error budgets', alarms: serviceLevels.alertArns },
          },
          ...charts.map(([title, stat, metrics], index) => ({
            type: 'metric',
            x: (index % COLUMNS) * WIDTH,
            y: (1 + Math.floor(index / COLUMNS)) * HEIGHT,
            width: WIDTH,
            height: HEIGHT,
            properties: { title, stat, metrics, region, period: 60, view: 'timeSeries' },
          })),
        ],
      }),
    });
  }
}

function kafkaCharts({ eventStream }: DataStack): readonly Chart[] {
  if (!(eventStream instanceof KafkaEventStream)) return [];
  const { clusterName, brokers } = eventStream;
  const ofBrokers = (metric: string) =>
    Array.from({ length: brokers }, (_, index): Metric => [
      ...(['AWS/Kafka', metric, 'Cluster Name', clusterName] as const),
      ...(['Broker ID', String(index + 1)] as const),
    ]);
  return [
    ['Kafka: CPU, %', 'Average', ofBrokers('CpuUser')],
    ['Kafka: disk, %', 'Maximum', ofBrokers('KafkaDataLogsDiskUsed')],
  ];
}
