import { Construct } from 'constructs';
import type { AksCluster } from './aks-cluster.ts';
import type { AzureStack } from './azure-stack.ts';
import type { Logs } from './logs.ts';
import { queryAlert, type Asked } from './query-alert.ts';

const GIB = 1024 ** 3;
const NANOCORES = 1e9;

interface Parts {
  readonly cluster: AksCluster;
  readonly logs: Logs;
  /** Whom they call. */
  readonly actionGroupId: string;
}

/**
 * What operators are called for of services in a cluster (R154), one rule for all services that names the one. By what is in the tables of the
 * workspace: AKS has no metric of a container, and none that tells a service without a single pod.
 */
export class ClusterAlarms extends Construct {
  readonly #stack: AzureStack;
  readonly #parts: Parts;

  constructor(scope: AzureStack, id: string, parts: Parts) {
    super(scope, id);
    this.#stack = scope;
    this.#parts = parts;
    const { services } = scope.site.demand;
    const { namespace } = parts.cluster;
    const pods = ['KubePodInventory', `| where Namespace == "${namespace}"`];
    const used = (counter: string) => [
      'Perf',
      `| where ObjectName == "K8SContainer" and CounterName == "${counter}"`,
      `| extend Service = ${serviceIn('InstanceName')}`,
    ];
    const most = (of: (size: (typeof services)[number]) => number) =>
      `let most = datatable(Service: string, Most: real) [${services.map((size) => `"${size.service}", ${of(size)}`).join(', ')}];`;
    const share = [
      '| join kind=inner most on Service',
      '| project TimeGenerated, Service, Percent = 100.0 * CounterValue / Most',
    ];
    this.#call('services-cpu', {
      query: [most(({ vcpu }) => vcpu * NANOCORES), ...used('cpuUsageNanoCores'), ...share],
      ...{ column: 'Percent', aggregation: 'Average', is: 'above', threshold: 85, window: 'PT15M', severity: 2 },
      means: 'A service is at the end of its CPU with all copies that it has',
    });
    this.#call('services-memory', {
      query: [most(({ memoryGb }) => memoryGb * GIB), ...used('memoryWorkingSetBytes'), ...share],
      ...{ column: 'Percent', aggregation: 'Average', is: 'above', threshold: 85, window: 'PT15M', severity: 2 },
      means: 'A service is about to be ended for want of memory',
    });
    this.#call('services-restarts', {
      query: [
        ...pods,
        `| extend Service = ${serviceIn('ContainerName')}`,
        '| summarize Restarts = max(ContainerRestartCount) - min(ContainerRestartCount) by Name, Service',
        '| project TimeGenerated = now(), Service, Restarts',
      ],
      ...{ column: 'Restarts', aggregation: 'Maximum', is: 'above', threshold: 3, window: 'PT15M', severity: 1 },
      means: 'A service ends again and again',
    });
    // Of a service that nobody has written of there is a row too, with no copy.
    this.#call('services-away', {
      query: [
        `let services = datatable(Service: string) [${services.map(({ service }) => `"${service}"`).join(', ')}];`,
        `let running = ${pods.join(' ')}`,
        '| where ContainerStatus =~ "running"',
        `| summarize Running = dcount(Name) by Service = ${serviceIn('ContainerName')};`,
        'services',
        '| join kind=leftouter running on Service',
        '| project TimeGenerated = now(), Service, Copies = coalesce(Running, 0)',
      ],
      ...{ column: 'Copies', aggregation: 'Minimum', is: 'below', threshold: 1, window: 'PT10M', severity: 0 },
      means: 'A service does not run',
    });
  }

  #call(part: string, asked: Omit<Asked, 'by'>): void {
    const { logs, actionGroupId } = this.#parts;
    queryAlert(this, this.#stack, { ...asked, by: 'Service', part, logs, actionGroupId });
  }
}

/** A container of a pod is called like its service, after the id of the pod. */
function serviceIn(column: string): string {
  return `extract("[^/]+$", 0, ${column})`;
}
