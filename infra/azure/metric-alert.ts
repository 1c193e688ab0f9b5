import type { Construct } from 'constructs';
import { MonitorMetricAlert } from '@cdktf/provider-azurerm/lib/monitor-metric-alert/index.js';
import type { AzureStack } from './azure-stack.ts';

/** One condition on a metric of Azure Monitor; of several all have to hold. */
interface Condition {
  readonly metric: string;
  readonly aggregation: 'Average' | 'Maximum' | 'Minimum' | 'Total';
  readonly is: 'above' | 'below';
  readonly threshold: number;
  readonly dimensions?: Readonly<Record<string, readonly string[]>>;
}

/** A condition that somebody is called for. */
export interface Watched {
  /** The address of what is watched. */
  readonly on: string;
  readonly namespace: string;
  readonly all: readonly Condition[];
  readonly window: 'PT5M' | 'PT15M' | 'PT1H' | 'PT6H';
  readonly means: string;
  /** 0 is the worst. */
  readonly severity?: 0 | 1 | 2;
}

/** Looks each minute, and calls whom the group names. */
export function metricAlert(
  scope: Construct,
  { site: { names }, place }: AzureStack,
  alert: Watched & { readonly part: string; readonly actionGroupId: string },
): MonitorMetricAlert {
  const { on, namespace, all, window, means, severity = 2, part, actionGroupId } = alert;
  return new MonitorMetricAlert(scope, part, {
    name: names.of(part, 260),
    resourceGroupName: place.resourceGroupName,
    description: means,
    scopes: [on],
    severity,
    frequency: 'PT1M',
    windowSize: window,
    autoMitigate: true,
    criteria: all.map(({ metric, aggregation, is, threshold, dimensions = {} }) => ({
      metricNamespace: namespace,
      metricName: metric,
      aggregation,
      operator: is === 'above' ? 'GreaterThan' : 'LessThan',
      threshold,
      dimension: Object.entries(dimensions).map(([name, values]) => ({
        name,
        operator: 'Include',
        values: [...values],
      })),
    })),
    action: [{ actionGroupId }],
  });
}
