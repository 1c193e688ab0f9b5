import { Construct } from 'constructs';
import { ConsumptionBudgetSubscription } from '@cdktf/provider-azurerm/lib/consumption-budget-subscription/index.js';
import { Names } from '../names.ts';
import type { AzureStack } from './azure-stack.ts';

/** Spent, of the month's budget, when people are told. */
const SPENT_PERCENT = [50, 80, 100] as const;

/** What the site may cost a month, counted by its tag, as it is in three resource groups, those of a second region and one that Azure makes. */
export class Budget extends Construct {
  constructor(scope: AzureStack, id: string) {
    super(scope, id);
    const { names, environment } = scope.site;
    const { usdPerMonth, tell } = environment.budget;
    const notify = (thresholdType: 'Actual' | 'Forecasted', threshold: number) => ({
      enabled: true,
      threshold,
      thresholdType,
      operator: 'GreaterThanOrEqualTo',
      contactEmails: tell,
    });
    new ConsumptionBudgetSubscription(this, 'month', {
      name: names.of('month', 63),
      subscriptionId: `/subscriptions/${scope.subscription}`,
      amount: usdPerMonth,
      timeGrain: 'Monthly',
      // Azure takes the month that it is made in; it goes on from there.
      timePeriod: { startDate: `\${formatdate("YYYY-MM-01'T'00:00:00Z", plantimestamp())}` },
      filter: { tag: [{ name: 'Deployment', values: [new Names(environment).base] }] },
      notification: [...SPENT_PERCENT.map((percent) => notify('Actual', percent)), notify('Forecasted', 100)],
      lifecycle: { ignoreChanges: ['time_period'] },
    });
  }
}
