import { Construct } from 'constructs';
import { BudgetsBudget } from '@cdktf/provider-aws/lib/budgets-budget/index.js';
import type { AwsStack } from './aws-stack.ts';

/** Spent, of the month's budget, when people are told. */
const SPENT_PERCENT = [50, 80, 100] as const;

/** What the site may cost a month, counted by its tags: they have to be activated for costs, once an account. */
export class Budget extends Construct {
  constructor(scope: AwsStack, id: string) {
    super(scope, id);
    const { names, environment } = scope.site;
    const { usdPerMonth, tell } = environment.budget;
    const notify = (notificationType: 'ACTUAL' | 'FORECASTED', threshold: number) => ({
      notificationType,
      threshold,
      thresholdType: 'PERCENTAGE',
      comparisonOperator: 'GREATER_THAN',
      subscriberEmailAddresses: tell,
    });
    new BudgetsBudget(this, 'month', {
      name: names.of('month', 100),
      accountId: scope.account,
      budgetType: 'COST',
      timeUnit: 'MONTHLY',
      limitAmount: String(usdPerMonth),
      limitUnit: 'USD',
      // Values of one kind of filter are alternatives: one tag has to say it all. Its value stands behind a dollar sign.
      costFilter: [{ name: 'TagKeyValue', values: [`user:Deployment$${names.base}`] }],
      notification: [...SPENT_PERCENT.map((percent) => notify('ACTUAL', percent)), notify('FORECASTED', 100)],
    });
  }
}
