import { Construct } from 'constructs';
import { CloudwatchCompositeAlarm } from '@cdktf/provider-aws/lib/cloudwatch-composite-alarm/index.js';
import { CloudwatchMetricAlarm } from '@cdktf/provider-aws/lib/cloudwatch-metric-alarm/index.js';
import type { KinesisStream } from '@cdktf/provider-aws/lib/kinesis-stream/index.js';
import type { AwsStack } from './aws-stack.ts';
import type { DataStack } from './data-stack.ts';
import type { Ingress } from './ingress.ts';

const MINUTE_S = 60;
/** Fewer calls than these that failed within a window call nobody, whatever their share. */
const FEWEST_FAILED = 10;
/** So fast the API answers, and so soon what was sent is read, of the minutes that count at least the share below. */
const ANSWERS_WITHIN_S = 1;
const READ_WITHIN_MS = 60_000;
const GOOD_MINUTES_PERCENT = 99;

/**
 * How many times too fast the error budget of a month is spent, over which time, and over which short one as well, so that the call ends soon after
 * its cause: 2 % of the budget in an hour, 5 % in six. https://sre.google/workbook/alerting-on-slos/
 */
const BURNS = [
  { name: 'fast', times: 14.4, longS: 3600, shortS: 300 },
  { name: 'slow', times: 6, longS: 21_600, shortS: 1800 },
] as const;
type Burn = (typeof BURNS)[number];

interface Parts {
  readonly data: DataStack;
  readonly ingress: Ingress;
  /** Whom they call. */
  readonly topicArn: string;
}

/** A minute that is measured as a whole. */
interface Minutes {
  readonly part: string;
  readonly namespace: string;
  readonly metricName: string;
  readonly dimensions: Readonly<Record<string, string>>;
  readonly statistic: { readonly extendedStatistic: string } | { readonly statistic: 'Maximum' };
  /** A minute above it is a bad one. */
  readonly worst: number;
  readonly means: string;
}

/**
 * Alerts on error budgets: that the API answers, as the environment's availability has it, that it answers soon, and that what devices send, and what
 * the platform makes of it, is read soon. They call for what people would notice; `Alarms` tells why.
 */
export class ServiceLevels extends Construct {
  /** Of the alerts that call somebody. */
  readonly alertArns: readonly string[];
  readonly #stack: AwsStack;
  readonly #topicArn: string;

  constructor(scope: AwsStack, id: string, { data, ingress, topicArn }: Parts) {
    super(scope, id);
    this.#stack = scope;
    this.#topicArn = topicArn;
    const { arnSuffix: balancer } = ingress.balancer;
    const answers: Minutes = {
      part: 'answers',
      ...{ namespace: 'AWS/ApplicationELB', metricName: 'TargetResponseTime', dimensions: { LoadBalancer: balancer } },
      statistic: { extendedStatistic: 'p95' },
      worst: ANSWERS_WITHIN_S,
      means: `The API takes more than ${ANSWERS_WITHIN_S} s for one in twenty calls`,
    };
    const read = Object.entries(data.kinesisStreams).map(([name, stream]) => readingOf(name, stream));
    this.alertArns = BURNS.flatMap((burn) => [
      this.#availability(burn, balancer),
      ...[answers, ...read].map((minutes) => this.#badMinutes(burn, minutes)),
    ]);
  }

  /** Calls that failed, of all, within both windows. */
  #availability({ name, times, longS, shortS }: Burn, balancer: string): string {
    const { names, environment } = this.#stack.site;
    const most = Number(((times * (100 - environment.availabilityPercent)) / 100).toFixed(6));
    const windows = [longS, shortS].map((periodS) => {
      const ofBalancer = (id: string, metricName: string) => ({
        id,
        returnData: false,
        metric: {
          ...{ namespace: 'AWS/ApplicationELB', metricName, dimensions: { LoadBalancer: balancer } },
          ...{ stat: 'Sum', period: periodS },
        },
      });
      return new CloudwatchMetricAlarm(this, `available-${name}-${periodS}`, {
        alarmName: names.of(`slo-available-${name}-${periodS}`),
        alarmDescription: 'A window of an alert of several, which calls for them',
        metricQuery: [
          ofBalancer('requests', 'RequestCount'),
          ofBalancer('failed', 'HTTPCode_Target_5XX_Count'),
          ofBalancer('away', 'HTTPCode_ELB_5XX_Count'),
          { id: 'bad', expression: 'FILL(failed, 0) + FILL(away, 0)', label: 'Failed', returnData: false },
          {
            id: 'share',
            // What the balancer answers by itself is not among the requests that it handed on.
            expression: `IF(bad > ${FEWEST_FAILED}, bad / (FILL(requests, 0) + FILL(away, 0)), 0)`,
            label: 'Share of calls that failed',
            returnData: true,
          },
        ],
        comparisonOperator: 'GreaterThanThreshold',
        threshold: most,
        evaluationPeriods: 1,
        datapointsToAlarm: 1,
        // Nobody asked, nothing failed.
        treatMissingData: 'notBreaching',
      });
    });
    return new CloudwatchCompositeAlarm(this, `available-${name}`, {
      alarmName: names.of(`slo-available-${name}`),
      alarmDescription: `The API fails so often that its error budget, ${(100 - environment.availabilityPercent).toFixed(2)} % of a month's calls, is spent ${times} times too fast`,
      alarmRule: windows.map(({ alarmName }) => `ALARM("${alarmName}")`).join(' AND '),
      alarmActions: [this.#topicArn],
      okActions: [this.#topicArn],
      dependsOn: windows,
    }).arn;
  }

  /** So many minutes of the window that the budget of bad ones is spent as fast as the burn has it. */
  #badMinutes({ name, times, longS }: Burn, { part, statistic, worst, means, ...metric }: Minutes): string {
    const minutes = longS / MINUTE_S;
    const bad = Math.ceil((times * minutes * (100 - GOOD_MINUTES_PERCENT)) / 100);
    return new CloudwatchMetricAlarm(this, `${part}-${name}`, {
      ...metric,
      ...statistic,
      alarmName: this.#stack.site.names.of(`slo-${part}-${name}`),
      alarmDescription: `${means}, in ${bad} of the last ${minutes} minutes: ${GOOD_MINUTES_PERCENT} % of a month's are to be better`,
      comparisonOperator: 'GreaterThanThreshold',
      threshold: worst,
      period: MINUTE_S,
      evaluationPeriods: minutes,
      datapointsToAlarm: bad,
      // Nobody asked, or nothing was sent: devices that fall silent are told of by the platform itself.
      treatMissingData: 'notBreaching',
      alarmActions: [this.#topicArn],
      okActions: [this.#topicArn],
    }).arn;
  }
}

function readingOf(name: string, stream: KinesisStream): Minutes {
  return {
    part: `${name}-read`,
    ...{ namespace: 'AWS/Kinesis', metricName: 'GetRecords.IteratorAgeMilliseconds' },
    dimensions: { StreamName: stream.nameInput! },
    statistic: { statistic: 'Maximum' },
    worst: READ_WITHIN_MS,
    means: `A consumer of ${name} is more than ${READ_WITHIN_MS / 1000} s behind`,
  };
}
