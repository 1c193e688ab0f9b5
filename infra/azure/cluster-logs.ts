import { Construct } from 'constructs';
import { MonitorDataCollectionRuleAssociation } from '@cdktf/provider-azurerm/lib/monitor-data-collection-rule-association/index.js';
import { MonitorDataCollectionRule } from '@cdktf/provider-azurerm/lib/monitor-data-collection-rule/index.js';
import type { AzureStack } from './azure-stack.ts';
import type { Logs } from './logs.ts';

/** Of the control plane: who asked for what to be changed, who was let in, and what was decided. */
const CONTROL_PLANE = [
  ...['kube-apiserver', 'kube-audit-admin', 'guard', 'kube-controller-manager', 'kube-scheduler'],
  ...['cloud-controller-manager', 'cluster-autoscaler'],
];
/** What the agent writes: lines of containers, what pods are and use, and what happened to them. */
const STREAMS = ['ContainerLogV2', 'KubeEvents', 'KubePodInventory', 'KubeNodeInventory', 'Perf'].map(
  (table) => `Microsoft-${table}`,
);
const WORKSPACE = 'workspace';

interface Parts {
  readonly clusterId: string;
  /** What is said of no other namespace. */
  readonly namespace: string;
  readonly logs: Logs;
}

/** Logs and measurements of a cluster in the tables of the site's workspace, for as long as all else is there (Container Insights). */
export class ClusterLogs extends Construct {
  constructor(scope: Construct, id: string, stack: AzureStack, { clusterId, namespace, logs }: Parts) {
    super(scope, id);
    logs.of(this, clusterId, CONTROL_PLANE);
    const rule = new MonitorDataCollectionRule(this, 'rule', {
      ...stack.place,
      name: stack.site.names.of('container-logs', 64),
      kind: 'Linux',
      destinations: { logAnalytics: [{ name: WORKSPACE, workspaceResourceId: logs.workspaceId }] },
      dataFlow: [{ streams: STREAMS, destinations: [WORKSPACE] }],
      dataSources: {
        extension: [
          {
            name: 'ContainerInsightsExtension',
            extensionName: 'ContainerInsights',
            streams: STREAMS,
            extensionJson: JSON.stringify({
              dataCollectionSettings: {
                interval: '1m',
                namespaceFilteringMode: 'Include',
                namespaces: [namespace],
                enableContainerLogV2: true,
              },
            }),
          },
        ],
      },
    });
    new MonitorDataCollectionRuleAssociation(this, 'rule-of-cluster', {
      name: 'ContainerInsightsExtension',
      targetResourceId: clusterId,
      dataCollectionRuleId: rule.id,
    });
  }
}
