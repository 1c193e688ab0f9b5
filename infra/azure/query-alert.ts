import type { Construct } from 'constructs';
import { MonitorScheduledQueryRulesAlertV2 } from '@cdktf/provider-azurerm/lib/monitor-scheduled-query-rules-alert-v2/index.js';
import type { AzureStack } from './azure-stack.ts';
import type { Logs } from './logs.ts';

/** A question to the tables of the workspace, and when somebody is called for the answer. */
export interface Asked {
  readonly query: readonly string[];
  /** The column with the number. */
  readonly column: string;
  /** The column by whose values each has a number of its own; one number without it. */
  readonly by?: string;
  readonly aggregation: 'Average' | 'Maximum' | 'Minimum';
  readonly is: 'above' | 'below';
  readonly threshold: number;
  readonly window: 'PT10M' | 'PT15M' | 'PT1H' | 'PT6H';
  readonly means: string;
  /** 0 is the worst. */
  readonly severity: 0 | 1 | 2;
}

/** Asks every five minutes, and calls whom the group names. */
export function queryAlert(
  scope: Construct,
  { site: { names }, place }: AzureStack,
  alert: Asked & { readonly part: string; readonly logs: Logs; readonly actionGroupId: string },
): MonitorScheduledQueryRulesAlertV2 {
  const { query, column, by, aggregation, is, threshold, window, means, severity, part, logs, actionGroupId } = alert;
  return new MonitorScheduledQueryRulesAlertV2(scope, part, {
    ...place,
    name: names.of(part, 260),
    description: means,
    scopes: [logs.workspaceId],
    severity,
    evaluationFrequency: 'PT5M',
    windowDuration: window,
    autoMitigationEnabled: true,
    // Tables and their columns are there once something was written to them.
    skipQueryValidation: true,
    criteria: [
      {
        query: query.join('\n'),
        metricMeasureColumn: column,
        timeAggregationMethod: aggregation,
        operator: is === 'above' ? 'GreaterThan' : 'LessThan',
        threshold,
        ...(by !== undefined && { dimension: [{ name: by, operator: 'Include', values: ['*'] }] }),
      },
    ],
    action: { actionGroups: [actionGroupId] },
  });
}
