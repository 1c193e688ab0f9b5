import { describe, expect, it } from '@jest/globals';
import { changed, shipped, synthesized, type Attributes } from '../testing/synthesized.ts';

const prod = shipped('akron.prod');
const inProd = synthesized(prod);
const alarm = (path: string) => inProd.one('aws_cloudwatch_metric_alarm', `service-levels/${path}`);
const OPERATORS = [expect.stringMatching(/^\$\{aws_sns_topic\.operators_calls_topic_\w+\.arn\}$/)];

describe('the budget of calls that fail', () => {
  // 0.1 % of a month's calls may fail where 99.9 % is promised.
  it.each([
    ['fast', 3600, 300, 0.0144],
    ['slow', 21_600, 1800, 0.006],
  ])('that is spent %s calls somebody, seen over %d s and still over %d s', (burn, longS, shortS, share) => {
    const [long, short] = [longS, shortS].map((periodS) => alarm(`available-${burn}-${periodS}`));
    for (const [window, periodS] of [
      [long!, longS],
      [short!, shortS],
    ] as const) {
      expect(window).toMatchObject({
        ...{ threshold: share, comparison_operator: 'GreaterThanThreshold', evaluation_periods: 1 },
        treat_missing_data: 'notBreaching',
      });
      const queries = window['metric_query'] as readonly { readonly metric?: Attributes }[];
      expect(queries.flatMap(({ metric }) => (metric ? [[metric['metric_name'], metric['period']]] : []))).toEqual([
        ['RequestCount', periodS],
        ['HTTPCode_Target_5XX_Count', periodS],
        ['HTTPCode_ELB_5XX_Count', periodS],
      ]);
      expect(window['alarm_actions']).toBeUndefined();
    }
    expect(inProd.one('aws_cloudwatch_composite_alarm', `service-levels/available-${burn}`)).toMatchObject({
      alarm_rule: [long, short].map((window) => `ALARM("${nameIn(window!)}")`).join(' AND '),
      ...{ alarm_actions: OPERATORS, ok_actions: OPERATORS },
    });
  });

  it('is the share of what the balancer was asked, once more than ten calls failed', () => {
    const queries = alarm('available-fast-3600')['metric_query'] as readonly Attributes[];
    expect(queries.filter((query) => query['return_data'] === true)).toEqual([
      expect.objectContaining({ expression: 'IF(bad > 10, bad / (FILL(requests, 0) + FILL(away, 0)), 0)' }),
    ]);
  });

  it('is that of the environment', () => {
    const in99 = synthesized(changed(prod, { availabilityPercent: 99 }));
    expect(in99.one('aws_cloudwatch_metric_alarm', 'available-fast-3600')['threshold']).toBe(0.144);
  });
});

describe('the budget of bad minutes', () => {
  it.each([
    ['answers-fast', 'TargetResponseTime', 1, 60, 9],
    ['answers-slow', 'TargetResponseTime', 1, 360, 22],
    ['devices-read-fast', 'GetRecords.IteratorAgeMilliseconds', 60_000, 60, 9],
    ['metrics-read-slow', 'GetRecords.IteratorAgeMilliseconds', 60_000, 360, 22],
  ])('%s: %s above %d in so many of the last minutes', (path, metric, worst, minutes, bad) => {
    expect(alarm(path)).toMatchObject({
      ...{ metric_name: metric, threshold: worst, comparison_operator: 'GreaterThanThreshold', period: 60 },
      ...{ evaluation_periods: minutes, datapoints_to_alarm: bad, treat_missing_data: 'notBreaching' },
      ...{ alarm_actions: OPERATORS, ok_actions: OPERATORS },
    });
  });

  it('is of each stream of Kinesis that there is', () => {
    const streams = inProd
      .found('aws_cloudwatch_metric_alarm')
      .flatMap(({ path }) => /service-levels\/(.*)-read-fast$/.exec(path)?.[1] ?? []);
    expect(streams.toSorted()).toEqual([
      ...['alarms', 'device-errors', 'devices', 'features', 'inference-results', 'metrics', 'raw-waveform', 'windows'],
    ]);
  });
});

describe('the dashboard', () => {
  it('begins with the alerts that call somebody', () => {
    const body = inProd.of('aws_cloudwatch_dashboard')[0]!['dashboard_body'] as string;
    const arns = /"title":"Error budgets","alarms":\[(.*?)\]/.exec(body)?.[1]?.split(',') ?? [];
    // Two burns of calls, of answers and of eight streams.
    expect(arns).toHaveLength(2 * (1 + 1 + 8));
  });
});

/** A reference to the alarm's name. */
function nameIn(window: Attributes): string {
  const { uniqueId } = (window['//'] as { readonly metadata: { readonly uniqueId: string } }).metadata;
  return `\${aws_cloudwatch_metric_alarm.${uniqueId}.alarm_name}`;
}
