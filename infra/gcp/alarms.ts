import { Construct } from 'constructs';
import { MonitoringAlertPolicy } from '@cdktf/provider-google/lib/monitoring-alert-policy/index.js';
import {
  MonitoringUptimeCheckConfig,
  type MonitoringUptimeCheckConfigConfig,
} from '@cdktf/provider-google/lib/monitoring-uptime-check-config/index.js';
import type { PubsubSubscription } from '@cdktf/provider-google/lib/pubsub-subscription/index.js';
import { eventsPerS } from '../../core/decision/demand.ts';
import type { ApiFront } from './api-front.ts';
import { DEVICES_PORT } from './broker-start.ts';
import type { DataStack } from './data-stack.ts';
import { databaseConnections } from './database-settings.ts';
import type { GcpStack } from './gcp-stack.ts';
import { KafkaEventStream } from './kafka-event-stream.ts';
import type { MqttDeviceGateway } from './mqtt-device-gateway.ts';
import type { PubsubEventStream } from './pubsub-event-stream.ts';
import type { PushFunctions } from './push-functions.ts';
import { databaseName } from './resource-names.ts';
import type { SecondRegion } from './second-region.ts';
import { copiesOf, useOf } from './use-of.ts';

const MINUTE_S = 60;
const DAY_S = 86_400;
/** Somebody is called long before a quarter of an hour, which is what may be lost (R176). */
const LATE_S = 300;

interface Parts {
  readonly data: DataStack;
  readonly ingress: ApiFront;
  readonly gateway: MqttDeviceGateway;
  readonly functions: PushFunctions;
  /** Whom they call. */
  readonly channel: string;
}

/** A metric of Cloud Monitoring, and when somebody is called for it. */
interface Watched {
  readonly filter: string;
  /** How the values of a minute become one. */
  readonly aligner: 'ALIGN_MEAN' | 'ALIGN_MAX' | 'ALIGN_DELTA' | 'ALIGN_PERCENTILE_95' | 'ALIGN_FRACTION_TRUE';
  /** How those of several things become one; of each its own without it. */
  readonly reducer?: 'REDUCE_SUM' | 'REDUCE_MEAN' | 'REDUCE_COUNT';
  /** Of which label's values each has one of its own. */
  readonly by?: string;
  readonly is: 'above' | 'below';
  readonly threshold: number;
  /** So many minutes in a row. */
  readonly minutes: number;
  /** Also for nothing being measured any more. */
  readonly isForSilence?: boolean;
  readonly means: string;
}

/** How something is asked whether it is there. */
type Asked = Pick<MonitoringUptimeCheckConfigConfig, 'httpCheck' | 'tcpCheck'> & { readonly means: string };

/** What operators are called for (R154): services, database, streams, the API, objects, brokers. */
export class Alarms extends Construct {
  readonly #stack: GcpStack;
  readonly #channel: string;

  constructor(scope: GcpStack, id: string, { data, ingress, gateway, functions, channel }: Parts) {
    super(scope, id);
    this.#stack = scope;
    this.#channel = channel;
    for (const { service } of scope.site.demand.services) this.#service(service);
    this.#database();
    this.#streams(data);
    this.#api(ingress);
    this.#objects(data);
    this.#brokers(gateway);
    this.#functions(functions);
    if (data.secondRegion) this.#secondRegion(data, data.secondRegion);
  }

  #service(service: string): void {
    const watched = { reducer: 'REDUCE_MEAN', is: 'above', minutes: 15 } as const;
    this.#call(`${service}-cpu`, {
      ...watched,
      ...useOf(this.#stack, service, 'cpu'),
      threshold: 0.85,
      means: `${service} is at the end of its CPU with all copies that it may have`,
    });
    this.#call(`${service}-memory`, {
      ...watched,
      ...useOf(this.#stack, service, 'memory'),
      threshold: 0.85,
      means: `${service} is about to be ended for want of memory`,
    });
    this.#call(`${service}-away`, {
      ...copiesOf(this.#stack, service),
      is: 'below',
      threshold: 1,
      minutes: 10,
      isForSilence: true,
      means: `No copy of ${service} runs`,
    });
  }

  #database(): void {
    const of = `resource.type="cloudsql_database" AND resource.labels.database_id="${this.#stack.project}:${databaseName(this.#stack.site)}"`;
    const watched = { aligner: 'ALIGN_MEAN', is: 'above', minutes: 10 } as const;
    const metric = (name: string) => `${of} AND metric.type="cloudsql.googleapis.com/database/${name}"`;
    this.#call('database-cpu', {
      ...watched,
      filter: metric('cpu/utilization'),
      threshold: 0.8,
      means: 'The database is at the end of its CPU',
    });
    this.#call('database-storage', {
      ...watched,
      filter: metric('disk/utilization'),
      threshold: 0.85,
      means: 'The database has less than 15 % of its disk left; it grows by itself, up to three times its first size',
    });
    this.#call('database-connections', {
      ...watched,
      reducer: 'REDUCE_SUM',
      filter: metric('postgresql/num_backends'),
      threshold: databaseConnections(this.#stack.site).ofServices,
      means: 'More connections to the database than all copies of the services may have, also during a release',
    });
  }

  #streams({ eventStream }: DataStack): void {
    if (eventStream instanceof KafkaEventStream) this.#kafka(eventStream);
    else this.#pubsub(eventStream);
  }

  /** Long before what is not read is gone. */
  get #longestLagS(): number {
    return (this.#stack.site.environment.retention.streamHours * 3600) / 4;
  }

  #pubsub(eventStream: PubsubEventStream): void {
    const { topicPrefix } = eventStream.section;
    for (const stream of eventStream.topics.keys())
      this.#call(`${stream}-lag`, {
        filter: `resource.type="pubsub_subscription" AND resource.labels.subscription_id=starts_with("${topicPrefix}${stream}.") AND metric.type="pubsub.googleapis.com/subscription/oldest_unacked_message_age"`,
        aligner: 'ALIGN_MAX',
        is: 'above',
        threshold: this.#longestLagS,
        minutes: 5,
        means: `A consumer of ${stream} is a quarter of the retention behind: what it does not read in time is lost`,
      });
    this.#kept(
      'dead-letters',
      eventStream.deadLetters,
      'Events were delivered too often, and are kept apart for somebody to look at',
    );
  }

  /** Of how far groups are behind Google counts events, which are compared with what comes in a quarter of the retention. */
  #kafka({ clusterId, topics, section }: KafkaEventStream): void {
    const ofTopic = (kind: string) =>
      `resource.type="managedkafka.googleapis.com/${kind}" AND resource.labels.cluster_id="${clusterId}"`;
    for (const flow of this.#stack.site.demand.streams)
      this.#call(`${flow.stream}-lag`, {
        filter: `${ofTopic('TopicPartitionConsumerGroup')} AND resource.labels.topic_id="${topics.get(flow.stream)!.topicIdInput!}" AND metric.type="managedkafka.googleapis.com/offset_lag"`,
        aligner: 'ALIGN_MAX',
        reducer: 'REDUCE_SUM',
        by: 'resource.label.consumer_group_id',
        is: 'above',
        threshold: Math.ceil(eventsPerS(flow) * this.#longestLagS),
        minutes: 5,
        means: `A consumer of ${flow.stream} is a quarter of the retention behind: what it does not read in time is lost`,
      });
    this.#call('kafka-errors', {
      filter: `${ofTopic('Topic')} AND resource.labels.topic_id=starts_with("${section.prefix!}") AND metric.type="managedkafka.googleapis.com/topic_error_count"`,
      aligner: 'ALIGN_DELTA',
      reducer: 'REDUCE_SUM',
      is: 'above',
      threshold: 10,
      minutes: 5,
      means: 'Brokers refuse or fail what is published or read: too few replicas, or no leader',
    });
  }

  #functions({ waiting, failed }: PushFunctions): void {
    this.#kept(
      'sensor-data-failed',
      failed,
      'Readings that were published to the topic could not be handed to intake, and are kept apart for two weeks',
    );
    this.#call('sensor-data-waits', {
      filter: ofSubscription(waiting, 'oldest_unacked_message_age'),
      aligner: 'ALIGN_MAX',
      is: 'above',
      threshold: 15 * MINUTE_S,
      minutes: 5,
      means: 'Readings that were published to the topic wait: the broker is away, or the function fails',
    });
  }

  /** Somebody is called for the first that is in it. */
  #kept(part: string, subscription: PubsubSubscription, means: string): void {
    this.#call(part, {
      filter: ofSubscription(subscription, 'num_undelivered_messages'),
      aligner: 'ALIGN_MAX',
      is: 'above',
      threshold: 0,
      minutes: 5,
      means,
    });
  }

  #api({ ofMetrics }: ApiFront): void {
    const { environment } = this.#stack.site;
    const of = `resource.type="https_lb_rule" AND ${ofMetrics} AND metric.type="loadbalancing.googleapis.com/https/request_count"`;
    const watched = { aligner: 'ALIGN_DELTA', reducer: 'REDUCE_SUM', is: 'above', minutes: 5 } as const;
    for (const [part, code, threshold, means] of [
      ['api-5xx', 500, 10, 'The API fails, or the balancer does not reach it'],
      ['api-4xx', 400, 1000, 'Many calls are refused: a client that is wrong, or somebody who tries'],
    ] as const)
      this.#call(part, {
        ...watched,
        filter: `${of} AND metric.labels.response_code_class=${code}`,
        threshold,
        means,
      });
    this.#away('api', environment.domain, {
      httpCheck: { path: '/health/live', port: 443, useSsl: true, validateSsl: true, requestMethod: 'GET' },
      means: 'The API does not answer to most places of the world',
    });
  }

  /** Asked from several places of the world, each minute. */
  #away(part: 'api' | 'broker', host: string, { means, ...how }: Asked): void {
    const check = new MonitoringUptimeCheckConfig(this, `${part}-answers`, {
      displayName: this.#stack.site.names.of(part, 100),
      timeout: '10s',
      period: '60s',
      ...how,
      monitoredResource: { type: 'uptime_url', labels: { project_id: this.#stack.project, host } },
    });
    this.#call(`${part}-away`, {
      filter: `resource.type="uptime_url" AND metric.type="monitoring.googleapis.com/uptime_check/check_passed" AND metric.labels.check_id="${check.uptimeCheckId}"`,
      aligner: 'ALIGN_FRACTION_TRUE',
      reducer: 'REDUCE_MEAN',
      is: 'below',
      threshold: 0.5,
      minutes: 5,
      means,
    });
  }

  #objects({ objectStore }: DataStack): void {
    this.#call('objects', {
      filter: `resource.type="gcs_bucket" AND resource.labels.bucket_name="${objectStore.bucket.name}" AND metric.type="storage.googleapis.com/api/request_count" AND metric.labels.response_code!="OK" AND metric.labels.response_code!="NOT_FOUND"`,
      aligner: 'ALIGN_DELTA',
      reducer: 'REDUCE_SUM',
      is: 'above',
      threshold: 10,
      minutes: 5,
      means: 'The store of objects refuses or fails calls: waveforms are not kept',
    });
  }

  /** What would be lost with the first region. */
  #secondRegion({ objectStore, auditStore }: DataStack, { replica }: SecondRegion): void {
    const copy = `${this.#stack.project}:${replica.nameInput!}`;
    this.#call('database-second-late', {
      filter: `resource.type="cloudsql_database" AND resource.labels.database_id="${copy}" AND metric.type="cloudsql.googleapis.com/database/replication/replica_lag"`,
      aligner: 'ALIGN_MAX',
      is: 'above',
      threshold: LATE_S,
      minutes: 5,
      isForSilence: true,
      means: 'The copy of the database in the second region is minutes behind, or away: so much is lost with the first',
    });
    for (const [part, bucket] of [
      ['objects-second-late', objectStore.bucket],
      ['audit-second-late', auditStore.audit],
    ] as const)
      this.#call(part, {
        filter: `resource.type="gcs_bucket" AND resource.labels.bucket_name="${bucket.name}" AND metric.type="storage.googleapis.com/replication/meeting_rpo"`,
        aligner: 'ALIGN_FRACTION_TRUE',
        is: 'below',
        threshold: 1,
        minutes: 5,
        means: 'What was written a quarter of an hour ago is not in both regions yet: it is lost with the first',
      });
  }

  #brokers({ groupNames, devicesHost }: MqttDeviceGateway): void {
    this.#away('broker', devicesHost, {
      tcpCheck: { port: DEVICES_PORT },
      means: 'No broker takes connections: devices keep what they measure, or lose it',
    });
    for (const [index, group] of groupNames.entries())
      this.#call(`broker-${index}-cpu`, {
        filter: `resource.type="gce_instance" AND metric.type="compute.googleapis.com/instance/cpu/utilization" AND metric.labels.instance_name=starts_with("${group}-")`,
        aligner: 'ALIGN_MEAN',
        is: 'above',
        threshold: 0.8,
        minutes: 15,
        means: 'A broker is at the end of its CPU: devices wait for their acknowledgements',
      });
  }

  #call(part: string, { filter, aligner, reducer, by, is, threshold, minutes, isForSilence, means }: Watched): void {
    new MonitoringAlertPolicy(this, part, {
      displayName: this.#stack.site.names.of(part, 100),
      combiner: 'OR',
      severity: 'ERROR',
      documentation: { content: means, mimeType: 'text/markdown' },
      conditions: [
        {
          displayName: means.slice(0, 100),
          conditionThreshold: {
            filter,
            comparison: is === 'above' ? 'COMPARISON_GT' : 'COMPARISON_LT',
            thresholdValue: threshold,
            duration: `${minutes * MINUTE_S}s`,
            trigger: { count: 1 },
            ...(isForSilence && { evaluationMissingData: 'EVALUATION_MISSING_DATA_ACTIVE' }),
            aggregations: [
              {
                alignmentPeriod: `${MINUTE_S}s`,
                perSeriesAligner: aligner,
                ...(reducer && { crossSeriesReducer: reducer }),
                ...(by !== undefined && { groupByFields: [by] }),
              },
            ],
          },
        },
      ],
      alertStrategy: { autoClose: `${DAY_S}s` },
      notificationChannels: [this.#channel],
    });
  }
}

function ofSubscription({ nameInput }: PubsubSubscription, metric: string): string {
  return `resource.type="pubsub_subscription" AND resource.labels.subscription_id="${nameInput!}" AND metric.type="pubsub.googleapis.com/subscription/${metric}"`;
}
