import { Construct } from 'constructs';
import type { AzureStack } from './azure-stack.ts';
import type { Ingress } from './ingress.ts';
import { metricAlert, type Watched } from './metric-alert.ts';

/** Fewer calls than these within a window call nobody, whatever the share that failed. */
const FEWEST_CALLS = 100;
/** So fast the API answers, on the mean of a window: Front Door has no percentiles to alert on. */
const ANSWERS_WITHIN_MS = 1000;

/** How many times too fast the error budget of a month is spent, and over which time: 2 % of it in an hour, 5 % in six. https://sre.google/workbook/alerting-on-slos/ */
const BURNS = [
  { name: 'fast', times: 14.4, window: 'PT1H', severity: 0 },
  { name: 'slow', times: 6, window: 'PT6H', severity: 1 },
] as const;

interface Parts {
  readonly ingress: Ingress;
  /** Whom they call. */
  readonly actionGroupId: string;
}

/**
 * Alerts on error budgets: that the API answers, as the environment's availability has it, and that it answers soon. They call for what people
 * would notice; `Alarms` tells why.
 */
export class ServiceLevels extends Construct {
  constructor(scope: AzureStack, id: string, { ingress: { profile }, actionGroupId }: Parts) {
    super(scope, id);
    const budgetPercent = 100 - scope.site.environment.availabilityPercent;
    const of = { on: profile.id, namespace: 'Microsoft.Cdn/profiles' };
    const enough = { metric: 'RequestCount', aggregation: 'Total', is: 'above', threshold: FEWEST_CALLS } as const;
    const call = (part: string, watched: Watched) => metricAlert(this, scope, { ...watched, part, actionGroupId });
    for (const { name, times, window, severity } of BURNS) {
      const most = Number((times * budgetPercent).toFixed(6));
      call(`availability-${name}`, {
        ...{ ...of, window, severity },
        all: [{ metric: 'Percentage5XX', aggregation: 'Average', is: 'above', threshold: Math.min(most, 99) }, enough],
        means: `Calls of the API fail ${times} times as often as ${scope.site.environment.availabilityPercent} % allows`,
      });
      call(`answers-${name}`, {
        ...{ ...of, window, severity },
        all: [{ metric: 'TotalLatency', aggregation: 'Average', is: 'above', threshold: ANSWERS_WITHIN_MS }, enough],
        means: `The API takes more than ${ANSWERS_WITHIN_MS} ms for the mean of its calls`,
      });
    }
  }
}
