import { isKubernetes } from '../site.ts';
import type { AwsStack } from './aws-stack.ts';
import { clusterName } from './cluster-names.ts';

/** A metric of CloudWatch: of what a service has, how many hundredths are in use. */
interface Use {
  readonly namespace: string;
  readonly metricName: string;
  readonly dimensions: Readonly<Record<string, string>>;
}

const OF_PODS = { cpu: 'pod_cpu_utilization_over_pod_limit', memory: 'pod_memory_utilization_over_pod_limit' } as const;
const OF_TASKS = { cpu: 'CPUUtilization', memory: 'MemoryUtilization' } as const;

/** Of all copies of a service together. */
export function useOf({ site }: AwsStack, service: string, resource: 'cpu' | 'memory'): Use {
  const { names } = site;
  if (isKubernetes(site))
    return {
      namespace: 'ContainerInsights',
      metricName: OF_PODS[resource],
      // Of what a Deployment runs the agent says the Deployment's name.
      dimensions: { PodName: service, Namespace: names.base, ClusterName: clusterName(names) },
    };
  return {
    namespace: 'AWS/ECS',
    metricName: OF_TASKS[resource],
    dimensions: { ClusterName: names.base, ServiceName: service },
  };
}
