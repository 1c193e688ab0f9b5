import { Construct } from 'constructs';
import { MonitoringAlertPolicy } from '@cdktf/provider-google/lib/monitoring-alert-policy/index.js';
import { MonitoringCustomService } from '@cdktf/provider-google/lib/monitoring-custom-service/index.js';
import { MonitoringSlo } from '@cdktf/provider-google/lib/monitoring-slo/index.js';
import type { ApiFront } from './api-front.ts';
import type { GcpStack } from './gcp-stack.ts';

const PERIOD_DAYS = 28;
/** How much faster than it may the error budget is spent, over which time: 2 % of it in an hour, 5 % in six (https://sre.google/workbook/alerting-on-slos/). */
const BURNS = [
  { part: 'fast', times: 14.4, window: '3600s', severity: 'CRITICAL' },
  { part: 'slow', times: 6, window: '21600s', severity: 'WARNING' },
] as const;

/** What the environment promises of its API, and alerts on how fast the errors that it may have are used up. */
export class ServiceLevels extends Construct {
  constructor(
    scope: GcpStack,
    id: string,
    { ingress, channel }: { readonly ingress: ApiFront; readonly channel: string },
  ) {
    super(scope, id);
    const { names, environment } = scope.site;
    const service = new MonitoringCustomService(this, 'api', {
      serviceId: names.of('api', 63),
      displayName: names.of('api', 100),
    });
    const requests = `resource.type="https_lb_rule" AND ${ingress.ofMetrics} AND metric.type="loadbalancing.googleapis.com/https/request_count"`;
    const slo = new MonitoringSlo(this, 'availability', {
      service: service.serviceId,
      sloId: 'availability',
      displayName: `${environment.availabilityPercent} % of calls are answered`,
      goal: environment.availabilityPercent / 100,
      rollingPeriodDays: PERIOD_DAYS,
      requestBasedSli: {
        goodTotalRatio: {
          totalServiceFilter: requests,
          badServiceFilter: `${requests} AND metric.labels.response_code_class=500`,
        },
      },
    });
    for (const { part, times, window, severity } of BURNS)
      new MonitoringAlertPolicy(this, `burn-${part}`, {
        displayName: names.of(`api-burn-${part}`, 100),
        combiner: 'OR',
        severity,
        documentation: { content: `The API uses up its errors ${times} times too fast`, mimeType: 'text/markdown' },
        conditions: [
          {
            displayName: `${times} times too fast`,
            conditionThreshold: {
              filter: `select_slo_burn_rate("${slo.name}", "${window}")`,
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
}
