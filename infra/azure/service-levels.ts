import { Construct } from 'constructs';
import { OPEN_STREAM } from '../service-ports.ts';
import type { AzureStack } from './azure-stack.ts';
import type { Ingress } from './ingress.ts';
import type { Logs } from './logs.ts';
import { metricAlert, type Watched } from './metric-alert.ts';
import { queryAlert } from './query-alert.ts';

/** Fewer calls than these within a window call nobody, whatever the share of them that failed or was slow. */
const FEWEST_CALLS = 100;
/** So fast the API answers, at least so many of a hundred calls. */
const ANSWERS_WITHIN_S = 1;
const SOON_PERCENT = 99;

/** How many times too fast the error budget of a month is spent, and over which time: 2 % of it in an hour, 5 % in six. https://sre.google/workbook/alerting-on-slos/ */
const BURNS = [
  { name: 'fast', times: 14.4, window: 'PT1H', severity: 0 },
  { name: 'slow', times: 6, window: 'PT6H', severity: 1 },
] as const;

/**
 * By Front Door's log of each call: its metric of latency has neither a path nor percentiles. A call that Front Door gave up counts for as long as it
 * took. https://learn.microsoft.com/azure/frontdoor/front-door-diagnostics#access-log
 */
const SLOW_CALLS = [
  'AzureDiagnostics',
  '| where ResourceProvider == "MICROSOFT.CDN" and Category == "FrontDoorAccessLog"',
  `| where tostring(parse_url(requestUri_s).Path) != "${OPEN_STREAM}"`,
  `| summarize TimeGenerated = max(TimeGenerated), Calls = count(), Slow = countif(todouble(timeTaken_s) > ${ANSWERS_WITHIN_S})`,
  `| where Calls > ${FEWEST_CALLS}`,
  '| project TimeGenerated, SlowPercent = 100.0 * Slow / Calls',
];

interface Parts {
  readonly ingress: Ingress;
  readonly logs: Logs;
  /** Whom they call. */
  readonly actionGroupId: string;
}

/**
 * Alerts on error budgets: that the API answers, as the environment's availability has it, and that it answers soon. They call for what people
 * would notice; `Alarms` tells why.
 */
export class ServiceLevels extends Construct {
  constructor(scope: AzureStack, id: string, { ingress: { profile }, logs, actionGroupId }: Parts) {
    super(scope, id);
    const budgetPercent = 100 - scope.site.environment.availabilityPercent;
    const of = { on: profile.id, namespace: 'Microsoft.Cdn/profiles' };
    const enough = { metric: 'RequestCount', aggregation: 'Total', is: 'above', threshold: FEWEST_CALLS } as const;
    const call = (part: string, watched: Watched) => metricAlert(this, scope, { ...watched, part, actionGroupId });
    for (const { name, times, window, severity } of BURNS) {
      const most = (percent: number) => Math.min(Number((times * percent).toFixed(6)), 99);
      call(`availability-${name}`, {
        ...{ ...of, window, severity },
        all: [{ metric: 'Percentage5XX', aggregation: 'Average', is: 'above', threshold: most(budgetPercent) }, enough],
        means: `Calls of the API fail ${times} times as often as ${scope.site.environment.availabilityPercent} % allows`,
      });
      queryAlert(this, scope, {
        ...{ part: `answers-${name}`, logs, actionGroupId, window, severity },
        ...{ query: SLOW_CALLS, column: 'SlowPercent', aggregation: 'Maximum', is: 'above' },
        threshold: most(100 - SOON_PERCENT),
        means: `Calls of the API take more than ${ANSWERS_WITHIN_S} s ${times} times as often as ${SOON_PERCENT} % allows`,
      });
    }
  }
}
