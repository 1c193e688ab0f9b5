import { Construct } from 'constructs';
import { BillingBudget } from '@cdktf/provider-google/lib/billing-budget/index.js';
import { mandatoryLabels } from '../aspects/labels.ts';
import type { GcpStack } from './gcp-stack.ts';
import { mailChannel } from './operators.ts';

/** Spent, of the month's budget, when people are told. */
const SPENT = [0.5, 0.8, 1] as const;
/** Whom Google tells of one budget at most. */
const MOST_TOLD = 5;

/** What the site may cost a month, counted by its label in its project: as often as it takes to tell all who are to be told. */
export class Budget extends Construct {
  constructor(scope: GcpStack, id: string) {
    super(scope, id);
    const { names, environment } = scope.site;
    const { usdPerMonth, tell } = environment.budget;
    const channels = tell.map((address, index) => mailChannel(this, `told-${index}`, `${names.base}: budget`, address));
    for (let from = 0; from < channels.length; from += MOST_TOLD) {
      const isFirst = from === 0;
      const part = isFirst ? 'month' : `month-${from / MOST_TOLD + 1}`;
      new BillingBudget(this, part, {
        billingAccount: scope.billingAccount,
        displayName: names.of(part, 60),
        budgetFilter: {
          projects: [`projects/${scope.projectNumber}`],
          labels: { deployment: mandatoryLabels(environment)['deployment']! },
          calendarPeriod: 'MONTH',
          creditTypesTreatment: 'INCLUDE_ALL_CREDITS',
        },
        amount: { specifiedAmount: { currencyCode: 'USD', units: String(Math.ceil(usdPerMonth)) } },
        thresholdRules: [
          ...SPENT.map((thresholdPercent) => ({ thresholdPercent, spendBasis: 'CURRENT_SPEND' })),
          { thresholdPercent: 1, spendBasis: 'FORECASTED_SPEND' },
        ],
        allUpdatesRule: {
          monitoringNotificationChannels: channels.slice(from, from + MOST_TOLD),
          // Whoever administers the billing account is told once.
          disableDefaultIamRecipients: !isFirst,
        },
      });
    }
  }
}
