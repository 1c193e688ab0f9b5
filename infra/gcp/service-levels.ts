import { Construct } from 'constructs';
import { MonitoringAlertPolicy } from '@cdktf/provider-google/lib/monitoring-alert-policy/index.js';
import { MonitoringCustomService } from '@cdktf/provider-google/lib/monitoring-custom-service/index.js';
import { MonitoringSlo, type MonitoringSloRequestBasedSli } from '@cdktf/provider-google/lib/monitoring-slo/index.js';
import { STREAM_GROUPS } from '../../services/shared/observability/stream-lag.ts';
import type { ApiFront } from './api-front.ts';
import type { DataStack } from './data-stack.ts';
import type { GcpStack } from './gcp-stack.ts';
import { PubsubEventStream } from './pubsub-event-stream.ts';

const MINUTE_S = 60;
const PERIOD_DAYS = 28;
/** So fast the API answers, at least so many of a hundred calls. */
const ANSWERS_WITHIN_MS = 1000;
const SOON_PERCENT = 99;
/** So soon what was published is stored, in at least so many of a hundred minutes. */
const STORED_WITHIN_S = 60;
const GOOD_MINUTES_PERCENT = 99;
/** The consumer group that stores what is on a stream. */
const STORING_GROUP = 'store';
/** How much faster than it may the error budget is spent, over which time: 2 % of it in an hour, 5 % in six (https://sre.google/workbook/alerting-on-slos/). */
const BURNS = [
  { part: 'fast', times: 14.4, minutes: 60, severity: 'CRITICAL' },
  { part: 'slow', times: 6, minutes: 360, severity: 'WARNING' },
] as const;

interface Parts {
  readonly data: DataStack;
  readonly ingress: ApiFront;
  /** Whom they call. */
  readonly channel: string;
}

interface Level {
  readonly sloId: string;
  /** What its alerts are called by. */
  readonly alert: string;
  readonly goalPercent: number;
  readonly promise: string;
  readonly calls: MonitoringSloRequestBasedSli;
  /** Of a budget that is spent too fast. */
  readonly means: string;
}

/**
 * What the environment promises, and alerts on how fast what it may miss of that is used up: that calls are answered, as its availability
 * has it, and that they are answered soon; and that what devices send, and what the platform makes of it, is stored soon.
 */
export class ServiceLevels extends Construct {
  constructor(
    scope: GcpStack,
    id: string,
    { data: { eventStream }, ingress: { ofMetrics, ofAnswers }, channel }: Parts,
  ) {
    super(scope, id);
    const { names, environment } = scope.site;
    const { serviceId } = new MonitoringCustomService(this, 'api', {
      serviceId: names.of('api', 63),
      displayName: names.of('api', 100),
    });
    const ofBalancer = (calls: string, metric: string) =>
      `resource.type="https_lb_rule" AND ${calls} AND metric.type="loadbalancing.googleapis.com/https/${metric}"`;
    const requests = ofBalancer(ofMetrics, 'request_count');
    const availability: Level = {
      ...{ sloId: 'availability', alert: 'burn', goalPercent: environment.availabilityPercent },
      promise: `${environment.availabilityPercent} % of calls are answered`,
      calls: {
        goodTotalRatio: {
          totalServiceFilter: requests,
          badServiceFilter: `${requests} AND metric.labels.response_code_class=500`,
        },
      },
      means: 'The API uses up its errors',
    };
    const answers: Level | undefined =
      ofAnswers === undefined ? undefined : soon(ofBalancer(ofAnswers, 'total_latencies'));
    for (const level of [availability, ...(answers ? [answers] : [])]) {
      const { sloId, goalPercent, promise, calls } = level;
      const slo = new MonitoringSlo(this, sloId, {
        ...{ service: serviceId, sloId, displayName: promise },
        // As it is promised: 99.9 / 100 is 0.9990000000000001.
        goal: Number((goalPercent / 100).toFixed(6)),
        rollingPeriodDays: PERIOD_DAYS,
        requestBasedSli: calls,
      });
      this.#alert(scope, level, slo.name, channel);
    }
    // Of topics of Kafka Google counts how many events a group is behind, and not for how long.
    if (eventStream instanceof PubsubEventStream) this.#stored(scope, eventStream, channel);
  }

  #alert({ site: { names } }: GcpStack, { alert, means }: Level, slo: string, channel: string): void {
    for (const { part, times, minutes, severity } of BURNS)
      new MonitoringAlertPolicy(this, `${alert}-${part}`, {
        displayName: names.of(`api-${alert}-${part}`, 100),
        combiner: 'OR',
        severity,
        documentation: { content: `${means} ${times} times too fast`, mimeType: 'text/markdown' },
        conditions: [
          {
            displayName: `${times} times too fast`,
            conditionThreshold: {
              filter: `select_slo_burn_rate("${slo}", "${minutes * MINUTE_S}s")`,
              comparison: 'COMPARISON_GT',
              thresholdValue: times,
              duration: '0s',
              trigger: { count: 1 },
            },
          },
        ],
        notificationChannels: [channel],
      });
  }

  /**
   * By the minutes in which a subscription's oldest event that is not acknowledged was too old, each subscription for itself. Not as an objective of
   * Cloud Monitoring, which has one series, and names it before the services make it.
   */
  #stored({ site: { names } }: GcpStack, { section, topics }: PubsubEventStream, channel: string): void {
    const streams = STREAM_GROUPS.filter(([stream, group]) => group === STORING_GROUP && topics.has(stream));
    const subscriptions = `${section.topicPrefix}(${streams.map(([stream]) => stream).join('|')})[.]${STORING_GROUP}`;
    const age = `pubsub_googleapis_com:subscription_oldest_unacked_message_age{monitored_resource="pubsub_subscription",subscription_id=~"${subscriptions}"}`;
    for (const { part, times, minutes, severity } of BURNS) {
      const bad = Math.ceil((times * minutes * (100 - GOOD_MINUTES_PERCENT)) / 100);
      const means = `What was sent is not stored within ${STORED_WITHIN_S} s, in ${bad} of the last ${minutes} minutes: ${GOOD_MINUTES_PERCENT} % of them are to be better`;
      new MonitoringAlertPolicy(this, `stored-${part}`, {
        displayName: names.of(`stored-${part}`, 100),
        combiner: 'OR',
        severity,
        documentation: { content: means, mimeType: 'text/markdown' },
        conditions: [
          {
            displayName: `${bad} of ${minutes} minutes`,
            conditionPrometheusQueryLanguage: {
              query: `sum_over_time((${age} > bool ${STORED_WITHIN_S})[${minutes}m:1m]) >= ${bad}`,
              duration: '0s',
              evaluationInterval: `${MINUTE_S}s`,
              // It is there once a service has made a subscription.
              disableMetricValidation: true,
            },
          },
        ],
        notificationChannels: [channel],
      });
    }
  }
}

/** That calls are answered soon, by a distribution of how long they took, in milliseconds. */
function soon(distributionFilter: string): Level {
  return {
    ...{ sloId: 'answers', alert: 'answers', goalPercent: SOON_PERCENT },
    promise: `${SOON_PERCENT} % of calls are answered within ${ANSWERS_WITHIN_MS} ms`,
    calls: { distributionCut: { distributionFilter, range: { min: 0, max: ANSWERS_WITHIN_MS } } },
    means: 'The API uses up the slow answers that it may give',
  };
}
