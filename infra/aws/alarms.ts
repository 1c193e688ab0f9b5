import { Construct } from 'constructs';
import { CloudwatchMetricAlarm } from '@cdktf/provider-aws/lib/cloudwatch-metric-alarm/index.js';
import type { AwsStack } from './aws-stack.ts';
import type { DataStack } from './data-stack.ts';
import { databaseConnections, databaseStorage } from './database-class.ts';
import type { Ingress } from './ingress.ts';
import { KafkaEventStream } from './kafka-event-stream.ts';
import type { LambdaFunctions } from './lambda-functions.ts';
import { WHOLE_BUCKET } from './s3-object-store.ts';
import { useOf } from './use-of.ts';

const GIB = 1024 ** 3;
const MINUTE_S = 60;

interface Parts {
  readonly data: DataStack;
  readonly ingress: Ingress;
  readonly functions: LambdaFunctions;
  /** Whom they call. */
  readonly topicArn: string;
}

/** A metric of CloudWatch, and when somebody is called for it. */
interface Watched {
  readonly namespace: string;
  readonly metricName: string;
  readonly dimensions: Readonly<Record<string, string>>;
  readonly statistic: 'Average' | 'Maximum' | 'Minimum' | 'Sum';
  readonly is: 'above' | 'below';
  readonly threshold: number;
  /** So many minutes in a row. */
  readonly minutes: number;
  /** What it means that nothing was measured: of what is always measured it is an alarm by itself. */
  readonly isAlwaysMeasured: boolean;
  readonly means: string;
}

/** What operators are called for (R154): services, database, streams, the API, objects and functions. */
export class Alarms extends Construct {
  readonly #stack: AwsStack;
  readonly #topicArn: string;

  constructor(scope: AwsStack, id: string, { data, ingress, functions, topicArn }: Parts) {
    super(scope, id);
    this.#stack = scope;
    this.#topicArn = topicArn;
    for (const { service } of scope.site.demand.services) this.#service(service);
    this.#database(data);
    this.#streams(data);
    this.#api(ingress);
    this.#objects(data);
    this.#tables(data);
    this.#functions(functions);
  }

  #service(service: string): void {
    const of = {
      statistic: 'Average',
      is: 'above',
      minutes: 15,
      isAlwaysMeasured: true,
    } as const;
    this.#call(`${service}-cpu`, {
      ...of,
      ...useOf(this.#stack, service, 'cpu'),
      threshold: 85,
      means: `${service} is at the end of its CPU with all copies that it may have, or does not run`,
    });
    this.#call(`${service}-memory`, {
      ...of,
      ...useOf(this.#stack, service, 'memory'),
      threshold: 85,
      means: `${service} is about to be ended for want of memory, or does not run`,
    });
  }

  #database({ database: { identifier } }: DataStack): void {
    const of = {
      namespace: 'AWS/RDS',
      dimensions: { DBInstanceIdentifier: identifier },
      minutes: 10,
      isAlwaysMeasured: true,
    } as const;
    this.#call('database-cpu', {
      ...of,
      metricName: 'CPUUtilization',
      statistic: 'Average',
      is: 'above',
      threshold: 80,
      means: 'The database is at the end of its CPU',
    });
    this.#call('database-storage', {
      ...of,
      metricName: 'FreeStorageSpace',
      statistic: 'Minimum',
      is: 'below',
      threshold: Math.round(databaseStorage(this.#stack.site) * 0.15 * GIB),
      means: 'The database has less than 15 % of its first size left; it grows by itself, up to three times that',
    });
    this.#call('database-connections', {
      ...of,
      metricName: 'DatabaseConnections',
      statistic: 'Maximum',
      is: 'above',
      threshold: databaseConnections(this.#stack.site).ofServices,
      means: 'More connections to the database than all copies of the services may have, also during a release',
    });
  }

  #streams({ eventStream, kinesisStreams }: DataStack): void {
    for (const [name, stream] of Object.entries(kinesisStreams)) {
      const of = {
        namespace: 'AWS/Kinesis',
        dimensions: { StreamName: stream.nameInput! },
        // A stream on which nothing comes has no metrics, and a small site has such.
        isAlwaysMeasured: false,
        is: 'above',
        minutes: 5,
      } as const;
      this.#call(`${name}-lag`, {
        ...of,
        metricName: 'GetRecords.IteratorAgeMilliseconds',
        statistic: 'Maximum',
        threshold: this.#longestLagMs,
        means: `A consumer of ${name} is a quarter of the retention behind: what it does not read in time is lost`,
      });
      this.#call(`${name}-throttled`, {
        ...of,
        metricName: 'WriteProvisionedThroughputExceeded',
        statistic: 'Sum',
        threshold: 100,
        means: `${name} has too few shards for what comes`,
      });
    }
    if (eventStream instanceof KafkaEventStream) this.#kafka(eventStream);
  }

  /** A quarter of the retention: long before what is not read is gone. */
  get #longestLagMs(): number {
    return (this.#stack.site.environment.retention.streamHours * 3_600_000) / 4;
  }

  #kafka({ clusterName, brokers }: KafkaEventStream): void {
    const ofCluster = {
      namespace: 'AWS/Kafka',
      dimensions: { 'Cluster Name': clusterName },
      statistic: 'Maximum',
      is: 'above',
      minutes: 5,
      isAlwaysMeasured: true,
    } as const;
    this.#call('kafka-offline', {
      ...ofCluster,
      metricName: 'OfflinePartitionsCount',
      threshold: 0,
      means: 'Partitions have no broker that leads them: nothing is written to them',
    });
    for (let broker = 1; broker <= brokers; broker++) {
      const ofBroker = { ...ofCluster, dimensions: { 'Cluster Name': clusterName, 'Broker ID': String(broker) } };
      this.#call(`kafka-${broker}-replicas`, {
        ...ofBroker,
        metricName: 'UnderMinIsrPartitionCount',
        threshold: 0,
        means: `Partitions that broker ${broker} leads have too few replicas: nothing is written to them`,
      });
      this.#call(`kafka-${broker}-disk`, {
        ...ofBroker,
        metricName: 'KafkaDataLogsDiskUsed',
        threshold: 85,
        means: `The disk of broker ${broker} is nearly full, with all that it may grow by`,
      });
      this.#call(`kafka-${broker}-cpu`, {
        ...ofBroker,
        metricName: 'CpuUser',
        statistic: 'Average',
        threshold: 60,
        minutes: 15,
        means: `Broker ${broker} is at the end of its CPU, or does not run`,
      });
    }
    this.#kafkaLag(clusterName);
  }

  /** Of whichever group of whichever topic is the furthest behind: groups come and go, and no alarm is of a search. */
  #kafkaLag(clusterName: string): void {
    const furthest = `SELECT MAX(EstimatedMaxTimeLag) FROM SCHEMA("AWS/Kafka", "Cluster Name", "Consumer Group", "Topic") WHERE "Cluster Name" = '${clusterName}'`;
    new CloudwatchMetricAlarm(this, 'kafka-lag', {
      ...this.#calls(
        'kafka-lag',
        'A consumer is a quarter of the retention behind: what it does not read in time is lost',
      ),
      metricQuery: [{ id: 'lag', expression: furthest, label: 'Seconds behind', period: MINUTE_S, returnData: true }],
      comparisonOperator: 'GreaterThanThreshold',
      threshold: this.#longestLagMs / 1000,
      evaluationPeriods: 5,
      datapointsToAlarm: 5,
      // Nothing is behind where nothing was ever published.
      treatMissingData: 'notBreaching',
    });
  }

  #api({ balancer, targetGroup }: Ingress): void {
    const of = {
      namespace: 'AWS/ApplicationELB',
      dimensions: { LoadBalancer: balancer.arnSuffix },
      statistic: 'Sum',
      is: 'above',
      minutes: 5,
      // Nobody asked, nothing failed.
      isAlwaysMeasured: false,
    } as const;
    this.#call('api-5xx', {
      ...of,
      metricName: 'HTTPCode_Target_5XX_Count',
      threshold: 10,
      means: 'The API fails',
    });
    this.#call('api-away', {
      ...of,
      metricName: 'HTTPCode_ELB_5XX_Count',
      threshold: 10,
      means: 'The balancer reaches no API',
    });
    this.#call('api-4xx', {
      ...of,
      metricName: 'HTTPCode_Target_4XX_Count',
      threshold: 1000,
      means: 'Many calls are refused: a client that is wrong, or somebody who tries',
    });
    this.#call('api-healthy', {
      ...of,
      metricName: 'HealthyHostCount',
      dimensions: { LoadBalancer: balancer.arnSuffix, TargetGroup: targetGroup.arnSuffix },
      statistic: 'Minimum',
      is: 'below',
      threshold: 1,
      isAlwaysMeasured: true,
      means: 'No copy of the API is healthy',
    });
  }

  #objects({ objectStore }: DataStack): void {
    for (const metricName of ['4xxErrors', '5xxErrors'] as const)
      this.#call(`objects-${metricName.slice(0, 3)}`, {
        namespace: 'AWS/S3',
        metricName,
        dimensions: { BucketName: objectStore.bucket, FilterId: WHOLE_BUCKET },
        statistic: 'Sum',
        is: 'above',
        threshold: metricName === '5xxErrors' ? 10 : 1000,
        minutes: 5,
        isAlwaysMeasured: false,
        means: 'The store of objects refuses or fails calls: waveforms are not kept',
      });
  }

  #tables({ stateTables }: DataStack): void {
    for (const [part, { name }] of Object.entries(stateTables))
      this.#call(`${part}-table`, {
        namespace: 'AWS/DynamoDB',
        // Of the table as a whole: `ThrottledRequests` is counted by operation alone.
        metricName: 'WriteThrottleEvents',
        dimensions: { TableName: name },
        statistic: 'Sum',
        is: 'above',
        threshold: 0,
        minutes: 5,
        isAlwaysMeasured: false,
        means: 'Leases and checkpoints cannot be written',
      });
  }

  #functions({ functionName, failedQueueName }: LambdaFunctions): void {
    this.#call('sensor-data-failed', {
      namespace: 'AWS/SQS',
      metricName: 'ApproximateNumberOfMessagesVisible',
      dimensions: { QueueName: failedQueueName },
      statistic: 'Maximum',
      is: 'above',
      threshold: 0,
      minutes: 1,
      // Of a queue that nothing was in for hours nothing is measured.
      isAlwaysMeasured: false,
      means: 'Readings of the topic could not be handed to intake: they wait in the queue for whoever mends it',
    });
    this.#call('sensor-data-throttled', {
      namespace: 'AWS/Lambda',
      metricName: 'Throttles',
      dimensions: { FunctionName: functionName },
      statistic: 'Sum',
      is: 'above',
      threshold: 100,
      minutes: 15,
      isAlwaysMeasured: false,
      means: 'More is published to the topic than the function may take at a time',
    });
  }

  #call(part: string, watched: Watched): void {
    const { namespace, metricName, dimensions, statistic, is, threshold, minutes, isAlwaysMeasured, means } = watched;
    new CloudwatchMetricAlarm(this, part, {
      ...this.#calls(part, means),
      ...{ namespace, metricName, dimensions, statistic, threshold },
      comparisonOperator: is === 'above' ? 'GreaterThanThreshold' : 'LessThanThreshold',
      period: MINUTE_S,
      evaluationPeriods: minutes,
      datapointsToAlarm: minutes,
      treatMissingData: isAlwaysMeasured ? 'breaching' : 'notBreaching',
    });
  }

  #calls(part: string, means: string) {
    return {
      alarmName: this.#stack.site.names.of(part),
      alarmDescription: means,
      alarmActions: [this.#topicArn],
      okActions: [this.#topicArn],
    };
  }
}
