import { isKubernetes } from '../site.ts';
import type { GcpStack } from './gcp-stack.ts';
import { clusterName, serviceName } from './resource-names.ts';

/** What a service has, of which Cloud Monitoring knows how much is in use. */
type Resource = 'cpu' | 'memory';

/** A metric: which, and how the values of a minute become one. */
interface Use {
  readonly filter: string;
  readonly aligner: 'ALIGN_MEAN' | 'ALIGN_PERCENTILE_95';
}

/** Of what a service has, the share that is in use: 0 to 1. */
export function useOf({ site }: GcpStack, service: string, resource: Resource): Use {
  if (isKubernetes(site)) {
    const place = `resource.labels.cluster_name="${clusterName(site.names)}" AND resource.labels.container_name="${service}"`;
    // What the kernel gives back when it is asked for is no use of memory.
    const kind = resource === 'memory' ? ' AND metric.labels.memory_type="non-evictable"' : '';
    return {
      filter: `resource.type="k8s_container" AND ${place} AND metric.type="kubernetes.io/container/${resource}/limit_utilization"${kind}`,
      aligner: 'ALIGN_MEAN',
    };
  }
  const of = `resource.type="cloud_run_revision" AND resource.labels.service_name="${serviceName(site.names, service)}"`;
  return {
    filter: `${of} AND metric.type="run.googleapis.com/container/${resource}/utilizations"`,
    aligner: 'ALIGN_PERCENTILE_95',
  };
}
